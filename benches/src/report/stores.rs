//! The figures of the stores, which print their own tables, as a section of the report.

use std::sync::{Mutex, PoisonError};

use crate::Failure;
use crate::frame::{Claim, Section, Spread, Target};

/// What is printed while somebody listens.
static HEARD: Mutex<Option<Vec<String>>> = Mutex::new(None);

/// Keeps a printed line if somebody listens; says whether it did.
pub(crate) fn hear(line: &str) -> bool {
    let mut heard = HEARD.lock().unwrap_or_else(PoisonError::into_inner);
    heard.as_mut().map(|lines| lines.push(line.to_owned())).is_some()
}

/// Runs the benchmark of the stores and listens to it.
pub(crate) fn run() -> Result<Section, Failure> {
    let listen = |lines| HEARD.lock().unwrap_or_else(PoisonError::into_inner).replace(lines);
    listen(Vec::new());
    let result = crate::stores::run();
    let lines = HEARD.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default();
    result?;
    Ok(section(&lines))
}

fn section(lines: &[String]) -> Section {
    let mut section = Section::new("Stores");
    section.say(
        "Beside each store a raw statement that does the least of the same work: a SELECT of the same rows, and a conditional \
         UPDATE that also keeps an idempotency key. That a load, a debit and a cold `check` are one round trip each is counted \
         on the wire by tests.",
    );
    let (mut block, mut backend) = (String::new(), "");
    for line in lines {
        let is_row = line.starts_with('|');
        if is_row != block.starts_with('|') && !block.is_empty() {
            section.say(std::mem::take(&mut block));
        }
        if !is_row
            && let Some((name, _)) = line.split_once(':').filter(|(_, rest)| rest.contains("rounds of"))
        {
            backend = name;
        }
        section.claims.extend(is_row.then(|| claim(backend, line)).flatten());
        block.push_str(line);
        block.push('\n');
    }
    section.say(block);
    section
}

/// What a row of the stores' tables claims.
fn claim(backend: &str, row: &str) -> Option<Claim> {
    let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
    let (first, ratio) = (*cells.first()?, cells.last()?.parse().ok()?);
    let (path, what, target, limit) = match first {
        "load" => (
            "`check`, cold",
            "loading a company against a raw SELECT of the same rows",
            Target::AtMost(1.5),
            "more tables are read than the raw statement reads, and their rows are checked",
        ),
        "debit" => (
            "`consume`, strict",
            "against a raw conditional UPDATE with a key",
            Target::AtMost(1.3),
            "a receipt with the exact split and the alerts that are crossed are written in the same step",
        ),
        "Grouped" => (
            "`consume`, hot row",
            "throughput of 64 tasks in groups, against the raw UPDATE",
            Target::AtLeast(10.0),
            "every consumption still writes a receipt and its key, whose rows take most of the time of a group",
        ),
        "LeasedMeter" => (
            "`consume`, hot row",
            "throughput of 64 tasks out of a lease, against the raw UPDATE",
            Target::AtLeast(10.0),
            "the store could not refill the lease in time",
        ),
        _ => return None,
    };
    Some(Claim::ratio(path, format!("{what}, {backend}"), target, Spread::exactly(ratio), limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_the_stores_become_blocks_and_claims() {
        let lines = [
            "load of the machine: 0.1",
            "SQLite, every write on the disk: 15 rounds of 200 calls in turn, medians of rounds, one task",
            "| what | raw µs | store µs | ratio |",
            "|---|---|---|---|",
            "| load | 10.0 | 12.0 | 1.20 |",
            "hot row, 64 tasks: best of 3 rounds of 700 ms in turn",
            "| way | consumptions per second | against raw |",
            "|---|---|---|",
            "| LeasedMeter | 5000000 | 1234.50 |",
        ];
        let section = section(&lines.map(str::to_owned));
        let claims: Vec<_> = section.claims.iter().map(|claim| (claim.path, claim.measured.median)).collect();
        assert_eq!(claims, [("`check`, cold", 1.2), ("`consume`, hot row", 1234.5)]);
        assert!(section.claims[0].what.ends_with("SQLite, every write on the disk"));
        assert_eq!(section.blocks.len(), 5, "{:?}", section.blocks);
    }
}
