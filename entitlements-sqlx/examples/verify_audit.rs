//! Verifies an audit log, and names the first entry that is wrong.
//!
//! ```sh
//! cargo run -p entitlements-sqlx --example verify_audit -- sqlite:///var/lib/platform.db
//! cargo run -p entitlements-sqlx --example verify_audit -- postgres://audit@db/shop 812:9f2c…
//! cargo run -p entitlements-sqlx --example verify_audit -- audit.jsonl
//! ```
//!
//! A database is only read; it needs the schema of this version. A file, or `-` for the standard input, is what
//! `export_audit` writes: it is verified without any database.
//!
//! It prints the last entry as `number:hash`. Keep that somewhere else, and give it as an anchor the next time: then also
//! somebody who can compute the whole log anew is caught. Exit code 1 says that the log is broken, 2 that it was not read.

mod reading;

use std::fs::File;
use std::io::{BufRead, BufReader, stdin};
use std::process::ExitCode;

use entitlements_core::audit::{AuditHead, BrokenChain, BrokenExport, ExportVerifier, Verified, Verifier};

use reading::{Failure, chain, is_url, open, read};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(verified) => {
            println!(
                "{} entries are as they were appended, {} of erased companies",
                verified.rows, verified.erased
            );
            if verified.unchecked_anchors > 0 {
                println!("{} anchors are older than the log", verified.unchecked_anchors);
            }
            println!("{}:{}", verified.head.sequence, verified.head.hash);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{}", chain(&*error));
            let is_broken =
                error.is::<BrokenChain>() || matches!(error.downcast_ref(), Some(BrokenExport::Chain { .. }));
            ExitCode::from(if is_broken { 1 } else { 2 })
        }
    }
}

async fn run() -> Result<Verified, Failure> {
    let mut arguments = std::env::args().skip(1);
    let place =
        arguments.next().ok_or("expected the URL of a database, a file or `-`, and anchors `number:hash`")?;
    let anchors = arguments.map(|text| anchor(&text)).collect::<Result<Vec<_>, _>>()?;
    if is_url(&place) {
        return verify(&place, &anchors).await;
    }
    if place == "-" {
        return verify_lines(stdin().lock(), anchors);
    }
    let file = File::open(&place).map_err(|error| format!("{place}: {error}"))?;
    verify_lines(BufReader::new(file), anchors)
}

fn anchor(text: &str) -> Result<AuditHead, Failure> {
    let (sequence, hash) = text.split_once(':').ok_or("an anchor is `number:hash`")?;
    Ok(AuditHead { sequence: sequence.parse()?, hash: hash.parse()? })
}

fn verify_lines(lines: impl BufRead, anchors: Vec<AuditHead>) -> Result<Verified, Failure> {
    let mut verifier = ExportVerifier::new(anchors);
    for line in lines.lines() {
        verifier.check(&line?)?;
    }
    Ok(verifier.finish()?)
}

async fn verify(url: &str, anchors: &[AuditHead]) -> Result<Verified, Failure> {
    let begin = |base, head| {
        let mut verifier = Verifier::new(base);
        for anchor in anchors {
            verifier = verifier.with_anchor(*anchor)?;
        }
        Ok((verifier, head))
    };
    let (verifier, head) =
        read(&*open(url).await?, begin, |(verifier, _), row| Ok(verifier.check(&row)?)).await?;
    Ok(verifier.finish(head)?)
}
