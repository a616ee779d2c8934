//! Writes the audit log of a database as lines of JSON: where it begins and ends, then its entries. The database is only read.
//!
//! ```sh
//! cargo run -p entitlements-sqlx --example export_audit -- sqlite:///var/lib/platform.db > audit.jsonl
//! ```

#[expect(dead_code, reason = "an export comes from a database only")]
mod reading;

use std::io::{BufWriter, Write, stdout};
use std::process::ExitCode;

use entitlements_core::audit::AuditLine;

use reading::{Failure, chain, open, read};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", chain(&*error));
            ExitCode::from(2)
        }
    }
}

async fn run() -> Result<(), Failure> {
    let url = std::env::args().nth(1).ok_or("expected the URL of a database")?;
    let begin = |base, head| {
        let mut lines = BufWriter::new(stdout().lock());
        writeln!(lines, "{}", AuditLine::Ends { base, head })?;
        Ok(lines)
    };
    let write = |lines: &mut BufWriter<_>, row| Ok(writeln!(lines, "{}", AuditLine::Entry(Box::new(row)))?);
    Ok(read(&*open(&url).await?, begin, write).await?.flush()?)
}
