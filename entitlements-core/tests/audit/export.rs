//! A log that was exported as lines: it verifies as the chain does, and what is wrong has a line.

use std::error::Error;

use chrono::TimeDelta;
use entitlements_core::audit::{
    AuditHead, AuditLine, AuditRow, BrokenExport, ChainProblem, ExportVerifier, InvalidLine, Verified,
};
use entitlements_core::memory::MemoryStore;
use entitlements_core::store::{AuditStore, ErasureStore};
use entitlements_core::testkit::fixtures::{audited, company, now};

/// Three entries, of which one is of an erased company.
async fn export() -> Vec<String> {
    let store = MemoryStore::default();
    let mut records = [audited("a", "acme"), audited("b", "globex"), audited("c", "acme")];
    records[2].entry.at += TimeDelta::microseconds(1);
    store.append(&records).await.unwrap();
    store.erase(&company("globex"), now()).await.unwrap();
    let export = store.audit_rows(0, 10).await.unwrap();
    let ends = AuditLine::Ends { base: export.base, head: export.head };
    let entries = export.rows.into_iter().map(|row| AuditLine::Entry(Box::new(row)));
    std::iter::once(ends).chain(entries).map(|line| line.to_string()).collect()
}

fn verify(lines: &[String], anchors: &[AuditHead]) -> Result<Verified, BrokenExport> {
    let mut verifier = ExportVerifier::new(anchors);
    lines.iter().try_for_each(|line| verifier.check(line))?;
    verifier.finish()
}

/// Line, and what is wrong there.
fn wrong(lines: &[String]) -> (u64, String) {
    match verify(lines, &[]).unwrap_err() {
        BrokenExport::Line { line, source } => (line, source.to_string()),
        BrokenExport::Chain { line, source } => (line, source.problem.to_string()),
        other => (0, other.to_string()),
    }
}

#[tokio::test]
async fn an_exported_log_verifies_without_its_store() {
    let lines = export().await;
    let verified = verify(&lines, &[]).unwrap();
    assert_eq!((verified.rows, verified.erased, verified.head.sequence), (3, 1, 3));
    assert_eq!(verify(&lines, &[verified.head]).unwrap(), verified);
    for line in &lines {
        assert_eq!(line.parse::<AuditLine>().unwrap().to_string(), *line);
    }
    let entry: AuditRow = serde_json::from_str(&lines[3]).unwrap();
    assert_eq!(lines[3].parse(), Ok(AuditLine::Entry(Box::new(entry))));
}

#[tokio::test]
async fn a_line_that_cannot_be_read_is_named_with_its_field() {
    let lines = export().await;
    for (old, new, expected) in [
        (
            "\"allowed\":false",
            "\"allowed\":\"yes\"",
            "field `allowed`: invalid type: string \"yes\", expected a boolean",
        ),
        ("\"sequence\":2", "\"sequence\":-2", "field `sequence`: invalid value: integer `-2`, expected u64"),
        ("\"feature\":", "\"features\":", "field `feature` is missing"),
        ("\"latencyUs\":", "\"extra\":1,\"latencyUs\":", "field `extra` is not known"),
        ("\"at\":\"", "\"at\":\"the ", "field `at`: input contains invalid characters"),
    ] {
        let mut lines = lines.clone();
        assert!(lines[2].contains(old), "{old} is in {}", lines[2]);
        lines[2] = lines[2].replace(old, new);
        assert_eq!(wrong(&lines), (3, expected.to_owned()));
    }
    for (line, text, expected) in [
        (2, "", "expected an object of JSON: EOF while parsing a value at line 1 column 0"),
        (1, lines[0].as_str(), "the first line, and no other, says where the log begins and ends"),
        (0, lines[1].as_str(), "the first line, and no other, says where the log begins and ends"),
    ] {
        let mut lines = lines.clone();
        lines[line] = text.to_owned();
        assert_eq!(wrong(&lines), (line as u64 + 1, expected.to_owned()));
    }
    assert_eq!(verify(&[], &[]), Err(BrokenExport::Line { line: 1, source: InvalidLine::Ends }));
}

#[tokio::test]
async fn what_was_changed_after_the_export_is_found_in_its_line() {
    let lines = export().await;
    let mut changed = lines.clone();
    changed[3] = changed[3].replace("\"allowed\":false", "\"allowed\":true");
    assert_eq!(wrong(&changed), (4, ChainProblem::Changed.to_string()));
    let mut renamed = lines.clone();
    renamed[1] = renamed[1].replace("acme", "initech");
    assert_eq!(wrong(&renamed), (2, ChainProblem::PersonsChanged.to_string()));
    let mut without = lines.clone();
    without.remove(2);
    assert_eq!(wrong(&without), (3, ChainProblem::Missing.to_string()));
    assert_eq!(wrong(&lines[..3]), (3, ChainProblem::Short.to_string()));
    let elsewhere = AuditHead { sequence: 2, hash: AuditHead::START.hash };
    let error = verify(&lines, &[elsewhere]).unwrap_err();
    assert_eq!(error.to_string(), "line 3 of the export");
    let cause = error.source().unwrap().to_string();
    assert_eq!(cause, "entry 2 of the audit log: its hash is not the one that was kept elsewhere");
}
