//! The cache of snapshots: it never changes an answer beyond its age.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use entitlements_core::id::{CompanyId, FeatureKey, GrantId, PlanKey, SubscriptionId};
use entitlements_core::policy::Policy;
use entitlements_core::store::{SharedStore, StoreErrorKind};
use entitlements_core::testkit::FlakyStore;
use entitlements_core::{
    Action, Amount, CacheConfig, Catalog, Consume, Consumption, Context, Decision, Entitlements, ErrorKind,
    ManualClock, MemoryStore, NewGrant, Request, Subject, Subscription,
};
use serde_json::json;

const CATALOG: &str = r#"
schema = 1
default_plan = "free"
past_due_grace = "7d"
[features]
export  = { type = "flag" }
secret  = { type = "flag" }
reports = { type = "meter" }
[plans.free.grants]
reports = { limit = 3, every = "day" }
[plans.pro.grants]
export  = true
reports = { limit = 9, every = "month" }
"#;

type Store = Arc<FlakyStore<MemoryStore>>;

struct World {
    store: Store,
    clock: Arc<ManualClock>,
    acme: Subject,
}

fn world() -> World {
    World {
        store: Arc::new(FlakyStore::new(MemoryStore::default())),
        clock: Arc::new(ManualClock::at("2026-11-24T12:00:00Z".parse().unwrap())),
        acme: Subject::company(CompanyId::new("acme").unwrap()),
    }
}

impl World {
    /// A process: a handle of its own on the store that all share.
    fn process(&self, cache: CacheConfig) -> Entitlements {
        let store: SharedStore = self.store.clone();
        let catalog: Catalog = CATALOG.parse().unwrap();
        Entitlements::builder(catalog).shared_store(store).clock(Arc::clone(&self.clock)).cache(cache).build()
    }

    fn secret(&self) -> Request<'_> {
        Request::new(&self.acme, "secret", Action::View)
    }

    fn grant(&self) -> NewGrant {
        NewGrant::new(self.acme.company.clone(), FeatureKey::new("secret").unwrap())
    }

    /// Gives way to other tasks until something is so, and fails if it never is.
    async fn until(&self, is_so: impl Fn(&Store) -> bool) {
        let mut rounds = 0;
        while !is_so(&self.store) {
            assert!(rounds < 100_000, "{} loads are held, and no other comes", self.store.held_loads());
            rounds += 1;
            tokio::task::yield_now().await;
        }
    }

    async fn asks(&self, process: &Entitlements) -> bool {
        process.check(&self.secret()).await.unwrap().is_allowed()
    }
}

#[tokio::test]
async fn facts_in_memory_are_not_asked_for_again_until_they_are_too_old() {
    let world = world();
    let process = world.process(CacheConfig::default());
    assert_eq!(process.check_warm(&world.secret()), None);
    for _ in 0..10 {
        world.asks(&process).await;
    }
    assert_eq!(world.store.loads(), 1);
    assert!(process.check_warm(&world.secret()).is_some());
    world.clock.advance(TimeDelta::milliseconds(4999));
    world.asks(&process).await;
    assert_eq!(world.store.loads(), 1);
    world.clock.advance(TimeDelta::milliseconds(1));
    world.asks(&process).await;
    assert_eq!(world.store.loads(), 2);
}

#[tokio::test]
async fn a_clock_that_goes_back_makes_nothing_younger() {
    let world = world();
    let process = world.process(CacheConfig::default());
    world.asks(&process).await;
    world.clock.advance(TimeDelta::hours(-1));
    world.asks(&process).await;
    assert_eq!(world.store.loads(), 2);
}

#[tokio::test]
async fn without_a_cache_every_call_asks() {
    let world = world();
    let process = world.process(CacheConfig::disabled());
    for _ in 0..3 {
        world.asks(&process).await;
    }
    assert_eq!(world.store.loads(), 3);
    assert_eq!(process.companies_in_memory(), 0);
}

#[tokio::test]
async fn who_writes_reads_it_at_once() {
    let world = world();
    let process = world.process(CacheConfig::default());
    assert!(!world.asks(&process).await);
    let grant = process.grant(world.grant()).await.unwrap();
    assert!(world.asks(&process).await);
    process.void(&grant.id).await.unwrap();
    assert!(!world.asks(&process).await);
    let policy = json!({"id": "p", "effect": "allow", "target": {"features": ["secret"]}});
    let policy = Policy::from_json(&policy).unwrap();
    process.insert_policy(&policy).await.unwrap();
    assert!(world.asks(&process).await);
    process.remove_policy(&policy.id).await.unwrap();
    assert!(!world.asks(&process).await);
}

#[tokio::test]
async fn another_process_sees_a_write_after_the_age_and_at_once_with_its_token() {
    let world = world();
    let (writer, reader) = (world.process(CacheConfig::default()), world.process(CacheConfig::default()));
    assert!(!world.asks(&reader).await);
    let grant = writer.grant(world.grant()).await.unwrap();
    assert!(!world.asks(&reader).await);
    let token = writer.check(&world.secret()).await.unwrap().as_of;
    assert!(reader.check_at_least(&world.secret(), token).await.unwrap().is_allowed());
    writer.void(&grant.id).await.unwrap();
    assert!(world.asks(&reader).await);
    world.clock.advance(TimeDelta::seconds(5));
    assert!(!world.asks(&reader).await);
}

#[tokio::test]
async fn many_at_once_are_one_load() {
    let world = Arc::new(world());
    let process = world.process(CacheConfig::default());
    world.store.hold_loads();
    let askers: Vec<_> = (0..100)
        .map(|_| {
            let (world, process) = (Arc::clone(&world), process.clone());
            tokio::spawn(async move { world.asks(&process).await })
        })
        .collect();
    world.until(|store| store.held_loads() > 0).await;
    world.store.release_loads();
    for asker in askers {
        assert!(!asker.await.unwrap());
    }
    assert_eq!(world.store.loads(), 1);
}

#[tokio::test]
async fn a_load_under_way_does_not_outlive_an_invalidation() {
    let world = Arc::new(world());
    let process = world.process(CacheConfig::default());
    world.store.hold_loads();
    let early = {
        let (world, process) = (Arc::clone(&world), process.clone());
        tokio::spawn(async move { world.asks(&process).await })
    };
    world.until(|store| store.held_loads() > 0).await;
    // The load has read the old facts. Now they change, and whoever asks from here on must see it.
    process.grant(world.grant()).await.unwrap();
    let late = {
        let (world, process) = (Arc::clone(&world), process.clone());
        tokio::spawn(async move { world.asks(&process).await })
    };
    world.until(|store| store.held_loads() > 1).await;
    world.store.release_loads();
    assert!(!early.await.unwrap());
    assert!(late.await.unwrap());
    assert!(world.asks(&process).await);
}

#[tokio::test]
async fn who_gives_up_waiting_does_not_stop_the_others() {
    let world = Arc::new(world());
    let process = world.process(CacheConfig::default());
    world.store.hold_loads();
    let ask = || {
        let (world, process) = (Arc::clone(&world), process.clone());
        tokio::spawn(async move { world.asks(&process).await })
    };
    let (first, second) = (ask(), ask());
    world.until(|store| store.held_loads() > 0).await;
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    world.until(|store| store.held_loads() > 1).await;
    world.store.release_loads();
    assert!(!second.await.unwrap());
}

#[tokio::test]
async fn a_write_that_is_given_up_half_way_is_read_all_the_same() {
    let world = world();
    let process = world.process(CacheConfig::default());
    assert!(!world.asks(&process).await);
    // The grant is stored, and its answer is lost.
    world.store.lose_answers(true);
    let mut granting = Box::pin(process.grant(world.grant()));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(granting.as_mut().poll(&mut context).is_pending());
    drop(granting);
    world.store.lose_answers(false);
    assert!(world.asks(&process).await);
}

#[tokio::test]
async fn a_failed_load_is_not_kept() {
    let world = world();
    let process = world.process(CacheConfig::default());
    world.store.fail(Some(StoreErrorKind::Unavailable));
    let error = process.check(&world.secret()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    world.store.fail(None);
    assert!(!world.asks(&process).await);
}

#[tokio::test]
async fn a_failed_load_makes_nothing_younger() {
    let world = world();
    let process = world.process(CacheConfig::default());
    world.asks(&process).await;
    world.clock.advance(TimeDelta::seconds(6));
    world.store.fail(Some(StoreErrorKind::Unavailable));
    for seconds in [6, 7] {
        let decision = process.check(&world.secret()).await.unwrap();
        assert_eq!(decision.degraded, Some(Duration::from_secs(seconds)));
        world.clock.advance(TimeDelta::seconds(1));
    }
}

#[tokio::test]
async fn no_more_companies_are_kept_than_there_is_room_for() {
    let world = world();
    let process = world.process(CacheConfig::default().with_companies(100));
    for number in 0..1000 {
        let subject = Subject::company(CompanyId::new(format!("company-{number}")).unwrap());
        process.check(&Request::new(&subject, "secret", Action::View)).await.unwrap();
    }
    assert!(process.companies_in_memory() <= 100, "{}", process.companies_in_memory());
}

#[tokio::test]
async fn a_company_in_use_stays_while_others_come_and_go() {
    let world = world();
    let process =
        world.process(CacheConfig::default().with_companies(100).with_max_age(Duration::from_hours(9)));
    let others = 3000;
    for number in 0..others {
        world.asks(&process).await;
        let subject = Subject::company(CompanyId::new(format!("company-{number}")).unwrap());
        process.check(&Request::new(&subject, "secret", Action::View)).await.unwrap();
    }
    let loads = process.cache_stats().misses - others;
    assert!(loads <= 3, "it was loaded {loads} times");
}

#[tokio::test]
async fn units_that_were_freed_elsewhere_are_not_refused_because_of_old_facts() {
    let world = world();
    let (one, other) = (world.process(CacheConfig::default()), world.process(CacheConfig::default()));
    let take = Consume::new(&world.acme, "reports", Amount::from(3));
    let taken = one.consume(&take).await.unwrap();
    // The other process remembers that nothing is left, when everything is given back.
    other.check(&Request::new(&world.acme, "reports", Action::Create)).await.unwrap();
    one.refund(&world.acme.company, &taken.receipt().unwrap().id).await.unwrap();
    assert!(matches!(other.consume(&take).await.unwrap(), Consumption::Recorded { .. }));
    assert!(matches!(one.consume(&take).await.unwrap(), Consumption::Refused(_)));
}

/// A small generator of numbers: `SplitMix64`.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) % end
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        let place = self.below(choices.len() as u64);
        *choices.get(usize::try_from(place).unwrap()).unwrap()
    }
}

async fn change(process: &Entitlements, clock: &ManualClock, company: &CompanyId, random: &mut Random) {
    let subject = Subject::company(company.clone());
    match random.below(8) {
        0 => {
            let mut grant =
                NewGrant::new(company.clone(), FeatureKey::new(random.pick(&["export", "secret"])).unwrap());
            grant.id = Some(GrantId::new(format!("g{}", random.below(20))).unwrap());
            grant.ends_at =
                Some(process.now() + TimeDelta::seconds(1 + i64::try_from(random.below(9)).unwrap()));
            // A taken id changes nothing.
            let _ = process.grant(grant).await;
        }
        1 => drop(process.void(&GrantId::new(format!("g{}", random.below(20))).unwrap()).await.unwrap()),
        2 => {
            let region = random.pick(&["eu", "us"]);
            let effect = random.pick(&["allow", "deny"]);
            let policy = json!({"id": format!("p{}", random.below(4)), "effect": effect,
                "target": {"features": ["secret"]}, "condition": {"eq": ["context.region", region]}});
            let policy = Policy::from_json(&policy).unwrap();
            if process.replace_policy(&policy).await.unwrap().is_none() {
                process.insert_policy(&policy).await.unwrap();
            }
        }
        3 => {
            let now = process.now();
            let subscription = Subscription {
                id: SubscriptionId::new(format!("sub-{company}")).unwrap(),
                company: company.clone(),
                plan: PlanKey::new(random.pick(&["free", "pro"])).unwrap(),
                status: random.pick(&["active", "canceled"]).parse().unwrap(),
                seats: None,
                started_at: now,
                anchor: now,
                current_period_start: now,
                current_period_end: now,
                trial_end: None,
                past_due_since: None,
                cancel_at: None,
                cancel_at_period_end: false,
                created_at: now,
            };
            process.put_subscription(&subscription).await.unwrap();
        }
        4 | 5 => {
            let amount = Amount::from(1 + u32::try_from(random.below(3)).unwrap());
            let _ = process.consume(&Consume::new(&subject, "reports", amount)).await.unwrap();
        }
        6 => clock.advance(TimeDelta::milliseconds(i64::try_from(random.below(3000)).unwrap())),
        _ => process.invalidate(company),
    }
}

#[tokio::test]
async fn with_and_without_a_cache_the_answers_are_the_same() {
    for seed in 0..20 {
        let world = world();
        let cached = world.process(CacheConfig::default().with_max_age(Duration::from_hours(1)));
        let plain = world.process(CacheConfig::disabled());
        let [acme, beta] = ["acme", "beta"].map(|name| CompanyId::new(name).unwrap());
        let mut random = Random(seed);
        for step in 0..500 {
            let company = random.pick(&[&acme, &beta]);
            change(&cached, &world.clock, company, &mut random).await;
            let subject = Subject::company(random.pick(&[&acme, &beta]).clone());
            let region = random.pick(&["eu", "us", "asia"]);
            let context = Context::default().with("region", region);
            let feature = random.pick(&["export", "secret", "reports"]);
            let request = Request::new(&subject, feature, Action::Create).with_context(&context);
            let (with, without): (Decision, Decision) =
                (cached.check(&request).await.unwrap(), plain.check(&request).await.unwrap());
            assert_eq!(with, without, "seed {seed}, step {step}");
        }
    }
}

#[tokio::test]
async fn a_load_that_a_revocation_has_overtaken_is_not_the_last_known() {
    let world = Arc::new(world());
    let process = world.process(CacheConfig::default());
    let grant = process.grant(world.grant()).await.unwrap();
    world.store.hold_loads();
    let early = {
        let (world, process) = (Arc::clone(&world), process.clone());
        tokio::spawn(async move { world.asks(&process).await })
    };
    world.until(|store| store.held_loads() == 1).await;
    process.void(&grant.id).await.unwrap().unwrap();
    world.store.release_loads();
    // Who asked before may be told what was so then.
    early.await.unwrap();
    world.store.fail(Some(StoreErrorKind::Unavailable));
    let known = process.last_known(&world.secret(), None);
    assert!(known.is_none_or(|known| !known.is_allowed()));
}
