//! For tests of applications: a handle over a catalog, with companies, a clock and a store that do as they are told.

use std::future::Future;
use std::panic::Location;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::TimeDelta;

use super::FlakyStore;
use super::fixtures::{self, company, feature, now, plan, subscription};
use crate::observer::{Event, Observer};
use crate::policy::{Effect, Policy, Target};
use crate::{
    Action, ActionSet, Amount, Catalog, Consume, Consumption, Decision, Entitlements, EntitlementsBuilder,
    GrantKind, ManualClock, MemoryStore, NewGrant, Reason, Request, Subject, Subscription,
    SubscriptionStatus,
};

/// A handle to test an application with: everything in memory, the clock stands at [`fixtures::now`] until it is moved.
///
/// Its methods panic when something is wrong with the test itself, such as a catalog that cannot be read or a feature that
/// does not exist: that is how a test says so. The assertions name the line of the test, and what was decided instead.
///
/// ```
/// use entitlements_core::testkit::TestEntitlements;
/// use entitlements_core::{Action, Reason};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let test = TestEntitlements::from_toml(r#"
///     schema = 1
///     past_due_grace = "7d"
///     [features]
///     export  = { type = "flag" }
///     reports = { type = "meter" }
///     [plans.starter.grants]
///     reports = { limit = 2, every = "month" }
///     [plans.pro]
///     extends = "starter"
///     [plans.pro.grants]
///     export = true
/// "#);
/// test.plan("acme", "starter").await;
/// test.assert_denied("acme", "export", Action::View, Reason::FeatureNotInPlan).await;
/// test.plan("acme", "pro").await;
/// test.assert_allowed("acme", "export", Action::View).await;
///
/// test.consume("acme", "reports", 2).await;
/// test.assert_used("acme", "reports", 2).await;
/// test.assert_denied("acme", "reports", Action::Create, Reason::QuotaExceeded).await;
/// test.advance(chrono::TimeDelta::days(31));
/// test.assert_used("acme", "reports", 0).await;
/// # });
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct TestEntitlements {
    entitlements: Entitlements,
    clock: Arc<ManualClock>,
    store: Arc<FlakyStore<MemoryStore>>,
    seen: Arc<Seen>,
}

/// One decision that was made.
#[derive(Clone, Debug, PartialEq)]
pub struct Decided {
    /// Whom it was about.
    pub subject: Subject,
    /// Which resource it was about.
    pub resource: Option<String>,
    /// The decision.
    pub decision: Decision,
}

impl TestEntitlements {
    /// A handle over the catalog in `text`. Nothing is known of any company yet.
    ///
    /// # Panics
    ///
    /// When the catalog cannot be used; the message has every problem.
    #[must_use]
    #[track_caller]
    pub fn from_toml(text: &str) -> Self {
        match Catalog::parse("catalog.toml", text) {
            Ok(catalog) => Self::new(catalog),
            Err(error) => panic!("the catalog of the test cannot be used:\n{error}"),
        }
    }

    /// A handle over `catalog`.
    #[must_use]
    pub fn new(catalog: Catalog) -> Self {
        Self::with(catalog, |builder| builder)
    }

    /// A handle with settings of the application's own, such as a shared cache or a bus.
    #[must_use]
    pub fn with(catalog: Catalog, settings: impl FnOnce(EntitlementsBuilder) -> EntitlementsBuilder) -> Self {
        let clock = Arc::new(ManualClock::at(now()));
        let store = Arc::new(FlakyStore::new(MemoryStore::default()));
        let seen = Arc::new(Seen::default());
        let builder = Entitlements::builder(catalog)
            .store(Arc::clone(&store))
            .clock(Arc::clone(&clock))
            .observer(Arc::clone(&seen));
        Self { entitlements: settings(builder).build(), clock, store, seen }
    }

    /// The handle, as the application takes it.
    #[must_use]
    pub fn handle(&self) -> Entitlements {
        self.entitlements.clone()
    }

    /// Moves the clock forward: periods end, trials and grants expire, what is in memory grows old.
    pub fn advance(&self, by: TimeDelta) {
        self.clock.advance(by);
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> &ManualClock {
        &self.clock
    }

    /// The store, which fails when it is [told to](FlakyStore::fail). What is in memory still answers for five seconds, so
    /// move the clock to feel it.
    #[must_use]
    pub fn store(&self) -> &FlakyStore<MemoryStore> {
        &self.store
    }

    /// Puts a company on a plan, with an active subscription that begins now; instead of the one before.
    pub async fn plan(&self, company: &str, plan: &str) {
        self.subscribe(company, plan, SubscriptionStatus::Active).await;
    }

    /// Gives a company a subscription in any state, such as [`SubscriptionStatus::PastDue`].
    ///
    /// # Panics
    ///
    /// When the catalog does not have the plan.
    pub async fn subscribe(&self, company: &str, plan: &str, status: SubscriptionStatus) {
        assert!(self.entitlements.catalog().plan(plan).is_some(), "the catalog has no plan `{plan}`");
        let now = self.entitlements.now();
        let past_due_since = (status == SubscriptionStatus::PastDue).then_some(now);
        let subscription = Subscription {
            plan: self::plan(plan),
            status,
            started_at: now,
            anchor: now,
            current_period_start: now,
            current_period_end: now + TimeDelta::days(30),
            past_due_since,
            created_at: now,
            ..subscription(&format!("subscription of {company}"), company)
        };
        self.entitlements.put_subscription(&subscription).await.expect("the store is up");
    }

    /// From here on the company may (or may not) use the feature, whatever its plan and every policy say: a grant without
    /// an end, or a guardrail. Of several calls the last counts.
    ///
    /// # Panics
    ///
    /// When the catalog does not have the feature.
    pub async fn force(&self, company: &str, feature: &str, allowed: bool) {
        assert!(
            self.entitlements.catalog().feature(feature).is_some(),
            "the catalog has no feature `{feature}`"
        );
        let guardrail = Policy {
            effect: Effect::Deny,
            guardrail: true,
            target: Target {
                companies: Some(vec![self::company(company)]),
                features: Some(vec![self::feature(feature)]),
                ..Target::default()
            },
            ..fixtures::policy(&format!("forced: {company}, {feature}"))
        };
        self.entitlements.remove_policy(&guardrail.id).await.expect("the store is up");
        if allowed {
            let grant = NewGrant {
                id: None,
                company: self::company(company),
                user: None,
                feature: self::feature(feature),
                actions: ActionSet::ALL,
                resource: None,
                amount: None,
                kind: GrantKind::Manual,
                starts_at: None,
                ends_at: None,
                reason: Some("forced by a test".into()),
            };
            self.entitlements.grant(grant).await.expect("the store is up");
        } else {
            self.entitlements.insert_policy(&guardrail).await.expect("the store is up");
        }
    }

    /// Uses units of a meter, as the application would.
    #[track_caller]
    pub fn consume(&self, company: &str, meter: &str, units: u64) -> impl Future<Output = ()> + Send {
        let (subject, meter, at) = (of(company), meter.to_owned(), Location::caller());
        async move {
            let amount = Amount::new(units).expect("at most 2^63 - 1 units");
            match self.entitlements.consume(&Consume::new(&subject, &meter, amount)).await {
                Ok(Consumption::Recorded { .. } | Consumption::Duplicate(_)) => {}
                Ok(Consumption::Refused(decision)) => {
                    panic!("{at}: {units} units of `{meter}` were refused: {}", said(&decision))
                }
                Err(error) => panic!("{at}: {units} units of `{meter}` could not be consumed: {error}"),
            }
        }
    }

    /// How many units of a meter or gauge a company has used in the period that contains the present.
    pub async fn used(&self, company: &str, meter: &str) -> u64 {
        let usage = self.entitlements.usage(&of(company)).await.expect("the store is up");
        usage.iter().find(|item| item.quota.meter == meter).map_or(0, |item| item.quota.used.get())
    }

    /// Every decision since the last call: of the application, and of the assertions here.
    #[must_use]
    pub fn take_decisions(&self) -> Vec<Decided> {
        std::mem::take(&mut *self.seen.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Checks that a company may do this now.
    ///
    /// # Panics
    ///
    /// When it may not.
    #[track_caller]
    pub fn assert_allowed(
        &self,
        company: &str,
        feature: &str,
        action: Action,
    ) -> impl Future<Output = ()> + Send {
        let at = Location::caller();
        let (company, feature) = (company.to_owned(), feature.to_owned());
        async move {
            let decision = self.ask(&company, &feature, action).await;
            assert!(decision.is_allowed(), "{at}: {}", said(&decision));
        }
    }

    /// Checks that a company may not do this now, for this reason.
    ///
    /// # Panics
    ///
    /// When it may, or may not for another reason.
    #[track_caller]
    pub fn assert_denied(
        &self,
        company: &str,
        feature: &str,
        action: Action,
        reason: Reason,
    ) -> impl Future<Output = ()> + Send {
        let at = Location::caller();
        let (company, feature) = (company.to_owned(), feature.to_owned());
        async move {
            let decision = self.ask(&company, &feature, action).await;
            assert!(decision.reason == reason, "{at}: expected {reason}, got {}", said(&decision));
        }
    }

    /// Checks how many units of a meter or gauge a company has used.
    ///
    /// # Panics
    ///
    /// When it has used more or less.
    #[track_caller]
    pub fn assert_used(&self, company: &str, meter: &str, units: u64) -> impl Future<Output = ()> + Send {
        let at = Location::caller();
        let (company, meter) = (company.to_owned(), meter.to_owned());
        async move {
            let used = self.used(&company, &meter).await;
            assert!(used == units, "{at}: `{company}` has used {used} of `{meter}`, expected {units}");
        }
    }

    async fn ask(&self, company: &str, feature: &str, action: Action) -> Decision {
        let subject = of(company);
        let request = Request::new(&subject, feature, action);
        self.entitlements.check(&request).await.expect("the store is up, or something is in memory")
    }
}

fn of(name: &str) -> Subject {
    Subject::company(company(name))
}

/// A decision in a few words.
fn said(decision: &Decision) -> String {
    let Decision { feature, action, reason, plan, .. } = decision;
    let verb = if decision.is_allowed() { "allowed" } else { "denied" };
    let plan = plan.map_or_else(|| "no plan".into(), |plan| format!("the plan `{plan}`"));
    let quota = decision.quota.as_ref().map(|quota| {
        let limit = quota.limit.map_or_else(|| "no limit".into(), |limit| limit.get().to_string());
        format!(", {} used of {limit}", quota.used.get())
    });
    format!("`{feature}` for `{action}` is {verb}: {reason}, with {plan}{}", quota.unwrap_or_default())
}

/// Keeps every decision.
#[derive(Debug, Default)]
struct Seen(Mutex<Vec<Decided>>);

impl Observer for Seen {
    fn observe(&self, event: &Event<'_>) {
        if let Event::Decided { request, decision, .. } = event {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Decided {
                subject: request.subject.clone(),
                resource: request.resource.map(str::to_owned),
                decision: (*decision).clone(),
            });
        }
    }
}
