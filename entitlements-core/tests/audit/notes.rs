//! Which decisions are noted, and what the notes say.

use std::sync::Arc;

use allocation_counter::measure;
use chrono::{DateTime, TimeDelta, Utc};
use entitlements_core::audit::{Audit, AuditEntry, PSEUDONYM};
use entitlements_core::facts::Revision;
use entitlements_core::id::{CompanyId, IdempotencyKey, UserId};
use entitlements_core::observer::Tier;
use entitlements_core::store::{AuditStore, PageRequest};
use entitlements_core::{
    Action, Amount, Catalog, Consume, Consumption, Entitlements, ErrorKind, ManualClock, MemoryStore,
    Request, Subject,
};

const CATALOG: &str = "
schema = 1
default_plan = \"free\"
past_due_grace = \"7d\"
[features]
export  = { type = \"flag\" }
reports = { type = \"meter\" }
[plans.free.grants]
export  = { actions = [\"view\"] }
reports = { limit = 2, every = \"month\", anchor = \"calendar\" }
";

struct Bench {
    entitlements: Entitlements,
    store: Arc<MemoryStore>,
    clock: Arc<ManualClock>,
    audit: Audit,
    ann: Subject,
}

fn bench() -> Bench {
    let store = Arc::new(MemoryStore::default());
    let clock = Arc::new(ManualClock::at("2026-11-24T12:00:00Z".parse().unwrap()));
    let audit = Audit::new(Arc::clone(&store));
    let entitlements = Entitlements::builder(CATALOG.parse::<Catalog>().unwrap())
        .store(Arc::clone(&store))
        .clock(Arc::clone(&clock))
        .observer(audit.clone())
        .build();
    let ann = Subject::user(CompanyId::new("acme").unwrap(), UserId::new("ann").unwrap());
    Bench { entitlements, store, clock, audit, ann }
}

impl Bench {
    /// What is noted so far, oldest first.
    async fn notes(&self) -> Vec<AuditEntry> {
        self.audit.flush().await.unwrap();
        let rows = self.store.audit_rows(0, 100).await.unwrap().rows;
        rows.into_iter().map(|row| row.entry).collect()
    }

    fn export(&self, action: Action) -> Request<'_> {
        Request::new(&self.ann, "export", action)
    }

    fn reports(&self, amount: u32) -> Consume<'_> {
        Consume::new(&self.ann, "reports", Amount::from(amount))
    }
}

fn outcomes(notes: &[AuditEntry]) -> Vec<(&str, &str, Tier)> {
    notes.iter().map(|note| (note.feature.as_ref(), note.reason.as_ref(), note.tier)).collect()
}

#[tokio::test]
async fn a_check_is_one_note_that_says_everything() {
    let bench = bench();
    let request = bench.export(Action::Export).with_resource("report:1");
    assert!(!bench.entitlements.check(&request).await.unwrap().is_allowed());
    let notes = bench.notes().await;
    assert_eq!(notes.len(), 1);
    let note = &notes[0];
    assert_eq!(note.at, bench.entitlements.now());
    assert_eq!((note.company.as_str(), note.user.as_ref().unwrap().as_str()), ("acme", "ann"));
    assert_eq!(
        (note.feature.as_ref(), note.action, note.resource.as_deref()),
        ("export", Action::Export, Some("report:1"))
    );
    assert_eq!(
        (note.allowed, note.reason.as_ref(), note.source.kind.as_ref()),
        (false, "not_granted", "default")
    );
}

#[tokio::test]
async fn the_tier_says_where_the_facts_came_from() {
    let bench = bench();
    let request = bench.export(Action::View);
    bench.entitlements.check(&request).await.unwrap();
    bench.entitlements.check(&request).await.unwrap();
    bench.entitlements.check_warm(&request).unwrap();
    let decision = bench.entitlements.check_warm(&request).unwrap();
    bench.entitlements.observe_degraded(&request, &decision);
    let tiers: Vec<_> = bench.notes().await.iter().map(|note| note.tier).collect();
    assert_eq!(tiers, [Tier::Store, Tier::Process, Tier::Process, Tier::Process, Tier::Degraded]);
}

#[tokio::test]
async fn a_check_that_asks_for_newer_facts_is_one_note() {
    let bench = bench();
    let request = bench.export(Action::View);
    bench.entitlements.check(&request).await.unwrap();
    bench.entitlements.check_at_least(&request, Revision(7)).await.unwrap();
    bench.entitlements.check_at_least(&request, Revision(0)).await.unwrap();
    let tiers: Vec<_> = bench.notes().await.iter().map(|note| note.tier).collect();
    assert_eq!(tiers, [Tier::Store, Tier::Store, Tier::Process]);
}

#[tokio::test]
async fn a_consumption_is_one_note_and_a_duplicate_none() {
    let bench = bench();
    let key = || IdempotencyKey::new("k").unwrap();
    for _ in 0..2 {
        let taken = bench.entitlements.consume(&bench.reports(2).with_key(key())).await.unwrap();
        assert!(taken.receipt().is_some());
    }
    let refused = bench.entitlements.consume(&bench.reports(1)).await.unwrap();
    assert!(matches!(refused, Consumption::Refused(_)));
    assert_eq!(
        outcomes(&bench.notes().await),
        [("reports", "allowed_by_plan", Tier::Store), ("reports", "quota_exceeded", Tier::Store)]
    );
}

#[tokio::test]
async fn what_decides_nothing_is_not_noted() {
    let bench = bench();
    bench.entitlements.explain(&bench.export(Action::View)).await.unwrap();
    bench.entitlements.usage(&bench.ann).await.unwrap();
    assert_eq!(bench.notes().await, []);
}

#[tokio::test]
async fn what_no_database_keeps_is_noted_all_the_same() {
    let bench = bench();
    bench.entitlements.check(&Request::new(&bench.ann, "a\0b", Action::View)).await.unwrap();
    assert_eq!(bench.notes().await[0].feature, "a\u{fffd}b");
    assert_eq!(bench.audit.stats().refused, 0);
}

#[tokio::test]
async fn an_erased_company_is_asked_about_anew() {
    let bench = bench();
    let taken = bench.entitlements.consume(&bench.reports(2)).await.unwrap();
    assert!(taken.receipt().is_some());
    bench.audit.flush().await.unwrap();
    assert!(bench.entitlements.erase(&bench.ann.company).await.unwrap().is_some());
    let usage = bench.entitlements.usage(&bench.ann).await.unwrap();
    assert_eq!(usage[0].quota.used, Amount::ZERO);
    let notes = bench.notes().await;
    assert!(notes[0].company.as_str().starts_with(PSEUDONYM) && notes[0].user.is_none(), "{notes:?}");
    let page = bench.entitlements.audit(&bench.ann.company, &PageRequest::first(10)).await.unwrap();
    assert_eq!(page.items, []);
    assert_eq!(bench.entitlements.erase(&bench.ann.company).await.unwrap(), None);
}

#[tokio::test]
async fn keys_are_kept_for_35_days_at_least() {
    let bench = bench();
    let consume = bench.reports(1).with_key(IdempotencyKey::new("k").unwrap());
    assert!(bench.entitlements.consume(&consume).await.unwrap().receipt().is_some());
    bench.clock.advance(TimeDelta::days(36));
    let error = bench.entitlements.expire_receipts(TimeDelta::days(34)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    assert_eq!(bench.entitlements.expire_receipts(TimeDelta::MAX).await.unwrap(), 0);
    assert_eq!(bench.entitlements.expire_receipts(TimeDelta::days(35)).await.unwrap(), 1);
}

#[tokio::test]
async fn old_notes_expire_by_the_handles_clock() {
    let bench = bench();
    bench.entitlements.check(&bench.export(Action::View)).await.unwrap();
    assert_eq!(bench.notes().await.len(), 1);
    bench.clock.advance(TimeDelta::days(1));
    bench.entitlements.expire_audit(TimeDelta::days(1)).await.unwrap();
    assert_eq!(bench.notes().await.len(), 1);
    bench.clock.advance(TimeDelta::seconds(1));
    assert_eq!(bench.entitlements.expire_audit(TimeDelta::days(1)).await.unwrap().sequence, 1);
    assert_eq!(bench.notes().await, []);
}

#[tokio::test]
async fn notes_of_a_clock_that_was_ahead_expire_with_those_behind_them() {
    let bench = bench();
    bench.clock.advance(TimeDelta::days(10_000));
    bench.entitlements.check(&bench.export(Action::View)).await.unwrap();
    assert_eq!(bench.notes().await.len(), 1);
    bench.clock.advance(TimeDelta::days(-10_000));
    bench.entitlements.check(&bench.export(Action::View)).await.unwrap();
    assert_eq!(bench.notes().await.len(), 2);
    bench.clock.advance(TimeDelta::days(2));
    assert_eq!(bench.entitlements.expire_audit(TimeDelta::days(1)).await.unwrap().sequence, 2);
    assert_eq!(bench.notes().await, []);
}

#[tokio::test]
async fn every_observer_sees_every_event() {
    let store = Arc::new(MemoryStore::default());
    let (first, second) = (Audit::new(Arc::clone(&store)), Audit::new(Arc::clone(&store)));
    let entitlements = Entitlements::builder(CATALOG.parse::<Catalog>().unwrap())
        .observer(first.clone())
        .observer(second.clone())
        .build();
    let acme = Subject::company(CompanyId::new("acme").unwrap());
    entitlements.check(&Request::new(&acme, "export", Action::View)).await.unwrap();
    assert_eq!((first.stats().accepted, second.stats().accepted), (1, 1));
}

#[tokio::test]
async fn a_warm_allow_that_nobody_observes_allocates_nothing() {
    let entitlements = Entitlements::builder(CATALOG.parse::<Catalog>().unwrap()).build();
    let acme = Subject::company(CompanyId::new("acme").unwrap());
    let request = Request::new(&acme, "export", Action::View);
    let _: DateTime<Utc> = entitlements.now();
    assert!(entitlements.check(&request).await.unwrap().is_allowed());
    let mut allowed = false;
    let measured = measure(|| allowed = entitlements.check_warm(&request).is_some_and(|d| d.is_allowed()));
    assert!(allowed);
    assert_eq!(measured.count_total, 0);
}
