//! Verifies the audit log of a database, and names the first entry that is wrong.
//!
//! ```sh
//! cargo run -p entitlements-sqlx --example verify_audit -- sqlite:///var/lib/platform.db
//! cargo run -p entitlements-sqlx --example verify_audit -- postgres://audit@db/shop 812:9f2c…
//! ```
//!
//! It prints the last entry as `number:hash`. Keep that somewhere else, and give it as an anchor the next time: then also
//! somebody who can compute the whole log anew is caught. Exit code 1 says that the log is broken, 2 that it was not read.

use std::error::Error;
use std::process::ExitCode;

use entitlements_core::audit::{AuditHead, BrokenChain, Verified, Verifier};
use entitlements_core::store::AuditStore;
use entitlements_sqlx::{PostgresConfig, PostgresStore, SqliteConfig, SqliteStore};

/// How many entries are read at once.
const PART: usize = 1_000;

type Failure = Box<dyn Error>;

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
            eprintln!("{error}");
            ExitCode::from(if error.is::<BrokenChain>() { 1 } else { 2 })
        }
    }
}

async fn run() -> Result<Verified, Failure> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().ok_or("expected the URL of a database, and anchors `number:hash`")?;
    let anchors = arguments.map(|text| anchor(&text)).collect::<Result<Vec<_>, _>>()?;
    verify(&*open(&url).await?, &anchors).await
}

async fn open(url: &str) -> Result<Box<dyn AuditStore>, Failure> {
    if url.starts_with("sqlite:") {
        let config = SqliteConfig::from_url(url)?.with_create_if_missing(false);
        return Ok(Box::new(SqliteStore::connect(&config).await?));
    }
    Ok(Box::new(PostgresStore::connect(&PostgresConfig::from_url(url)?).await?))
}

fn anchor(text: &str) -> Result<AuditHead, Failure> {
    let (sequence, hash) = text.split_once(':').ok_or("an anchor is `number:hash`")?;
    Ok(AuditHead { sequence: sequence.parse()?, hash: hash.parse()? })
}

/// Reads the log up to where it ends when this begins.
async fn verify(store: &dyn AuditStore, anchors: &[AuditHead]) -> Result<Verified, Failure> {
    let mut part = store.audit_rows(0, PART).await?;
    let head = part.head;
    let mut verifier = Verifier::new(part.base);
    for anchor in anchors {
        verifier = verifier.with_anchor(*anchor)?;
    }
    loop {
        for row in part.rows.iter().filter(|row| row.sequence <= head.sequence) {
            verifier.check(row)?;
        }
        let last = verifier.last().sequence;
        if last >= head.sequence || part.rows.is_empty() {
            return Ok(verifier.finish(head)?);
        }
        part = store.audit_rows(last, PART).await?;
    }
}
