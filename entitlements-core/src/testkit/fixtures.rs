//! Readable things to test with: every function gives a valid whole, and struct update syntax changes what matters.
//!
//! ```
//! use entitlements_core::Grant;
//! use entitlements_core::testkit::fixtures::{at, grant};
//!
//! let short = Grant { ends_at: Some(at("2026-11-08T00:00:00Z")), ..grant("g-1", "acme") };
//! assert!(short.is_active(at("2026-11-07T09:00:00Z")));
//! ```

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::audit::{AuditEntry, AuditRecord, AuditSalt, AuditSource};
use crate::bucket::Bucket;
use crate::catalog::Anchor;
use crate::facts::{AddOnQuantity, Facts, Override};
use crate::grant::{Grant, GrantKind};
use crate::id::{
    AddOnKey, CompanyId, FeatureKey, GrantId, HolderId, IdempotencyKey, PlanKey, PolicyId, ReceiptId,
    SubscriptionId, UserId,
};
use crate::observer::Tier;
use crate::period::{Interval, Period};
use crate::policy::{Condition, Effect, Policy, Target, When};
use crate::store::Store;
use crate::subscription::{Subscription, SubscriptionStatus};
use crate::usage::{Counter, Debit, DebitBucket, DebitOutcome, Receipt};
use crate::{Action, ActionSet, Amount};

/// An RFC 3339 instant.
#[must_use]
pub fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("an RFC 3339 instant")
}

/// The instant at which most cases happen: 2026-11-07 at 9:00.
#[must_use]
pub fn now() -> DateTime<Utc> {
    at("2026-11-07T09:00:00Z")
}

/// The month around [`now`].
#[must_use]
pub fn november() -> Period {
    Period { start: at("2026-11-01T00:00:00Z"), end: Some(at("2026-12-01T00:00:00Z")) }
}

/// The month after [`november`].
#[must_use]
pub fn december() -> Period {
    Period { start: at("2026-12-01T00:00:00Z"), end: Some(at("2027-01-01T00:00:00Z")) }
}

/// A number of units.
#[must_use]
pub fn units(units: u64) -> Amount {
    Amount::new(units).expect("at most 2^63 - 1 units")
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident -> $id:ident;)+) => {$(
        $(#[$doc])*
        #[must_use]
        pub fn $name(text: &str) -> $id {
            $id::new(text).expect("a valid id")
        }
    )+};
}

ids! {
    /// The id of a company.
    company -> CompanyId;
    /// The id of a user.
    user -> UserId;
    /// The name of a feature.
    feature -> FeatureKey;
    /// The name of a plan.
    plan -> PlanKey;
    /// The id of a grant.
    grant_id -> GrantId;
    /// The id of a policy.
    policy_id -> PolicyId;
    /// The id of a subscription.
    subscription_id -> SubscriptionId;
    /// An idempotency key.
    key -> IdempotencyKey;
    /// The id of a receipt.
    receipt_id -> ReceiptId;
    /// The id of a holder.
    holder -> HolderId;
}

/// An active subscription to `pro`, paid for November.
#[must_use]
pub fn subscription(id: &str, company: &str) -> Subscription {
    Subscription {
        id: subscription_id(id),
        company: self::company(company),
        plan: plan("pro"),
        status: SubscriptionStatus::Active,
        seats: None,
        started_at: at("2026-10-05T12:00:00Z"),
        anchor: at("2026-10-05T12:00:00Z"),
        current_period_start: at("2026-11-05T12:00:00Z"),
        current_period_end: at("2026-12-05T12:00:00Z"),
        trial_end: None,
        past_due_since: None,
        cancel_at: None,
        cancel_at_period_end: false,
        created_at: at("2026-10-05T12:00:00Z"),
    }
}

/// Some number of an add-on.
#[must_use]
pub fn addon(addon: &str, quantity: u32) -> AddOnQuantity {
    AddOnQuantity { addon: AddOnKey::new(addon).expect("a valid id"), quantity }
}

/// What a company has of a feature instead of what its plan gives.
#[must_use]
pub fn overriding(feature: &str, value: impl Into<Value>) -> Override {
    Override { feature: self::feature(feature), value: value.into() }
}

/// A grant of `forecast` to a whole company: every action, no end.
#[must_use]
pub fn grant(id: &str, company: &str) -> Grant {
    Grant {
        id: grant_id(id),
        company: self::company(company),
        user: None,
        feature: feature("forecast"),
        actions: ActionSet::ALL,
        resource: None,
        amount: None,
        kind: GrantKind::Manual,
        starts_at: at("2026-11-01T00:00:00Z"),
        ends_at: None,
        reason: None,
        created_at: at("2026-11-01T00:00:00Z"),
        voided_at: None,
    }
}

/// An enabled policy that allows everything to everybody.
#[must_use]
pub fn policy(id: &str) -> Policy {
    Policy {
        id: policy_id(id),
        name: None,
        priority: 0,
        effect: Effect::Allow,
        guardrail: false,
        enabled: true,
        starts_at: None,
        ends_at: None,
        target: Target::default(),
        when: When::Always,
    }
}

/// A condition, from its JSON.
#[must_use]
pub fn condition(json: &Value) -> When {
    When::Holds(Condition::parse(json).expect("a valid condition"))
}

/// The counter of `reports` in November under a plan's monthly quota, with this limit.
#[must_use]
pub fn monthly(limit: impl Into<Option<u64>>) -> Counter {
    Counter {
        meter: feature("reports"),
        bucket: Bucket::Plan { every: Interval::Month, anchor: Anchor::Calendar, plan: None },
        period: november(),
        limit: limit.into().map(units),
        alerts: Vec::new(),
    }
}

/// The counter of `reports` under a yearly quota beside the [`monthly`] one.
#[must_use]
pub fn yearly(limit: impl Into<Option<u64>>) -> Counter {
    Counter {
        bucket: Bucket::Plan { every: Interval::Year, anchor: Anchor::Calendar, plan: None },
        period: Period { start: at("2026-01-01T00:00:00Z"), end: Some(at("2027-01-01T00:00:00Z")) },
        ..monthly(limit)
    }
}

/// The counter of a grant of so many `reports`.
#[must_use]
pub fn granted(grant: &str, limit: impl Into<Option<u64>>) -> Counter {
    Counter {
        bucket: Bucket::Grant(grant_id(grant)),
        period: Period { start: at("2026-11-01T00:00:00Z"), end: None },
        ..monthly(limit)
    }
}

/// The counter that keeps what a meter contributed to a pool.
#[must_use]
pub fn part(meter: &str) -> Counter {
    Counter { meter: feature(meter), bucket: Bucket::Part, ..monthly(None) }
}

/// A place to take units from that these counters bound together.
#[must_use]
pub fn bucket(counters: impl IntoIterator<Item = Counter>) -> DebitBucket {
    DebitBucket { counters: counters.into_iter().collect() }
}

/// A debit of `reports` from these counters, each a bucket of its own.
#[must_use]
pub fn debit(company: &str, key: &str, amount: u64, counters: impl IntoIterator<Item = Counter>) -> Debit {
    Debit {
        company: self::company(company),
        user: None,
        key: self::key(key),
        receipt: receipt_id(&format!("receipt of {key}").chars().take(100).collect::<String>()),
        meter: feature("reports"),
        amount: units(amount),
        buckets: counters.into_iter().map(|counter| bucket([counter])).collect(),
        tallies: Vec::new(),
        limit: None,
        resets_at: november().end,
        at: now(),
    }
}

/// A note for the audit log: at [`now`], a company was refused `forecast`.
#[must_use]
pub fn audited(id: &str, company: &str) -> AuditRecord {
    AuditRecord {
        id: id.into(),
        salt: AuditSalt::new([7; 16]),
        entry: AuditEntry {
            at: now(),
            company: self::company(company),
            user: None,
            feature: "forecast".into(),
            action: Action::View,
            resource: None,
            allowed: false,
            reason: "feature_not_in_plan".into(),
            source: AuditSource { kind: "plan".into(), id: Some("pro".into()) },
            tier: Tier::Process,
            latency_us: 12,
        },
    }
}

/// Makes a debit that must be recorded.
pub async fn recorded(store: &impl Store, debit: &Debit) -> Receipt {
    match store.debit(debit).await.unwrap() {
        DebitOutcome::Recorded(receipt) => receipt,
        other => panic!("expected a recorded debit, got {other:?}"),
    }
}

/// Makes a debit that must be refused.
pub async fn refused(store: &impl Store, debit: &Debit) {
    assert_eq!(store.debit(debit).await.unwrap(), DebitOutcome::Refused);
}

/// The units that a loaded counter of a company holds now; 0 if it is not loaded.
pub async fn used(store: &impl Store, company: &str, counter: &Counter) -> u64 {
    used_in(&facts(store, company).await, counter)
}

/// The units that a counter holds in some facts; 0 if it is not among them.
#[must_use]
pub fn used_in(facts: &Facts, counter: &Counter) -> u64 {
    (facts.usage.iter())
        .find(|known| {
            known.meter == counter.meter
                && known.bucket == counter.bucket
                && known.period_start == counter.period.start
        })
        .map_or(0, |known| known.used.get())
}

/// The units that are held of a gauge; 0 if it is not loaded.
pub async fn held(store: &impl Store, company: &str, gauge: &str) -> u64 {
    let facts = facts(store, company).await;
    let mut found = facts.gauges.iter().filter(|level| level.gauge.as_str() == gauge);
    let used = found.next().map_or(0, |level| level.used.get());
    assert_eq!(found.next(), None, "a gauge is loaded once");
    used
}

/// The facts of a company at [`now`].
pub async fn facts(store: &impl Store, company: &str) -> Facts {
    store.load(&self::company(company), now()).await.unwrap()
}
