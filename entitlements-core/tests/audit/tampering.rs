//! Tampering: every change to a chain shows, at its place.

use entitlements_core::audit::{
    AuditHash, AuditHead, AuditRecord, AuditRow, AuditSalt, AuditSource, BrokenChain, ChainProblem, Verified,
    Verifier, link,
};
use entitlements_core::observer::Tier;
use entitlements_core::store::{AuditStore, ErasureStore};
use entitlements_core::testkit::fixtures::{audited, company, now, user};
use entitlements_core::{Action, MemoryStore};

/// Changes one field.
type Edit = fn(&mut AuditRow);

/// As many entries, of three companies, the second of which was erased.
async fn rows(number: usize) -> (AuditHead, Vec<AuditRow>) {
    let store = MemoryStore::default();
    let names = ["acme", "gone", "other"].into_iter().cycle();
    let record = |(n, name): (usize, &str)| {
        let mut record = audited(&format!("entry {n}"), name);
        record.salt = AuditSalt::new([u8::try_from(n % 256).unwrap(); 16]);
        record.entry.user = Some(user(&format!("user {}", n % 5)));
        record.entry.resource = (n.is_multiple_of(2)).then(|| format!("report:{n}"));
        if n.is_multiple_of(4) {
            record.entry.source = AuditSource { kind: "grant".into(), id: Some(format!("grant {n}").into()) };
        }
        record
    };
    store.append(&(0..number).zip(names).map(record).collect::<Vec<_>>()).await.unwrap();
    store.erase(&company("gone"), now()).await.unwrap().unwrap();
    let export = store.audit_rows(0, number).await.unwrap();
    (export.head, export.rows)
}

fn verify(rows: &[AuditRow], head: AuditHead) -> Result<Verified, BrokenChain> {
    let mut verifier = Verifier::new(AuditHead::START);
    for row in rows {
        verifier.check(row)?;
    }
    verifier.finish(head)
}

#[tokio::test]
async fn a_chain_with_erased_entries_verifies() {
    let (head, rows) = rows(30).await;
    let verified = verify(&rows, head).unwrap();
    assert_eq!((verified.rows, verified.erased, verified.head), (30, 10, head));
}

#[tokio::test]
async fn every_field_counts() {
    let (head, rows) = rows(12).await;
    let edits: [(&str, Edit); 16] = [
        ("sequence", |row| row.sequence += 1),
        ("id", |row| row.id += "x"),
        ("at", |row| row.entry.at += chrono::TimeDelta::microseconds(1)),
        ("company", |row| row.entry.company = company("rival")),
        ("user", |row| row.entry.user = Some(user("somebody else"))),
        ("feature", |row| row.entry.feature = "another".into()),
        ("action", |row| row.entry.action = Action::Delete),
        ("resource", |row| row.entry.resource = Some("report:x".into())),
        ("allowed", |row| row.entry.allowed = !row.entry.allowed),
        ("reason", |row| row.entry.reason = "allowed_by_plan".into()),
        ("source", |row| row.entry.source.kind = "policy".into()),
        ("source id", |row| row.entry.source.id = Some("other".into())),
        ("tier", |row| row.entry.tier = Tier::Degraded),
        ("latency", |row| row.entry.latency_us += 1),
        ("persons", |row| row.persons = AuditHash::ZERO),
        ("hash", |row| row.hash = AuditHash::ZERO),
    ];
    for (field, edit) in edits {
        for place in 0..rows.len() {
            let mut changed = rows.clone();
            edit(&mut changed[place]);
            let erased = changed[place].salt.is_none();
            match verify(&changed, head) {
                Err(broken) => assert_eq!(broken.sequence, u64::try_from(place).unwrap() + 1, "{field}"),
                // Of an erased company there is no name that could be another one's.
                Ok(_) => panic!("{field} of {place}, erased {erased}"),
            }
        }
    }
}

#[tokio::test]
async fn entries_cannot_be_removed_added_or_moved() {
    let (head, rows) = rows(12).await;
    for place in 0..rows.len() {
        let mut without = rows.clone();
        without.remove(place);
        assert!(verify(&without, head).is_err(), "without {place}");
        let mut twice = rows.clone();
        twice.insert(place, rows[place].clone());
        assert!(verify(&twice, head).is_err(), "{place} twice");
        let mut swapped = rows.clone();
        swapped.swap(place, (place + 5) % 12);
        assert!(verify(&swapped, head).is_err(), "{place} moved");
    }
}

#[tokio::test]
async fn the_salt_cannot_be_changed_or_taken_from_a_name() {
    let (head, rows) = rows(6).await;
    let mut other_salt = rows.clone();
    other_salt[0].salt = Some(AuditSalt::new([9; 16]));
    assert_eq!(verify(&other_salt, head).unwrap_err().problem, ChainProblem::PersonsChanged);
    let mut named = rows.clone();
    named[0].salt = None;
    assert_eq!(verify(&named, head).unwrap_err().problem, ChainProblem::NotErased);
}

/// Who computes the whole chain anew is caught by a head that was kept somewhere else.
#[tokio::test]
async fn a_chain_that_was_computed_anew_does_not_go_through_its_anchor() {
    let (_, rows) = rows(9).await;
    let anchor = AuditHead { sequence: 6, hash: rows[5].hash };
    let forged: Vec<_> = (0..9)
        .map(|n| AuditRecord {
            entry: audited("", "forged").entry,
            ..audited(&format!("entry {n}"), "forged")
        })
        .collect();
    let forged = link(AuditHead::START, &forged);
    let head = AuditHead { sequence: 9, hash: forged[8].hash };
    assert!(verify(&forged, head).is_ok());
    let mut verifier = Verifier::new(AuditHead::START).with_anchor(anchor).unwrap();
    let broken = forged.iter().find_map(|row| verifier.check(row).err()).unwrap();
    assert_eq!(broken, BrokenChain { sequence: 6, problem: ChainProblem::NotAnchored });

    let mut honest = Verifier::new(AuditHead::START).with_anchor(anchor).unwrap();
    for row in &rows {
        honest.check(row).unwrap();
    }
    assert!(honest.finish(AuditHead { sequence: 9, hash: rows[8].hash }).is_ok());
}

#[tokio::test]
async fn a_chain_that_was_cut_off_is_short() {
    let (head, rows) = rows(9).await;
    let cut = AuditHead { sequence: 4, hash: rows[3].hash };
    let short = BrokenChain { sequence: 4, problem: ChainProblem::Short };
    assert_eq!(verify(&rows[..4], head), Err(short));
    // Cut off together with what the store says of its end: only the anchor knows.
    assert!(verify(&rows[..4], cut).is_ok());
    let mut verifier = Verifier::new(AuditHead::START).with_anchor(head).unwrap();
    rows[..4].iter().for_each(|row| verifier.check(row).unwrap());
    assert_eq!(verifier.finish(cut), Err(short));
}

#[tokio::test]
async fn a_chain_without_its_beginning_verifies_from_its_base() {
    let (head, rows) = rows(9).await;
    let base = AuditHead { sequence: 3, hash: rows[2].hash };
    let old = AuditHead { sequence: 1, hash: rows[0].hash };
    let mut verifier = Verifier::new(base).with_anchor(old).unwrap().with_anchor(base).unwrap();
    rows[3..].iter().for_each(|row| verifier.check(row).unwrap());
    assert_eq!(verifier.finish(head).unwrap().unchecked_anchors, 1);
    let forged = AuditHead { sequence: 3, hash: AuditHash::ZERO };
    assert!(Verifier::new(base).with_anchor(forged).is_err());
}

/// An export as JSON, one row a line, verifies like the rows themselves.
#[tokio::test]
async fn rows_survive_their_json() {
    let (head, rows) = rows(9).await;
    let lines: Vec<_> = rows.iter().map(|row| serde_json::to_string(row).unwrap()).collect();
    let read: Vec<AuditRow> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(read, rows);
    assert!(verify(&read, head).is_ok());
}
