//! Callers that give up, at every point where they can: facts, events, groups, alerts, retention, erasure.

use chrono::TimeDelta;
use entitlements_core::store::{
    AuditStore, ErasureStore, GrantStore, GroupStore, PageRequest, PolicyStore, SubscriptionStore, UsageStore,
};
use entitlements_core::testkit::fixtures::{
    addon, audited, company, debit, facts, feature, grant, grant_id, monthly, now, overriding, policy,
    recorded, units, used,
};
use entitlements_core::usage::{Counter, DebitOutcome, RecordOutcome};

use crate::files::{in_file, temporary};
use crate::giving_up::{POLLS, after_polls};

/// A batch of events, and a group of debits, is counted as a whole or not at all, and once when it is tried again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_are_counted_whole_or_not_at_all() {
    let store = in_file(&temporary()).await;
    for polls in 0..POLLS {
        let (recording, grouping) = (format!("recording {polls}"), format!("grouping {polls}"));
        let batch = |name: &str| [1, 2].map(|n| debit(name, &format!("k{n}"), n, [monthly(100)]));

        let events = batch(&recording);
        let _ = after_polls(polls, store.record(&company(&recording), &events)).await;
        let counted = used(&store, &recording, &monthly(100)).await;
        assert!([0, 3].contains(&counted), "{counted} after {polls} polls");
        let again = store.record(&company(&recording), &events).await.unwrap();
        // What was given up may still have been done, after the look at it.
        assert!(
            again == [RecordOutcome::Duplicate; 2] || counted == 0 && again == [RecordOutcome::Recorded; 2]
        );
        assert_eq!(used(&store, &recording, &monthly(100)).await, 3);

        let group = batch(&grouping);
        let _ = after_polls(polls, store.debit_group(&group)).await;
        let counted = used(&store, &grouping, &monthly(100)).await;
        assert!([0, 3].contains(&counted), "{counted} after {polls} polls");
        let again = store.debit_group(&group).await.unwrap();
        let new = again.iter().filter(|outcome| matches!(outcome, DebitOutcome::Recorded(_))).count();
        assert!(new == 0 || counted == 0 && new == 2, "{again:?} after {counted} units");
        assert_eq!(used(&store, &grouping, &monthly(100)).await, 3);
    }
}

/// A change of facts is there with its revision, or neither is, and it can be made again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn facts_change_with_their_revision_or_not_at_all() {
    let store = in_file(&temporary()).await;
    for polls in 0..POLLS {
        let name = format!("acme {polls}");
        let acme = company(&name);
        let id = format!("grant {polls}");
        store.insert_grant(&grant(&id, &name)).await.unwrap();
        macro_rules! given_up {
            ($call:expr) => {
                let before = facts(&store, &name).await;
                let _ = after_polls(polls, $call).await;
                let after = facts(&store, &name).await;
                let changed = (&before.overrides, &before.addons, &before.grants)
                    != (&after.overrides, &after.addons, &after.grants);
                assert_eq!(
                    before.revision < after.revision,
                    changed,
                    "{} after {polls} polls",
                    stringify!($call)
                );
                $call.await.unwrap();
            };
        }
        given_up!(store.put_override(&acme, &overriding("reports", 5)));
        given_up!(store.put_addon(&acme, &addon("pack", 2)));
        given_up!(store.void_grant(&grant_id(&id), now()));
        given_up!(store.remove_override(&acme, &feature("reports")));
        let left = facts(&store, &name).await;
        assert_eq!((left.overrides.len(), left.addons.len(), left.grants.len()), (0, 1, 0));

        let one = policy(&format!("policy {polls}"));
        store.insert_policy(&one).await.unwrap();
        let mut other = one.clone();
        other.enabled = !one.enabled;
        let _ = after_polls(polls, store.replace_policy(&other)).await;
        let known = store.find_policy(&one.id).await.unwrap().unwrap();
        assert!(known == one || known == other);
        let _ = after_polls(polls, store.remove_policy(&one.id)).await;
        store.remove_policy(&one.id).await.unwrap();
        assert_eq!(store.find_policy(&one.id).await.unwrap(), None);
    }
}

/// Whoever claimed an alert and gave up has it until the claim ends, and nobody for longer; what is acknowledged is gone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alerts_come_back_after_claims_that_were_given_up() {
    let store = in_file(&temporary()).await;
    let alerting = || Counter { alerts: vec![(80, units(8))], ..monthly(10) };
    for polls in 0..POLLS {
        let name = format!("acme {polls}");
        recorded(&store, &debit(&name, "k", 8, [alerting()])).await;
        let (end, later) = (now() + TimeDelta::seconds(60), now() + TimeDelta::seconds(120));
        let _ = after_polls(polls, store.claim_alerts(end, now(), 10)).await;
        let claimed = store.claim_alerts(later, end, 10).await.unwrap();
        let [alert] = claimed.as_slice() else { panic!("{claimed:?} after {polls} polls") };
        assert_eq!(alert.company, company(&name));
        let _ = after_polls(polls, store.acknowledge_alert(alert)).await;
        store.acknowledge_alert(alert).await.unwrap();
        assert_eq!(store.pending_alerts(10).await.unwrap(), []);
    }
}

/// A company is erased as a whole or not at all; what retention has removed is counted still.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_company_is_erased_whole_or_not_at_all() {
    let store = in_file(&temporary()).await;
    for polls in 0..POLLS {
        let name = format!("acme {polls}");
        let old = entitlements_core::usage::Debit {
            at: now() - TimeDelta::days(40),
            ..debit(&name, "old", 2, [monthly(10)])
        };
        recorded(&store, &old).await;
        recorded(&store, &debit(&name, "new", 1, [monthly(10)])).await;
        store.insert_grant(&grant(&format!("grant {polls}"), &name)).await.unwrap();
        store.append(&[audited(&format!("entry {polls}"), &name)]).await.unwrap();

        let month_ago = now() - TimeDelta::days(30);
        let _ = after_polls(polls, store.expire(month_ago)).await;
        store.expire(month_ago).await.unwrap();
        assert_eq!(store.receipt(&company(&name), &old.key).await.unwrap(), None);
        assert_eq!(used(&store, &name, &monthly(10)).await, 3);

        let _ = after_polls(polls, store.erase(&company(&name), now())).await;
        let left = facts(&store, &name).await;
        let whole = (left.grants.len(), left.usage.len());
        assert!([(1, 1), (0, 0)].contains(&whole), "{whole:?} after {polls} polls");
        let again = store.erase(&company(&name), now()).await.unwrap();
        assert!(again.is_none() || whole == (1, 1));
        assert_eq!(facts(&store, &name).await.usage, []);
        let entries = store.audit_page(&company(&name), &PageRequest::first(10)).await.unwrap();
        assert_eq!(entries.items, []);
    }
    // The log has lost no entry, and its beginning moves as a whole.
    let chain = store.audit_rows(0, 1_000).await.unwrap();
    assert_eq!(chain.rows.len(), POLLS as usize);
    for polls in 0..POLLS {
        let _ = after_polls(polls, store.expire_audit(now() + TimeDelta::seconds(1))).await;
        let left = store.audit_rows(0, 1_000).await.unwrap();
        assert!([0, chain.rows.len()].contains(&left.rows.len()), "{} entries", left.rows.len());
        assert_eq!(left.head, chain.head);
    }
    let base = store.expire_audit(now() + TimeDelta::seconds(1)).await.unwrap();
    assert_eq!(base, chain.head);
}
