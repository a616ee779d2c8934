//! The figures of the stores, which print their own tables, as a section of the report.

use std::sync::{Mutex, PoisonError};

use crate::Failure;
use crate::frame::{Claim, Pace, Section, Spread, Target};

const TITLE: &str = "Stores";

/// What is printed while somebody listens.
static HEARD: Mutex<Option<Vec<String>>> = Mutex::new(None);

/// Keeps a printed line if somebody listens; says whether it did.
pub(crate) fn hear(line: &str) -> bool {
    let mut heard = HEARD.lock().unwrap_or_else(PoisonError::into_inner);
    heard.as_mut().map(|lines| lines.push(line.to_owned())).is_some()
}

/// Runs the benchmark of the stores and listens to it. It takes minutes, so a quick run does without it.
pub(crate) fn run(pace: Pace) -> Result<Section, Failure> {
    if pace == Pace::Quick {
        let mut section = Section::new(TITLE);
        section.say("*Left out of a quick run.*");
        return Ok(section);
    }
    let listen = |lines| HEARD.lock().unwrap_or_else(PoisonError::into_inner).replace(lines);
    listen(Vec::new());
    let result = crate::stores::run();
    let lines = HEARD.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default();
    result?;
    Ok(section(&lines))
}

fn section(lines: &[String]) -> Section {
    let mut section = Section::new(TITLE);
    section.say(
        "Beside each store a raw statement that does the least of the same work: a SELECT of the same rows, and a conditional \
         UPDATE that also keeps an idempotency key. That a load, a debit and a cold `check` are one round trip each is counted \
         on the wire by tests.",
    );
    let (mut block, mut backend, mut heads) = (String::new(), "", "");
    for line in lines {
        let is_row = line.starts_with('|');
        if is_row != block.starts_with('|') && !block.is_empty() {
            section.say(std::mem::take(&mut block));
        }
        if is_row && block.is_empty() {
            heads = line;
        }
        if !is_row && let Some((name, _)) = line.split_once(':') {
            backend = name;
        }
        // Tables that do not compare with the raw statement claim nothing.
        if is_row && heads.contains("raw") {
            section.claims.extend(claim(backend, heads, line));
        }
        block.push_str(line);
        block.push('\n');
    }
    section.say(block);
    section
}

fn cells(row: &str) -> impl Iterator<Item = &str> {
    row.trim_matches('|').split('|').map(str::trim)
}

/// What a row of the stores' tables claims.
fn claim(backend: &str, heads: &str, row: &str) -> Option<Claim> {
    // The first ratio is that of the time; others may follow.
    let column = cells(heads).position(|head| matches!(head, "ratio" | "against raw"))?;
    let (first, second) = (cells(row).next()?, cells(row).nth(1)?);
    let ratio = cells(row).nth(column)?.parse().ok()?;
    // The table of the hot row has no tasks, and a plain debit there is what the others are meant to beat.
    let is_hot = cells(heads).any(|head| head == "against raw");
    let tasks = || if second == "1" { "1 task".to_owned() } else { format!("{second} tasks") };
    let (path, what, target, limit) = match first {
        "load" => (
            "`check`, cold",
            format!("loading a company against a raw SELECT of the same rows, {backend}, {}", tasks()),
            Target::AtMost(1.5),
            "more tables are read than the raw statement reads, and their rows are checked",
        ),
        "debit" if !is_hot => (
            "`consume`, strict",
            format!("against a raw conditional UPDATE with a key, {backend}, {}", tasks()),
            Target::AtMost(1.3),
            "a receipt with the exact split and the alerts that are crossed are written in the same step",
        ),
        "Grouped" => (
            "`consume`, hot row",
            format!("throughput of 64 tasks in groups, against the raw UPDATE, {backend}"),
            Target::AtLeast(10.0),
            "each debit of a group still has a receipt of its own, with its key; a lease has none, and keeps this target",
        ),
        "LeasedMeter" => (
            "`consume`, hot row",
            format!("throughput of 64 tasks out of a lease, against the raw UPDATE, {backend}"),
            Target::AtLeast(10.0),
            "the store could not refill the lease in time",
        ),
        _ => return None,
    };
    Some(Claim::ratio(path, what, target, Spread::exactly(ratio), limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_of_the_stores_become_blocks_and_claims() {
        let lines = [
            "load of the machine: 0.1",
            "SQLite, durability Full: calls in turn, medians of 15 rounds of 150ms",
            "| what | tasks | raw µs per call | store µs per call | ratio | raw CPU µs | store CPU µs | ratio |",
            "|---|---|---|---|---|---|---|---|",
            "| load | 8 | 10.0 | 12.0 | 1.20 | 5.0 | 10.0 | 2.00 |",
            "SQLite, durability Full: a document for each company; one task",
            "| what | tasks | rows µs per call | document µs per call | ratio |",
            "|---|---|---|---|---|",
            "| load | 1 | 10.0 | 5.0 | 0.50 |",
            "SQLite, durability Full: hot row, 64 tasks",
            "| way | consumptions per second | against raw |",
            "|---|---|---|",
            "| raw UPDATE with a key | 4000 | 1.00 |",
            "| debit | 3900 | 0.97 |",
            "| Grouped | 44000 | 11.00 |",
            "| LeasedMeter | 5000000 | 1234.50 |",
        ];
        let section = section(&lines.map(str::to_owned));
        let claims: Vec<_> = section.claims.iter().map(|claim| (claim.path, claim.measured.median)).collect();
        assert_eq!(
            claims,
            [("`check`, cold", 1.2), ("`consume`, hot row", 11.0), ("`consume`, hot row", 1234.5)]
        );
        assert!(section.claims[0].what.ends_with("SQLite, durability Full, 8 tasks"));
        assert_eq!(section.blocks.len(), 7, "{:?}", section.blocks);
    }
}
