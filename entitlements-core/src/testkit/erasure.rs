//! Cases about forgetting: all of one company, nothing of another, and the log goes on.

mod retention;

use chrono::TimeDelta;

use super::audit::{appended, chain, entries, entries_if_kept};
use super::fixtures::{
    addon, audited, company, debit, facts, feature, grant, grant_id, key, monthly, now, overriding, recorded,
    subscription, subscription_id, units, used, user,
};
use crate::audit::{AuditSource, PSEUDONYM};
use crate::facts::{Facts, Revision};
use crate::store::{Inserted, PageRequest, Store};
use crate::subscription::Subscription;
use crate::usage::Counter;

pub use retention::*;

fn alerting() -> Counter {
    Counter { alerts: vec![(80, units(4))], ..monthly(5) }
}

/// Writes something of every kind about a company.
async fn populate(store: &impl Store, name: &str) {
    let company = company(name);
    let id = format!("sub of {name}");
    store.put_subscription(&subscription(&id, name), now()).await.unwrap();
    let free = Subscription { plan: super::fixtures::plan("free"), ..subscription(&id, name) };
    store.put_subscription(&free, now()).await.unwrap();
    store.put_addon(&company, &addon("pack", 2)).await.unwrap();
    store.put_override(&company, &overriding("seats", 5)).await.unwrap();
    store.put_override(&company, &overriding("reports", 5)).await.unwrap();
    store.insert_grant(&grant(&format!("grant of {name}"), name)).await.unwrap();
    recorded(store, &debit(name, "k", 4, [alerting()])).await;
    let refunded = recorded(store, &debit(name, "l", 1, [monthly(5)])).await;
    store.refund(&company, &refunded.id, now()).await.unwrap();
    let mut record = audited(&format!("entry of {name}"), name);
    record.entry.user = Some(user("ann"));
    record.entry.resource = Some("report:1".into());
    record.entry.source = AuditSource { kind: "grant".into(), id: Some(format!("grant of {name}").into()) };
    appended(store, &[record, audited(&format!("other entry of {name}"), name)]).await;
}

/// Erases a company that is known.
async fn erased(store: &impl Store, name: &str) -> Revision {
    store.erase(&company(name), now()).await.unwrap().expect("something is known about the company")
}

/// Nothing is left that could be read.
async fn assert_gone(store: &impl Store, name: &str) {
    let company = company(name);
    let left = facts(store, name).await;
    let empty = Facts {
        revision: left.revision,
        policies_revision: left.policies_revision,
        ..Facts::empty(company.clone())
    };
    assert_eq!(left, empty);
    let subscription = subscription_id(&format!("sub of {name}"));
    assert_eq!(store.subscription(&subscription).await.unwrap(), None);
    assert_eq!(store.subscription_history(&subscription).await.unwrap(), []);
    assert_eq!(store.find_grant(&grant_id(&format!("grant of {name}"))).await.unwrap(), None);
    assert_eq!(store.list_grants(&company, &PageRequest::first(10)).await.unwrap().items, []);
    for name in ["k", "l"] {
        assert_eq!(store.receipt(&company, &key(name)).await.unwrap(), None);
    }
    let alerts = store.pending_alerts(100).await.unwrap();
    assert!(alerts.iter().all(|alert| alert.company != company), "{alerts:?}");
    assert_eq!(entries_if_kept(store, name).await.unwrap_or_default(), []);
}

/// Everything about the company is gone.
pub async fn an_erasure_removes_every_fact(store: &impl Store) {
    populate(store, "acme").await;
    erased(store, "acme").await;
    assert_gone(store, "acme").await;
}

/// Nothing about another company is gone.
pub async fn an_erasure_leaves_other_companies_alone(store: &impl Store) {
    for name in ["acme", "other"] {
        populate(store, name).await;
    }
    let (before, log) = (facts(store, "other").await, entries_if_kept(store, "other").await);
    erased(store, "acme").await;
    assert_eq!(facts(store, "other").await, before);
    assert_eq!(entries_if_kept(store, "other").await, log);
    assert_eq!(store.pending_alerts(10).await.unwrap().len(), 1);
    let history = store.subscription_history(&subscription_id("sub of other")).await.unwrap();
    assert_eq!(history.len(), 2);
    assert!(store.receipt(&company("other"), &key("l")).await.unwrap().unwrap().refunded_at.is_some());
}

/// The revision grows, so that whoever keeps the facts notices.
pub async fn an_erasure_takes_a_revision(store: &impl Store) {
    populate(store, "acme").await;
    let before = facts(store, "acme").await.revision;
    let revision = erased(store, "acme").await;
    assert!(revision > before, "{revision} after {before}");
    assert_eq!(facts(store, "acme").await.revision, revision);
    let Inserted::Now(next) = store.insert_grant(&grant("g", "other")).await.unwrap() else { panic!() };
    assert!(next > revision);
}

/// The same ids, keys and thresholds are new again.
pub async fn a_company_that_comes_back_starts_with_nothing(store: &impl Store) {
    for round in 0..3 {
        populate(store, "acme").await;
        let known = facts(store, "acme").await;
        assert_eq!((known.grants.len(), known.addons.len(), known.plan_changes.len()), (1, 1, 1));
        assert_eq!(used(store, "acme", &monthly(5)).await, 4);
        assert_eq!(store.pending_alerts(10).await.unwrap().len(), 1, "round {round}");
        // An id of the log that was used is used.
        if let Some(log) = entries_if_kept(store, "acme").await {
            assert_eq!(log.len(), if round == 0 { 2 } else { 0 });
        }
        erased(store, "acme").await;
        assert_gone(store, "acme").await;
    }
}

/// A company of which nothing is known is not erased.
pub async fn an_unknown_company_is_not_erased(store: &impl Store) {
    populate(store, "acme").await;
    let before = facts(store, "acme").await;
    assert_eq!(store.erase(&company("nobody"), now()).await.unwrap(), None);
    assert_eq!(facts(store, "nobody").await.revision, Revision(0));
    assert_eq!(facts(store, "acme").await, before);
}

/// The second erasure finds nothing, and takes no revision.
pub async fn a_second_erasure_changes_nothing(store: &impl Store) {
    populate(store, "acme").await;
    let revision = erased(store, "acme").await;
    assert_eq!(store.erase(&company("acme"), now()).await.unwrap(), None);
    assert_eq!(facts(store, "acme").await.revision, revision);
}

/// One thing of any kind makes a company known.
pub async fn a_trace_is_enough_to_be_erased(store: &impl Store) {
    let keeps_log = appended(store, &[audited("e", "by its log")]).await;
    recorded(store, &debit("by its usage", "k", 1, [monthly(5)])).await;
    store.insert_grant(&grant("g", "by a grant")).await.unwrap();
    store.put_addon(&company("by an add-on"), &addon("pack", 0)).await.unwrap();
    let known = ["by its usage", "by a grant", "by an add-on"];
    for name in known.into_iter().chain(keeps_log.then_some("by its log")) {
        erased(store, name).await;
        assert_gone(store, name).await;
        assert_eq!(store.erase(&company(name), now()).await.unwrap(), None, "{name}");
    }
}

/// What comes after an erasure, of any kind, can be erased again.
pub async fn an_erased_company_is_erased_again_when_it_comes_back(store: &impl Store) {
    populate(store, "acme").await;
    erased(store, "acme").await;
    if appended(store, &[audited("late", "acme")]).await {
        erased(store, "acme").await;
    }
    recorded(store, &debit("acme", "k", 1, [monthly(5)])).await;
    erased(store, "acme").await;
    store.put_override(&company("acme"), &overriding("reports", 9)).await.unwrap();
    store.remove_override(&company("acme"), &feature("reports")).await.unwrap().unwrap();
    erased(store, "acme").await;
    assert_gone(store, "acme").await;
}

/// Entries stay, without the persons, under one new name for each erasure, and the chain holds.
pub async fn erased_entries_stay_under_a_pseudonym(store: &impl Store) {
    populate(store, "acme").await;
    populate(store, "other").await;
    let before = chain(store).await;
    erased(store, "acme").await;
    store.append(&[audited("late", "acme")]).await.unwrap();
    erased(store, "acme").await;
    let after = chain(store).await;
    assert_eq!(after.len(), before.len() + 1);
    let names: Vec<_> = after.iter().map(|row| row.entry.company.as_str()).collect();
    assert!(names[0].starts_with(PSEUDONYM), "{names:?}");
    assert_eq!((names[1], &names[2..4]), (names[0], &["other", "other"][..]));
    assert!(names[4].starts_with(PSEUDONYM) && names[4] != names[0], "{names:?}");
    for (row, was) in after.iter().zip(&before).take(2) {
        let mut expected = was.clone();
        expected.entry.company = row.entry.company.clone();
        expected.entry.user = None;
        expected.entry.resource = None;
        if was.entry.source.kind == "grant" {
            expected.entry.source.id = None;
        }
        expected.salt = None;
        assert_eq!(*row, expected);
    }
    assert_eq!(after[1].entry.source.id.as_deref(), Some("pro"), "a plan is nobody's");
    assert_eq!(after[2..4], before[2..4]);
    assert_eq!(entries(store, names[0]).await.len(), 2);
}

/// An entry of what was before an erasure, which another process appends after it, is nobody's as well, and the chain goes on.
pub async fn late_entries_of_an_erased_company_are_nobodys(store: &impl Store) {
    populate(store, "acme").await;
    erased(store, "acme").await;
    let entry = |id: &str, name: &str, at| {
        let mut record = audited(id, name);
        record.entry.at = at;
        record.entry.user = Some(user("ann"));
        record.entry.resource = Some("report:1".into());
        record
    };
    let (before, after) = (now() - TimeDelta::seconds(1), now() + TimeDelta::seconds(1));
    let late = [entry("late", "acme", before), entry("new", "acme", after), entry("other", "other", before)];
    store.append(&late).await.unwrap();
    let rows = chain(store).await;
    let [late, new, other] = rows.last_chunk().unwrap();
    assert!(late.entry.company.as_str().starts_with(PSEUDONYM), "{late:?}");
    assert_eq!((&late.entry.user, &late.entry.resource, &late.salt), (&None, &None, &None));
    assert_eq!((new.entry.company.as_str(), other.entry.company.as_str()), ("acme", "other"));
    assert_eq!((&new.entry.user, &other.entry.user), (&Some(user("ann")), &Some(user("ann"))));
    assert_eq!(entries(store, "acme").await.len(), 1);
}

/// That holds also when the company has come back, and while entries of its new time are kept.
pub async fn late_entries_of_a_company_that_came_back_are_nobodys(store: &impl Store) {
    populate(store, "acme").await;
    erased(store, "acme").await;
    let day = TimeDelta::days(1);
    let entry = |id: &str, at| {
        let mut record = audited(id, "acme");
        record.entry.at = at;
        record
    };
    store.append(&[entry("new", now() + day)]).await.unwrap();
    store.expire(now() + day).await.unwrap();
    store.append(&[entry("late", now() - day)]).await.unwrap();
    assert_eq!(entries(store, "acme").await.len(), 1);
    store.put_addon(&company("acme"), &addon("pack", 1)).await.unwrap();
    store.append(&[entry("later", now() - day)]).await.unwrap();
    assert_eq!(entries(store, "acme").await.len(), 1);
}

/// Erasures of one company at once erase it once.
pub async fn racing_erasures_erase_once<S: Store + Clone>(store: &S) {
    populate(store, "acme").await;
    let racers: Vec<_> = (0..8)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.erase(&company("acme"), now()).await.unwrap() })
        })
        .collect();
    let mut done = 0;
    for racer in racers {
        done += usize::from(racer.await.unwrap().is_some());
    }
    assert_eq!(done, 1);
    assert_gone(store, "acme").await;
}

/// Debits during an erasure belong to what was before or to what comes after, and never to both: what is counted is what
/// the receipts say.
pub async fn debits_during_an_erasure_are_counted_or_gone<S: Store + Clone>(store: &S) {
    for round in 0..5 {
        recorded(store, &debit("acme", &format!("first {round}"), 1, [monthly(1000)])).await;
        let racers: Vec<_> = (0..10)
            .map(|n| {
                let store = store.clone();
                tokio::spawn(async move {
                    if n == 4 {
                        store.erase(&company("acme"), now()).await.unwrap();
                    } else {
                        recorded(&store, &debit("acme", &format!("{round} {n}"), 1, [monthly(1000)])).await;
                    }
                })
            })
            .collect();
        for racer in racers {
            racer.await.unwrap();
        }
        let mut kept = 0;
        for n in 0..10 {
            let receipt = store.receipt(&company("acme"), &key(&format!("{round} {n}"))).await.unwrap();
            kept += u64::from(receipt.is_some());
        }
        assert_eq!(used(store, "acme", &monthly(1000)).await, kept, "round {round}");
        store.erase(&company("acme"), now()).await.unwrap();
    }
}
