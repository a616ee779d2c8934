//! What the stores hold, and what they are asked.

use std::sync::OnceLock;

use entitlements_core::bucket::Bucket;
use entitlements_core::facts::{AddOnQuantity, Override};
use entitlements_core::id::{
    AddOnKey, CompanyId, FeatureKey, GrantId, HolderId, IdempotencyKey, PlanKey, ReceiptId, SubscriptionId,
};
use entitlements_core::period::Period;
use entitlements_core::store::{Store, UsageStore};
use entitlements_core::subscription::{Subscription, SubscriptionStatus};
use entitlements_core::usage::{Counter, Debit, DebitBucket, DebitOutcome};
use entitlements_core::{Amount, Grant, GrantKind};

use super::Failed;

/// The company that a task consumes for.
pub(super) fn name(task: usize) -> String {
    format!("company-{task}")
}

/// A company with rows in every table that a load reads.
pub(super) async fn prepare(store: &impl Store) -> Result<(), Failed> {
    let acme = CompanyId::new("acme")?;
    let begin = "2026-11-01T00:00:00Z".parse()?;
    let subscription = Subscription {
        id: SubscriptionId::new("sub_acme")?,
        company: acme.clone(),
        plan: PlanKey::new("starter")?,
        status: SubscriptionStatus::Active,
        seats: Some(Amount::from(5)),
        started_at: begin,
        anchor: begin,
        current_period_start: begin,
        current_period_end: "2026-12-01T00:00:00Z".parse()?,
        trial_end: None,
        past_due_since: None,
        cancel_at: None,
        cancel_at_period_end: false,
        created_at: begin,
    };
    store.put_subscription(&subscription, begin).await?;
    let changed = Subscription { plan: PlanKey::new("pro")?, ..subscription };
    store.put_subscription(&changed, begin).await?;
    for number in 0..2 {
        let addon = AddOnQuantity { addon: AddOnKey::new(format!("addon-{number}"))?, quantity: 2 };
        store.put_addon(&acme, &addon).await?;
        let value = serde_json::json!(true);
        store
            .put_override(&acme, &Override { feature: FeatureKey::new(format!("feature-{number}"))?, value })
            .await?;
    }
    for number in 0..10 {
        let grant = Grant {
            id: GrantId::new(format!("grant-{number}"))?,
            company: acme.clone(),
            user: None,
            feature: FeatureKey::new("reports")?,
            actions: entitlements_core::ActionSet::ALL,
            resource: None,
            amount: None,
            kind: GrantKind::Manual,
            starts_at: begin,
            ends_at: None,
            reason: Some("for the figures".into()),
            created_at: begin,
            voided_at: None,
        };
        store.insert_grant(&grant).await?;
    }
    for meter in ["reports", "queries", "tokens"] {
        let asked = Debit { meter: FeatureKey::new(meter)?, ..asked("acme", meter)? };
        expect(&store.debit(&asked).await?)?;
    }
    store.acquire(&acme, &FeatureKey::new("seats")?, &HolderId::new("user")?, None, begin).await?;
    Ok(())
}

pub(super) async fn load(store: &impl Store) -> Result<(), Failed> {
    let facts = store.load(&CompanyId::new("acme")?, "2026-11-24T12:00:00Z".parse()?).await?;
    if facts.grants.len() == 10 { Ok(()) } else { Err("the company is not as it was made".into()) }
}

/// One unit.
pub(super) async fn debit(store: &impl UsageStore, company: String, key: String) -> Result<(), Failed> {
    expect(&store.debit(&asked(&company, &key)?).await?)
}

fn expect(outcome: &DebitOutcome) -> Result<(), Failed> {
    match outcome {
        DebitOutcome::Recorded(_) => Ok(()),
        other => Err(format!("a debit that fits was not made: {other:?}").into()),
    }
}

/// One unit for a key. All but the names is made once: how it comes about is not what is measured.
fn asked(company: &str, key: &str) -> Result<Debit, Failed> {
    static LIKE: OnceLock<Debit> = OnceLock::new();
    let like = if let Some(like) = LIKE.get() {
        like
    } else {
        let made = first()?;
        LIKE.get_or_init(|| made)
    };
    Ok(Debit {
        company: CompanyId::new(company)?,
        key: IdempotencyKey::new(key)?,
        receipt: ReceiptId::new(key)?,
        ..like.clone()
    })
}

fn first() -> Result<Debit, Failed> {
    let period =
        Period { start: "2026-11-01T00:00:00Z".parse()?, end: Some("2026-12-01T00:00:00Z".parse()?) };
    let counter = Counter {
        meter: FeatureKey::new("reports")?,
        bucket: "plan/month/calendar".parse::<Bucket>()?,
        period,
        limit: Amount::new(1_000_000_000),
        alerts: vec![(80, Amount::from(800_000_000)), (100, Amount::from(1_000_000_000))],
    };
    Ok(Debit {
        company: CompanyId::new("any")?,
        user: None,
        key: IdempotencyKey::new("any")?,
        receipt: ReceiptId::new("any")?,
        meter: FeatureKey::new("reports")?,
        amount: Amount::ONE,
        buckets: vec![DebitBucket { counters: vec![counter] }],
        tallies: Vec::new(),
        limit: Amount::new(1_000_000_000),
        resets_at: period.end,
        at: "2026-11-24T12:00:00Z".parse()?,
    })
}
