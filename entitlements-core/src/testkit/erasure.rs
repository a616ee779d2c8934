//! Cases about forgetting: all of one company, nothing of another, and the log goes on.

use chrono::TimeDelta;

use super::audit::{appended, chain, entries, entries_if_kept};
use super::fixtures::{
    addon, audited, company, debit, facts, feature, grant, grant_id, granted, key, monthly, now, overriding,
    receipt_id, recorded, subscription, subscription_id, units, used, used_in, user,
};
use crate::audit::{AuditSource, PSEUDONYM};
use crate::facts::{Facts, Revision};
use crate::period::Period;
use crate::reservation::ReserveOutcome;
use crate::store::{Inserted, PageRequest, Store};
use crate::subscription::Subscription;
use crate::usage::{Counter, UsageAlert};

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

/// Receipts that were kept long enough go, with their keys and refunds; what was counted stays.
pub async fn old_receipts_expire(store: &impl Store) {
    let mut old = debit("acme", "old", 2, [monthly(5)]);
    old.at = now() - TimeDelta::days(40);
    recorded(store, &old).await;
    let mut given_back = debit("acme", "given back", 1, [monthly(5)]);
    given_back.at = old.at;
    recorded(store, &given_back).await;
    store.refund(&company("acme"), &given_back.receipt, now()).await.unwrap();
    recorded(store, &debit("acme", "new", 1, [monthly(5)])).await;
    assert_eq!(store.expire(old.at).await.unwrap(), 0);
    assert_eq!(store.expire(now()).await.unwrap(), 2);
    for (name, known) in [("old", false), ("given back", false), ("new", true)] {
        assert_eq!(store.receipt(&company("acme"), &key(name)).await.unwrap().is_some(), known, "{name}");
    }
    assert_eq!(used(store, "acme", &monthly(5)).await, 3);
    assert_eq!(store.refund(&company("acme"), &receipt_id("receipt of old"), now()).await.unwrap(), None);
    assert_eq!(store.expire(now()).await.unwrap(), 0);
}

/// A counter of a period of ten days, which began so many days before [`now`].
fn past(days_ago: i64, limit: u64) -> Counter {
    let start = now() - TimeDelta::days(days_ago);
    Counter { period: Period { start, end: Some(start + TimeDelta::days(10)) }, ..monthly(limit) }
}

/// Takes units of such a counter on its first day.
async fn recorded_then(store: &impl Store, name: &str, amount: u64, counter: &Counter) {
    let mut debit = debit("acme", name, amount, [counter.clone()]);
    debit.at = counter.period.start;
    recorded(store, &debit).await;
}

/// What a counter held, as one who asks while its period lasts sees it.
async fn used_then(store: &impl Store, counter: &Counter) -> u64 {
    let facts = store.load(&company("acme"), counter.period.start).await.unwrap();
    used_in(&facts, counter)
}

/// Alerts that wait.
async fn alerts(store: &impl Store) -> Vec<UsageAlert> {
    store.pending_alerts(100).await.unwrap()
}

/// Nobody loads them, so they go, and with them the memory of the alerts that they have raised.
pub async fn counters_of_periods_that_are_long_over_expire(store: &impl Store) {
    let [old, recent] =
        [past(60, 10), past(12, 10)].map(|counter| Counter { alerts: vec![(50, units(5))], ..counter });
    let lifetime = Counter {
        period: Period { end: None, ..old.period },
        bucket: granted("g", 10).bucket,
        ..old.clone()
    };
    for (name, counter) in [("old", &old), ("recent", &recent), ("lifetime", &lifetime)] {
        recorded_then(store, name, 6, counter).await;
    }
    let raised = alerts(store).await;
    assert_eq!(raised.len(), 3);
    for alert in &raised {
        store.acknowledge_alert(alert).await.unwrap();
    }
    // The period ended fifty days ago, and not before.
    store.expire(old.period.end.unwrap()).await.unwrap();
    assert_eq!(used_then(store, &old).await, 6);
    store.expire(old.period.end.unwrap() + TimeDelta::seconds(1)).await.unwrap();
    let left =
        [used_then(store, &old).await, used_then(store, &recent).await, used_then(store, &lifetime).await];
    assert_eq!(left, [0, 6, 6]);
    // What is raised is remembered as long as its counter is.
    store.refund(&company("acme"), &receipt_id("receipt of recent"), now()).await.unwrap().unwrap();
    recorded_then(store, "recent again", 6, &recent).await;
    assert_eq!(alerts(store).await, []);
    recorded_then(store, "old again", 6, &old).await;
    assert_eq!(alerts(store).await.len(), 1);
}

/// A receipt gives back what it took, and an alert is sent, however old the counter is.
pub async fn counters_stay_as_long_as_something_refers_to_them(store: &impl Store) {
    let [waits, held] = [past(60, 10), past(90, 10)];
    let waits = Counter { alerts: vec![(50, units(5))], ..waits };
    recorded_then(store, "waits", 6, &waits).await;
    store.expire(now() - TimeDelta::days(40)).await.unwrap();
    assert_eq!((used_then(store, &waits).await, alerts(store).await.len()), (6, 1));
    store.acknowledge_alert(&alerts(store).await[0]).await.unwrap();
    let mut reservation = debit("acme", "held", 2, [held.clone()]);
    reservation.at = held.period.start;
    let reserved = store.reserve(&reservation, now() + TimeDelta::days(1)).await;
    if reserved.is_ok() {
        store.expire(now() - TimeDelta::days(40)).await.unwrap();
        assert_eq!((used_then(store, &waits).await, used_then(store, &held).await), (6, 2));
        let released = now() - TimeDelta::days(45);
        store.release_reservation(&company("acme"), &reservation.receipt, released).await.unwrap();
    }
    store.expire(now() - TimeDelta::days(40)).await.unwrap();
    assert_eq!((used_then(store, &waits).await, used_then(store, &held).await), (0, 0));
}

/// A reservation that has expired frees its units, however old it is: retention takes nothing away that is needed for that.
pub async fn retention_leaves_no_units_set_aside(store: &impl Store) {
    let day = TimeDelta::days(1);
    let hold = |name: &str, days_ago: i32| {
        let mut debit = debit("acme", name, 2, [monthly(20)]);
        debit.at = now() - day * days_ago;
        (debit.clone(), debit.at + TimeDelta::hours(1))
    };
    // One that nobody has ended, one that was released, and one that was committed not long ago.
    for (name, days_ago) in [("forgotten", 40), ("released", 40), ("committed", 40)] {
        let (debit, expires_at) = hold(name, days_ago);
        let reserved = store.reserve(&debit, expires_at).await.unwrap();
        assert!(matches!(reserved, ReserveOutcome::Reserved(_)), "{reserved:?}");
    }
    let acme = company("acme");
    let released = now() - day * 40;
    store.release_reservation(&acme, &receipt_id("receipt of released"), released).await.unwrap();
    let committed = now() - day;
    store.commit(&acme, &receipt_id("receipt of committed"), units(2), committed).await.unwrap();
    let (mut waits, expires_at) = hold("waits", 0);
    waits.at = now() - day * 40;
    store.reserve(&waits, expires_at + day).await.unwrap();

    assert_eq!(used(store, "acme", &monthly(20)).await, 4);
    let expired = store.expire(now() - day * 30).await.unwrap();
    // What was forgotten had been freed by the commit.
    assert_eq!(expired, 2);
    assert_eq!(used(store, "acme", &monthly(20)).await, 4);
    for (name, known) in [("forgotten", false), ("released", false), ("committed", true), ("waits", true)] {
        assert_eq!(store.reservation(&acme, &key(name)).await.unwrap().is_some(), known, "{name}");
    }
    // Its key is as old as its commit.
    assert!(store.receipt(&acme, &key("committed")).await.unwrap().is_some());
    // Nobody writes, and it expires: its units are free, before and after retention.
    let later = now() + day * 3;
    assert_eq!(used_in(&store.load(&acme, later).await.unwrap(), &monthly(20)), 2);
    assert_eq!(store.expire(later).await.unwrap(), 1);
    assert_eq!(used_in(&store.load(&acme, later).await.unwrap(), &monthly(20)), 2);
}

/// The revision of an erased company is kept until it expires, and longer if the company came back.
pub async fn what_is_left_of_an_erasure_expires(store: &impl Store) {
    for name in ["gone", "back", "using"] {
        populate(store, name).await;
        erased(store, name).await;
    }
    store.insert_grant(&grant("g", "back")).await.unwrap();
    recorded(store, &debit("using", "k", 1, [monthly(5)])).await;
    let (back, using) = (facts(store, "back").await, facts(store, "using").await);
    store.expire(now()).await.unwrap();
    assert!(facts(store, "gone").await.revision > Revision(0));
    store.expire(now() + TimeDelta::microseconds(1)).await.unwrap();
    assert_eq!(facts(store, "gone").await.revision, Revision(0));
    assert_eq!(facts(store, "back").await, back);
    assert_eq!(facts(store, "using").await.usage, using.usage);
    // The company can come back from nothing, too.
    populate(store, "gone").await;
    assert_eq!(facts(store, "gone").await.grants.len(), 1);
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
