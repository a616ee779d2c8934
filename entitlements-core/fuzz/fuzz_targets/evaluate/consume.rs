//! What is decided is what is consumed: an allowed consumption is recorded, once, and can be given back.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use entitlements_core::catalog::FeatureKind;
use entitlements_core::facts::{Facts, UsageCounter};
use entitlements_core::id::{CompanyId, IdempotencyKey};
use entitlements_core::policy::PolicySet;
use entitlements_core::store::{GrantStore, PolicyStore, SnapshotStore, SubscriptionStore};
use entitlements_core::{
    Action, Amount, CacheConfig, Catalog, Consume, Consumption, Decision, Entitlements, ErrorKind,
    ManualClock, MemoryStore, Reason, Request, Snapshot, Subscription, evaluate,
};

use crate::catalogs;
use crate::dice::Dice;
use crate::facts::{Question, World};

/// The value of a future that never waits.
fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the store in memory waits for nothing"),
    }
}

struct Till {
    company: CompanyId,
    store: Arc<MemoryStore>,
    clock: Arc<ManualClock>,
    handle: Entitlements,
    /// All that was ever taken.
    taken: u128,
}

pub(crate) fn check(dice: &mut Dice<'_>, world: &World, catalog: &Catalog) {
    if !dice.chance(50) {
        return;
    }
    let first = world.questions[0].now;
    let (store, clock) = (Arc::new(MemoryStore::default()), Arc::new(ManualClock::at(first)));
    ready(keep(&store, world));
    let cache = CacheConfig::default().with_companies(2);
    let builder = Entitlements::builder(catalogs::copy(catalog)).shared_store(store.clone()).cache(cache);
    let company = world.facts.company.clone();
    let mut till = Till { company, store, handle: builder.clock(clock.clone()).build(), clock, taken: 0 };
    for round in 0..=dice.below(6) {
        let question = &world.questions[usize::from(round) % world.questions.len()];
        till.serve(dice, question, catalog, round);
    }
}

async fn keep(store: &MemoryStore, world: &World) {
    let facts = &world.facts;
    for subscription in &facts.subscriptions {
        store.put_subscription(subscription, subscription.created_at).await.expect("a new id");
    }
    for change in &facts.plan_changes {
        // As it was until then, and as it is from then on.
        if let Some(now) = facts.subscriptions.iter().find(|now| now.id == change.subscription) {
            let before = Subscription { plan: change.from.clone(), ..now.clone() };
            store.put_subscription(&before, change.at).await.expect("kept");
            store.put_subscription(now, change.at).await.expect("kept");
        }
    }
    for grant in &facts.grants {
        store.insert_grant(grant).await.expect("a new id");
    }
    for addon in &facts.addons {
        store.put_addon(&facts.company, addon).await.expect("kept");
    }
    for value in &facts.overrides {
        store.put_override(&facts.company, value).await.expect("kept");
    }
    for policy in &world.policies.policies {
        store.insert_policy(policy).await.expect("a new id");
    }
}

impl Till {
    fn facts(&self) -> Facts {
        ready(self.store.load(&self.company, self.handle.now())).expect("loaded")
    }

    fn decide(&self, request: &Request<'_>, catalog: &Catalog) -> Decision {
        let policies = ready(self.store.policies()).expect("loaded");
        let set = Arc::new(PolicySet::compile(&policies, catalog));
        evaluate(request, &Snapshot::new(self.facts(), set, catalog), catalog, self.handle.now())
    }

    fn serve(&mut self, dice: &mut Dice<'_>, question: &Question, catalog: &Catalog, round: u8) {
        self.clock.set(question.now);
        let key = IdempotencyKey::new(format!("op-{round}")).expect("an id");
        let consume = Consume {
            key: Some(key),
            resource: question.resource,
            context: &question.context,
            ..Consume::new(&question.subject, question.feature, question.amount)
        };
        let request = Request { action: Action::Create, ..question.request() };
        let before = self.decide(&request, catalog);
        let counted = counters(&self.facts());
        let outcome = ready(self.handle.consume(&consume));
        let kind = catalog.feature(question.feature).map(entitlements_core::catalog::Feature::kind);
        if question.amount.is_zero() || kind.is_some_and(|kind| kind != FeatureKind::Meter) {
            assert_eq!(outcome.expect_err("not consumed").kind(), ErrorKind::Invalid);
            return;
        }
        match outcome.expect("the store in memory does not fail") {
            Consumption::Refused(denial) => {
                assert_eq!(counters(&self.facts()), counted, "a refused consumption changes nothing");
                if denial != before {
                    // Only a sum beyond the largest amount is refused after an allow.
                    assert!(
                        before.is_allowed() && denial.reason == Reason::QuotaExceeded,
                        "{before:?}\n{denial:?}"
                    );
                    let sum = self.taken + u128::from(question.amount.get());
                    assert!(sum > Amount::MAX.get().into(), "{before:?}\n{denial:?}");
                }
            }
            Consumption::Recorded { decision, receipt } => {
                assert_eq!(decision, before);
                assert!(before.is_allowed());
                assert_eq!(receipt.amount, question.amount);
                self.taken += u128::from(question.amount.get());
                let again = ready(self.handle.consume(&consume)).expect("known");
                assert_eq!(again, Consumption::Duplicate(receipt.clone()));
                let more = Consume { amount: question.amount.saturating_sub(Amount::ONE), ..consume.clone() };
                if !more.amount.is_zero() {
                    let conflict = ready(self.handle.consume(&more)).expect_err("other arguments");
                    assert_eq!(conflict.kind(), ErrorKind::IdempotencyConflict);
                }
                self.left(question, catalog, &before);
                if dice.chance(100) {
                    for _ in 0..2 {
                        let refunded =
                            ready(self.handle.refund(&receipt.company, &receipt.id)).expect("known");
                        assert!(refunded.is_some_and(|receipt| receipt.refunded_at.is_some()));
                        assert_eq!(counters(&self.facts()), counted, "a refund gives back what was taken");
                    }
                }
            }
            Consumption::Duplicate(receipt) => panic!("a new key has the receipt {receipt:?}"),
        }
    }

    /// Exactly the amount is missing now.
    fn left(&self, question: &Question, catalog: &Catalog, before: &Decision) {
        let request = Request { action: Action::Create, amount: Amount::ZERO, ..question.request() };
        let after = self.decide(&request, catalog);
        let (Some(before), Some(after)) = (&before.quota, &after.quota) else { return };
        let (Some(was), Some(is)) = (before.remaining, after.remaining) else { return };
        // Beyond the largest amount, what is shown is less than there is.
        if !before.soft && was < Amount::MAX {
            assert_eq!(was.saturating_sub(question.amount), is, "{before:?}\n{after:?}");
        }
    }
}

/// What is counted, in a fixed order, zeros left out.
fn counters(facts: &Facts) -> Vec<UsageCounter> {
    let mut counters: Vec<_> =
        facts.usage.iter().filter(|counter| !counter.used.is_zero()).cloned().collect();
    counters
        .sort_by_key(|counter| (counter.meter.to_string(), counter.bucket.to_string(), counter.period_start));
    counters
}
