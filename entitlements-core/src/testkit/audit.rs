//! Cases about the audit log: in order, once, and in one chain.

use std::sync::Arc;

use chrono::TimeDelta;
use tokio::sync::Barrier;

use super::fixtures::{audited, company, now, user};
use super::hostile::hostile_ids;
use crate::audit::{AuditEntry, AuditHead, AuditRecord, AuditRow, AuditSource, Verifier, link};
use crate::observer::Tier;
use crate::store::{AuditStore, Page, PageRequest, StoreErrorKind};

/// Every row of the chain, which must verify.
pub(super) async fn chain(store: &impl AuditStore) -> Vec<AuditRow> {
    let whole = store.audit_rows(0, 10_000).await.unwrap();
    let mut verifier = Verifier::new(whole.base);
    for row in &whole.rows {
        verifier.check(row).unwrap();
    }
    verifier.finish(whole.head).unwrap();
    whole.rows
}

/// The entries of the only page.
pub(super) async fn entries(store: &impl AuditStore, company: &str) -> Vec<AuditEntry> {
    let Page { items, next } = page(store, company, 1000, None).await;
    assert_eq!(next, None);
    items
}

/// Appends records, if the store keeps a log; whether it does.
pub(super) async fn appended(store: &impl AuditStore, records: &[AuditRecord]) -> bool {
    let answer = store.append(records).await;
    if answer.as_ref().is_err_and(|error| error.kind() == StoreErrorKind::Unsupported) {
        return false;
    }
    answer.unwrap();
    true
}

/// The entries of the only page, if the store keeps a log.
pub(super) async fn entries_if_kept(store: &impl AuditStore, company: &str) -> Option<Vec<AuditEntry>> {
    let answer = store.audit_page(&self::company(company), &PageRequest::first(1)).await;
    if answer.is_err_and(|error| error.kind() == StoreErrorKind::Unsupported) {
        return None;
    }
    Some(entries(store, company).await)
}

async fn page(
    store: &impl AuditStore,
    company: &str,
    limit: usize,
    cursor: Option<String>,
) -> Page<AuditEntry> {
    store.audit_page(&self::company(company), &PageRequest { limit, cursor }).await.unwrap()
}

/// A record at so many seconds after [`now`].
fn later(id: &str, company: &str, seconds: i64) -> AuditRecord {
    let mut record = audited(id, company);
    record.entry.at = now() + TimeDelta::seconds(seconds);
    record
}

fn ids(rows: &[AuditRow]) -> Vec<&str> {
    rows.iter().map(|row| row.id.as_str()).collect()
}

/// Every part of an entry is kept, absent ones included.
pub async fn an_entry_is_read_back_as_it_was_appended(store: &impl AuditStore) {
    let full = AuditRecord {
        entry: AuditEntry {
            at: now() + TimeDelta::microseconds(7),
            user: Some(user("ann")),
            feature: "no such \"feature\"".into(),
            resource: Some("report:\u{e9}\\".into()),
            allowed: true,
            source: AuditSource { kind: "grant".into(), id: Some("g-1".into()) },
            tier: Tier::Degraded,
            latency_us: i64::MAX.unsigned_abs(),
            ..audited("a", "acme").entry
        },
        ..audited("a", "acme")
    };
    let bare = AuditRecord {
        entry: AuditEntry {
            source: AuditSource { kind: "default".into(), id: None },
            ..audited("b", "acme").entry
        },
        ..audited("b", "acme")
    };
    store.append(&[full.clone(), bare.clone()]).await.unwrap();
    assert_eq!(entries(store, "acme").await, [full.entry, bare.entry]);
}

/// Instants are kept to the microsecond, and what is hashed is what is kept.
pub async fn instants_of_entries_are_kept_to_the_microsecond(store: &impl AuditStore) {
    let mut record = audited("a", "acme");
    record.entry.at += TimeDelta::nanoseconds(1_999);
    store.append(&[record]).await.unwrap();
    assert_eq!(chain(store).await[0].entry.at, now() + TimeDelta::microseconds(1));
}

/// A company about which nothing was decided has an empty page.
pub async fn a_company_without_entries_has_an_empty_page(store: &impl AuditStore) {
    store.append(&[audited("a", "acme")]).await.unwrap();
    assert_eq!(entries(store, "other").await, []);
    assert_eq!(entries(store, "acme").await.len(), 1);
}

/// Entries come from the newest instant to the oldest, also when they were appended in another order; those of one instant
/// from the last that was appended to the first.
pub async fn entries_are_listed_newest_first(store: &impl AuditStore) {
    store.append(&[later("a", "acme", 2), later("b", "acme", 1), later("c", "other", 9)]).await.unwrap();
    store.append(&[later("d", "acme", 3), later("e", "acme", 1)]).await.unwrap();
    let mut same = later("f", "acme", 1);
    same.entry.feature = "last".into();
    store.append(&[same]).await.unwrap();
    let listed = entries(store, "acme").await;
    let seconds: Vec<_> = listed.iter().map(|entry| (entry.at - now()).num_seconds()).collect();
    assert_eq!(seconds, [3, 2, 1, 1, 1]);
    assert_eq!(listed[2].feature, "last");
}

/// Pages hold every entry once.
pub async fn pages_of_entries_follow_each_other(store: &impl AuditStore) {
    // Several of one instant, so that the instant alone is no place.
    let records: Vec<_> = (0..7).map(|n| later(&format!("r{n}"), "acme", n / 3)).collect();
    store.append(&records).await.unwrap();
    for limit in 1..=8 {
        let (mut seen, mut cursor) = (Vec::new(), None);
        loop {
            let page = page(store, "acme", limit, cursor).await;
            assert!(page.items.len() <= limit);
            seen.extend(page.items);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, entries(store, "acme").await, "pages of {limit}");
    }
}

/// What is appended meanwhile is not on the next page, and moves nothing.
pub async fn new_entries_do_not_move_the_next_page(store: &impl AuditStore) {
    let records: Vec<_> = (0..4).map(|n| later(&format!("r{n}"), "acme", n)).collect();
    store.append(&records).await.unwrap();
    let first = page(store, "acme", 2, None).await;
    store.append(&[later("new", "acme", 9)]).await.unwrap();
    let second = page(store, "acme", 2, first.next).await;
    assert_eq!(second.items, [records[1].entry.clone(), records[0].entry.clone()]);
    assert_eq!(second.next, None);
}

/// A text that is no cursor is refused.
pub async fn an_audit_cursor_that_no_page_gave_is_refused(store: &impl AuditStore) {
    for cursor in ["", ":", "x", "1", "1:", ":1", "x:1", "1:x"] {
        let page = PageRequest { limit: 1, cursor: Some(cursor.into()) };
        let error = store.audit_page(&company("acme"), &page).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unsupported, "{cursor:?}");
    }
}

/// Rows are numbered without a gap, and linked as [`link`] links them.
pub async fn entries_are_linked_to_a_chain(store: &impl AuditStore) {
    let first = [audited("a", "acme"), audited("b", "other")];
    let second = [audited("c", "acme")];
    store.append(&first).await.unwrap();
    store.append(&second).await.unwrap();
    let mut expected = link(AuditHead::START, &first);
    let head = AuditHead { sequence: 2, hash: expected[1].hash };
    expected.extend(link(head, &second));
    assert_eq!(chain(store).await, expected);
}

/// A record that is appended again, alone or among others, is left out.
pub async fn an_entry_appended_again_is_left_out(store: &impl AuditStore) {
    let records: Vec<_> = ["a", "b", "c"].map(|id| audited(id, "acme")).into();
    store.append(&records[..2]).await.unwrap();
    store.append(&records[..2]).await.unwrap();
    store.append(&records).await.unwrap();
    assert_eq!(ids(&chain(store).await), ["a", "b", "c"]);
}

/// What no backend can keep is refused, with all that comes with it.
pub async fn a_malformed_entry_is_unsupported(store: &impl AuditStore) {
    let mut with_nul = audited("nul", "acme");
    with_nul.entry.feature = "a\0b".into();
    let mut too_long = audited("long", "acme");
    too_long.entry.latency_us = u64::MAX;
    for malformed in [audited("", "acme"), audited("i\0d", "acme"), with_nul, too_long] {
        let error = store.append(&[audited("good", "acme"), malformed.clone()]).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unsupported, "{malformed:?}");
    }
    assert_eq!(entries(store, "acme").await, []);
}

/// Nothing can be appended, and changes nothing.
pub async fn appending_nothing_changes_nothing(store: &impl AuditStore) {
    store.append(&[]).await.unwrap();
    assert_eq!(store.audit_rows(0, 10).await.unwrap().head, AuditHead::START);
}

/// Many entries are appended at once.
pub async fn a_large_batch_is_appended(store: &impl AuditStore) {
    let records: Vec<_> = (0..2_000).map(|n| later(&format!("r{n}"), "acme", n)).collect();
    store.append(&records).await.unwrap();
    assert_eq!(chain(store).await.len(), 2_000);
}

/// However many append at once, there is one chain, and each batch stays together and in order.
pub async fn racing_appends_make_one_chain<S: AuditStore + Clone>(store: &S) {
    const RACERS: usize = 8;
    let barrier = Arc::new(Barrier::new(RACERS));
    let racers: Vec<_> = (0..RACERS)
        .map(|racer| {
            let (store, barrier) = (store.clone(), Arc::clone(&barrier));
            tokio::spawn(async move {
                barrier.wait().await;
                for batch in 0..5 {
                    let records = [0, 1, 2].map(|n| audited(&format!("{racer} {batch} {n}"), "acme"));
                    // Losing too often against the others is no mistake; an outcome that was not asked for is.
                    while let Err(error) = store.append(&records).await {
                        assert_eq!(error.kind(), StoreErrorKind::Contention);
                    }
                }
            })
        })
        .collect();
    for racer in racers {
        racer.await.unwrap();
    }
    let rows = chain(store).await;
    assert_eq!(rows.len(), RACERS * 5 * 3);
    for batch in rows.chunks(3) {
        let (name, _) = batch[0].id.rsplit_once(' ').unwrap();
        let expected = [0, 1, 2].map(|n| format!("{name} {n}"));
        assert_eq!(ids(batch), expected);
    }
}

/// The same records, appended by many at once, are appended once.
pub async fn racing_appends_of_the_same_entries_count_once<S: AuditStore + Clone>(store: &S) {
    let records: Arc<Vec<_>> = Arc::new((0..5).map(|n| audited(&format!("r{n}"), "acme")).collect());
    let barrier = Arc::new(Barrier::new(8));
    let racers: Vec<_> = (0..8)
        .map(|_| {
            let (store, barrier, records) = (store.clone(), Arc::clone(&barrier), Arc::clone(&records));
            tokio::spawn(async move {
                barrier.wait().await;
                while let Err(error) = store.append(&records).await {
                    assert_eq!(error.kind(), StoreErrorKind::Contention);
                }
            })
        })
        .collect();
    for racer in racers {
        racer.await.unwrap();
    }
    assert_eq!(ids(&chain(store).await), ["r0", "r1", "r2", "r3", "r4"]);
}

/// What is old goes, and the rest verifies from where it begins; new entries are linked to it.
pub async fn old_entries_expire_from_the_beginning(store: &impl AuditStore) {
    let records: Vec<_> = (0..4).map(|n| later(&format!("r{n}"), "acme", n)).collect();
    store.append(&records).await.unwrap();
    let second = chain(store).await[1].clone();
    let base = store.expire_audit(now() + TimeDelta::seconds(2)).await.unwrap();
    assert_eq!(base, AuditHead { sequence: 2, hash: second.hash });
    assert_eq!(store.audit_rows(0, 10).await.unwrap().base, base);
    assert_eq!(ids(&chain(store).await), ["r2", "r3"]);
    assert_eq!(entries(store, "acme").await.len(), 2);
    store.append(&[later("r4", "acme", 4)]).await.unwrap();
    assert_eq!(ids(&chain(store).await), ["r2", "r3", "r4"]);
}

/// What stands behind an entry that is not old stays with it, so that the chain has no hole.
pub async fn expiry_stops_at_the_first_entry_that_is_not_old(store: &impl AuditStore) {
    store.append(&[later("a", "acme", 0), later("b", "acme", 9), later("c", "acme", 1)]).await.unwrap();
    store.expire_audit(now() + TimeDelta::seconds(5)).await.unwrap();
    assert_eq!(ids(&chain(store).await), ["b", "c"]);
    // Nothing more is old, and an earlier instant brings nothing back.
    for seconds in [5, 0] {
        let base = store.expire_audit(now() + TimeDelta::seconds(seconds)).await.unwrap();
        assert_eq!(base.sequence, 1);
    }
}

/// A clock that was ahead does not keep the log for as long as it was, and takes nothing with it that is not old.
pub async fn an_entry_of_the_future_goes_with_those_behind_it(store: &impl AuditStore) {
    let future = |id| later(id, "acme", 1_000_000_000);
    let records = [
        future("a"),
        later("b", "acme", 0),
        future("c"),
        later("d", "acme", 1),
        future("e"),
        later("f", "acme", 5),
        future("g"),
        later("h", "acme", 1),
        future("i"),
    ];
    store.append(&records).await.unwrap();
    let expire = async |before, at| {
        let [before, at] = [before, at].map(|seconds| now() + TimeDelta::seconds(seconds));
        let base = store.expire_audit_at(before, at).await.unwrap();
        assert_eq!(store.audit_rows(0, 10).await.unwrap().base, base);
        chain(store).await.iter().map(|row| row.id.clone()).collect::<String>()
    };
    // `e` stands before one that is not old.
    assert_eq!(expire(2, 10).await, "efghi");
    assert_eq!(expire(2, 10).await, "efghi");
    // Of now is not of the future.
    assert_eq!(expire(5, 5).await, "efghi");
    assert_eq!(expire(6, 10).await, "i");
    assert_eq!(expire(6, 2_000_000_000).await, "i");
    assert_eq!(expire(1_000_000_001, 2_000_000_000).await, "");
}

/// Also those of a process that had a wrong clock for long.
pub async fn however_many_entries_of_the_future_hold_up_no_expiry(store: &impl AuditStore) {
    const MANY: i64 = 10_100;
    let mut records: Vec<_> = (0..MANY).map(|n| later(&format!("r{n}"), "acme", 1_000_000 + n)).collect();
    records.push(later("old", "acme", 0));
    records.push(later("new", "acme", 9));
    store.append(&records).await.unwrap();
    let base =
        store.expire_audit_at(now() + TimeDelta::seconds(5), now() + TimeDelta::seconds(9)).await.unwrap();
    assert_eq!(base.sequence, MANY.unsigned_abs() + 1);
    assert_eq!(ids(&chain(store).await), ["new"]);
}

/// A chain whose entries are all gone goes on where it was.
pub async fn a_chain_goes_on_after_all_of_it_expired(store: &impl AuditStore) {
    store.append(&[later("a", "acme", 0), later("b", "acme", 1)]).await.unwrap();
    let head = store.audit_rows(0, 10).await.unwrap().head;
    assert_eq!(store.expire_audit(now() + TimeDelta::days(1)).await.unwrap(), head);
    let empty = store.audit_rows(0, 10).await.unwrap();
    assert_eq!((empty.base, empty.head, empty.rows), (head, head, Vec::new()));
    store.append(&[later("c", "acme", 2)]).await.unwrap();
    assert_eq!(chain(store).await[0].sequence, 3);
}

/// The chain is read in parts.
pub async fn a_part_of_the_chain_is_exported(store: &impl AuditStore) {
    let records: Vec<_> = (0..5).map(|n| audited(&format!("r{n}"), "acme")).collect();
    store.append(&records).await.unwrap();
    let part = store.audit_rows(1, 2).await.unwrap();
    assert_eq!(ids(&part.rows), ["r1", "r2"]);
    assert_eq!((part.base, part.head.sequence), (AuditHead::START, 5));
    assert_eq!(store.audit_rows(5, 2).await.unwrap().rows, []);
}

/// Companies, users and resources with names that are easily mistaken keep their entries apart, and come back.
pub async fn hostile_companies_have_logs_of_their_own(store: &impl AuditStore) {
    let names = hostile_ids();
    let records: Vec<_> = (names.iter())
        .map(|name| {
            let mut record = audited(&format!("of {name}"), name);
            record.entry.user = Some(user(name));
            record.entry.resource = Some(name.clone());
            record
        })
        .collect();
    store.append(&records).await.unwrap();
    for record in records {
        let company = record.entry.company.clone();
        assert_eq!(entries(store, company.as_str()).await, [record.entry], "{company}");
    }
    chain(store).await;
}
