//! The handle over the in-memory store: check, consume, refund, grant, void.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::sync::{Arc, Mutex};

use chrono::TimeDelta;
use entitlements_core::id::{
    CompanyId, FeatureKey, GrantId, IdempotencyKey, PlanKey, SubscriptionId, UserId,
};
use entitlements_core::observer::{Event, Observer};
use entitlements_core::policy::Policy;
use entitlements_core::store::{PageRequest, SharedStore, UsageStore};
use entitlements_core::{
    Action, Amount, Catalog, Consume, Consumption, Context, Decision, Entitlements, ErrorKind, ManualClock,
    MemoryStore, NewGrant, Reason, Request, Subject, Subscription, SubscriptionStatus,
};
use serde_json::json;

const CATALOG: &str = r#"
schema = 1
past_due_grace = "7d"
[features]
boardroom = { type = "flag" }
reports   = { type = "meter" }
ai_tokens = { type = "meter" }
ai_in     = { type = "meter", pool = "ai_tokens" }
[plans.starter.grants]
reports   = { limit = 10, every = "month", alerts = [80, 100] }
ai_tokens = { limit = 100, every = "month" }
[plans.pro.grants]
boardroom = true
"#;

struct Bench {
    entitlements: Entitlements,
    store: SharedStore,
    clock: Arc<ManualClock>,
    acme: Subject,
}

async fn bench() -> Bench {
    let store: SharedStore = Arc::new(MemoryStore::default());
    let clock = Arc::new(ManualClock::at("2026-11-24T12:00:00Z".parse().unwrap()));
    let catalog: Catalog = CATALOG.parse().unwrap();
    let entitlements =
        Entitlements::builder(catalog).shared_store(Arc::clone(&store)).clock(Arc::clone(&clock)).build();
    let company = CompanyId::new("acme").unwrap();
    let start = entitlements.now();
    let subscription = Subscription {
        id: SubscriptionId::new("sub_1").unwrap(),
        company: company.clone(),
        plan: PlanKey::new("starter").unwrap(),
        status: SubscriptionStatus::Active,
        seats: None,
        started_at: start,
        anchor: start,
        current_period_start: start,
        current_period_end: start + TimeDelta::days(30),
        trial_end: None,
        past_due_since: None,
        cancel_at: None,
        cancel_at_period_end: false,
        created_at: start,
    };
    store.put_subscription(&subscription, start).await.unwrap();
    Bench { entitlements, store, clock, acme: Subject::company(company) }
}

fn key(text: &str) -> IdempotencyKey {
    IdempotencyKey::new(text).unwrap()
}

impl Bench {
    async fn take(&self, units: u32) -> Consumption {
        self.entitlements.consume(&Consume::new(&self.acme, "reports", units.into())).await.unwrap()
    }

    async fn used(&self, meter: &str) -> u64 {
        let items = self.entitlements.usage(&self.acme).await.unwrap();
        items.iter().find(|item| item.quota.meter == meter).unwrap().quota.used.get()
    }
}

#[tokio::test]
async fn consuming_takes_units_until_none_are_left() {
    let bench = bench().await;
    for taken in 1..=10u64 {
        let Consumption::Recorded { receipt, .. } = bench.take(1).await else { panic!("refused at {taken}") };
        assert_eq!(receipt.used.get(), taken);
        assert_eq!(receipt.remaining(), Amount::new(10 - taken));
    }
    let Consumption::Refused(decision) = bench.take(1).await else { panic!("oversold") };
    assert_eq!(decision.reason, Reason::QuotaExceeded);
    assert_eq!(bench.used("reports").await, 10);
}

#[tokio::test]
async fn the_next_period_begins_at_zero_without_any_job() {
    let bench = bench().await;
    let _ = bench.take(10).await;
    bench.clock.advance(TimeDelta::days(30));
    assert_eq!(bench.used("reports").await, 0);
    assert!(bench.take(10).await.receipt().is_some());
}

#[tokio::test]
async fn a_repeated_key_returns_the_first_receipt_even_when_nothing_is_left() {
    let bench = bench().await;
    let consume = Consume::new(&bench.acme, "reports", 10u32.into()).with_key(key("order"));
    let Consumption::Recorded { receipt, .. } = bench.entitlements.consume(&consume).await.unwrap() else {
        panic!("refused")
    };
    assert_eq!(bench.entitlements.consume(&consume).await.unwrap(), Consumption::Duplicate(receipt));
    assert_eq!(bench.used("reports").await, 10);
}

#[tokio::test]
async fn a_repeated_key_with_other_arguments_is_a_conflict() {
    let bench = bench().await;
    let consume = Consume::new(&bench.acme, "reports", 4u32.into()).with_key(key("order"));
    let _ = bench.entitlements.consume(&consume).await.unwrap();
    let ada = Subject::user(bench.acme.company.clone(), UserId::new("ada").unwrap());
    for other in [
        Consume::new(&bench.acme, "reports", 5u32.into()),
        Consume::new(&bench.acme, "reports", 50u32.into()),
        Consume::new(&bench.acme, "ai_in", 4u32.into()),
        Consume::new(&ada, "reports", 4u32.into()),
    ] {
        let error = bench.entitlements.consume(&other.with_key(key("order"))).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::IdempotencyConflict);
    }
    assert_eq!(bench.used("reports").await, 4);
}

#[tokio::test]
async fn a_refused_key_may_succeed_later() {
    let bench = bench().await;
    let consume = Consume::new(&bench.acme, "reports", 11u32.into()).with_key(key("order"));
    assert!(matches!(bench.entitlements.consume(&consume).await.unwrap(), Consumption::Refused(_)));
    let mut grant = NewGrant::new(bench.acme.company.clone(), FeatureKey::new("reports").unwrap());
    grant.amount = Some(5u32.into());
    bench.entitlements.grant(grant).await.unwrap();
    assert!(matches!(bench.entitlements.consume(&consume).await.unwrap(), Consumption::Recorded { .. }));
}

#[tokio::test]
async fn a_refund_gives_back_to_the_buckets_it_came_from_once() {
    let bench = bench().await;
    let mut grant = NewGrant::new(bench.acme.company.clone(), FeatureKey::new("reports").unwrap());
    grant.amount = Some(5u32.into());
    bench.entitlements.grant(grant).await.unwrap();
    let taken = bench.take(8).await;
    let receipt = taken.receipt().unwrap();
    assert_eq!(receipt.split.iter().map(|split| split.amount.get()).collect::<Vec<_>>(), [5, 3]);
    for _ in 0..2 {
        let refunded = bench.entitlements.refund(&bench.acme.company, &receipt.id).await.unwrap().unwrap();
        assert!(refunded.refunded_at.is_some());
        assert_eq!(bench.used("reports").await, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_hundred_at_once_never_take_more_than_the_limit() {
    let bench = Arc::new(bench().await);
    let racers: Vec<_> = (0..200)
        .map(|_| {
            let bench = Arc::clone(&bench);
            tokio::spawn(async move { bench.take(1).await.receipt().is_some() })
        })
        .collect();
    let mut won = 0;
    for racer in racers {
        won += u32::from(racer.await.unwrap());
    }
    assert_eq!(won, 10);
    assert_eq!(bench.used("reports").await, 10);
}

#[tokio::test]
async fn a_meter_of_a_pool_is_counted_under_both_names() {
    let bench = bench().await;
    let consume = Consume::new(&bench.acme, "ai_in", 12u32.into());
    let _ = bench.entitlements.consume(&consume).await.unwrap();
    let items = bench.entitlements.usage(&bench.acme).await.unwrap();
    assert_eq!(items.iter().map(|item| item.quota.meter).collect::<Vec<_>>(), ["ai_tokens", "reports"]);
    assert_eq!(items[0].quota.used.get(), 12);
    assert_eq!(items[0].parts.iter().map(|(n, a)| (*n, a.get())).collect::<Vec<_>>(), [("ai_in", 12)]);
}

#[tokio::test]
async fn alerts_wait_once_per_threshold() {
    let bench = bench().await;
    for _ in 0..10 {
        let _ = bench.take(1).await;
    }
    let alerts = bench.store.pending_alerts(10).await.unwrap();
    assert_eq!(
        alerts.iter().map(|alert| (alert.percent, alert.threshold.get())).collect::<Vec<_>>(),
        [(80, 8), (100, 10)]
    );
    bench.store.acknowledge_alert(&alerts[0]).await.unwrap();
    assert_eq!(bench.store.pending_alerts(10).await.unwrap(), alerts[1..]);
}

#[tokio::test]
async fn a_grant_counts_at_once_and_a_voided_one_no_longer() {
    let bench = bench().await;
    let ask = || async {
        let request = Request::new(&bench.acme, "boardroom", Action::View);
        bench.entitlements.check(&request).await.unwrap()
    };
    let before = ask().await;
    assert_eq!(before.reason, Reason::FeatureNotInPlan);
    let new = NewGrant::new(bench.acme.company.clone(), FeatureKey::new("boardroom").unwrap());
    let grant = bench.entitlements.grant(new).await.unwrap();
    let during = ask().await;
    assert_eq!(during.reason, Reason::AllowedByGrant);
    assert!(during.as_of > before.as_of);
    assert!(bench.entitlements.void(&grant.id).await.unwrap().is_some());
    assert_eq!(ask().await.reason, Reason::FeatureNotInPlan);
    assert_eq!(bench.entitlements.void(&grant.id).await.unwrap(), None);
    let listed = bench.entitlements.grants(&bench.acme.company, &PageRequest::first(10)).await.unwrap();
    assert!(listed.items[0].voided_at.is_some());
}

#[tokio::test]
async fn a_grant_that_makes_no_sense_is_refused_with_its_field() {
    let bench = bench().await;
    let new = |feature: &str| NewGrant::new(bench.acme.company.clone(), FeatureKey::new(feature).unwrap());
    let now = bench.entitlements.now();
    let mut cases = vec![(new("boardrom"), "feature")];
    let mut grant = new("boardroom");
    grant.amount = Some(Amount::ONE);
    cases.push((grant, "amount"));
    let mut grant = new("reports");
    grant.amount = Some(Amount::ZERO);
    cases.push((grant, "amount"));
    let mut grant = new("boardroom");
    grant.ends_at = Some(now);
    cases.push((grant.clone(), "endsAt"));
    grant.starts_at = Some(now - TimeDelta::days(2));
    grant.ends_at = Some(now - TimeDelta::days(1));
    cases.push((grant, "endsAt"));
    for (grant, field) in cases {
        let error = bench.entitlements.grant(grant).await.unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some(field)));
    }
    let mut grant = new("boardroom");
    grant.id = Some(GrantId::new("mine").unwrap());
    bench.entitlements.grant(grant.clone()).await.unwrap();
    assert_eq!(bench.entitlements.grant(grant).await.unwrap_err().kind(), ErrorKind::Taken);
}

#[tokio::test]
async fn only_meters_are_consumed_and_at_least_one_unit() {
    let bench = bench().await;
    for (meter, units, field) in [("boardroom", 1u32, "meter"), ("reports", 0, "amount")] {
        let error =
            bench.entitlements.consume(&Consume::new(&bench.acme, meter, units.into())).await.unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some(field)));
    }
    let unknown =
        bench.entitlements.consume(&Consume::new(&bench.acme, "raports", Amount::ONE)).await.unwrap();
    let Consumption::Refused(decision) = unknown else { panic!("consumed the unknown") };
    assert_eq!(decision.reason, Reason::UnknownFeature);
}

#[tokio::test]
async fn a_policy_counts_from_the_next_check_on() {
    let bench = bench().await;
    let request = Request::new(&bench.acme, "boardroom", Action::View);
    assert!(!bench.entitlements.check(&request).await.unwrap().is_allowed());
    let policy = json!({"id": "p", "effect": "allow", "target": {"features": ["boardroom"]}});
    let policy = Policy::from_json(&policy).unwrap();
    bench.entitlements.insert_policy(&policy).await.unwrap();
    assert!(bench.entitlements.check(&request).await.unwrap().is_allowed());
    assert_eq!(bench.entitlements.insert_policy(&policy).await.unwrap_err().kind(), ErrorKind::Taken);
    bench.entitlements.remove_policy(&policy.id).await.unwrap().unwrap();
    assert!(!bench.entitlements.check(&request).await.unwrap().is_allowed());
}

#[tokio::test]
async fn the_circumstances_are_asked_for_where_they_may_matter() {
    let bench = bench().await;
    let policy = json!({"id": "eu", "effect": "allow", "target": {"features": ["boardroom"]},
        "condition": {"eq": ["context.region", "eu"]}});
    bench.entitlements.insert_policy(&Policy::from_json(&policy).unwrap()).await.unwrap();
    let (eu, us) = (Context::default().with("region", "eu"), Context::default().with("region", "us"));
    let request = Request::new(&bench.acme, "boardroom", Action::View).with_context(&eu);
    assert!(bench.entitlements.check(&request).await.unwrap().is_allowed());

    let decide = |request: &Request<'_>, context| {
        let at_once = bench.entitlements.check_at_once(request, || context).unwrap();
        (at_once.is_allowed(), Decision::from(at_once).reason)
    };
    assert_eq!(decide(&request, None), (true, Reason::AllowedByPolicy), "its own");
    assert_eq!(decide(&request, Some(&us)), (false, Reason::FeatureNotInPlan), "another");
    let elsewhere = request.with_context(&us);
    assert_eq!(decide(&elsewhere, Some(&eu)), (true, Reason::AllowedByPolicy));
}

#[tokio::test]
async fn another_catalog_counts_from_the_next_check_on() {
    let bench = bench().await;
    let request = Request::new(&bench.acme, "boardroom", Action::View);
    let before = bench.entitlements.check(&request).await.unwrap();
    bench.entitlements.set_catalog(
        CATALOG
            .replace("[plans.starter.grants]", "[plans.starter.grants]\nboardroom = true")
            .parse()
            .unwrap(),
    );
    let after = bench.entitlements.check(&request).await.unwrap();
    assert!(!before.is_allowed() && after.is_allowed());
    assert_ne!(before.catalog, after.catalog);
}

#[derive(Debug, Default)]
struct Seen(Mutex<Vec<String>>);

impl Observer for Seen {
    fn observe(&self, event: &Event<'_>) {
        let line = match event {
            Event::Decided { decision, .. } => format!("decided {}", decision.reason),
            Event::Loaded { company, .. } => format!("loaded {company}"),
            Event::Debited { meter, .. } => format!("debited {meter}"),
            Event::Refunded { meter, amount, .. } => format!("refunded {amount} {meter}"),
            _ => "other".into(),
        };
        self.0.lock().unwrap().push(line);
    }
}

#[tokio::test]
async fn an_observer_sees_every_step() {
    let seen = Arc::new(Seen::default());
    let catalog: Catalog =
        CATALOG.replace("schema = 1", "schema = 1\ndefault_plan = \"starter\"").parse().unwrap();
    let entitlements = Entitlements::builder(catalog).observer(Arc::clone(&seen)).build();
    let acme = Subject::company(CompanyId::new("acme").unwrap());
    let taken = entitlements.consume(&Consume::new(&acme, "reports", Amount::ONE)).await.unwrap();
    entitlements.refund(&acme.company, &taken.receipt().unwrap().id).await.unwrap();
    entitlements.check(&Request::new(&acme, "boardroom", Action::View)).await.unwrap();
    assert_eq!(
        *seen.0.lock().unwrap(),
        [
            "loaded acme",
            "debited reports",
            "decided allowed_by_plan",
            "refunded 1 reports",
            "loaded acme",
            "decided feature_not_in_plan"
        ]
    );
}
