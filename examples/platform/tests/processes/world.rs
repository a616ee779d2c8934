//! What all processes of a run know.

use std::time::{SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Utc};
use entitlements_core::id::{CompanyId, PlanKey, SubscriptionId};
use entitlements_core::{Catalog, Subscription, SubscriptionStatus};
use entitlements_sqlx::PostgresConfig;

use crate::orders::Micros;

pub(crate) const FEATURE: &str = "boardroom";

pub(crate) fn catalog() -> Catalog {
    "schema = 1\ndefault_plan = \"free\"\npast_due_grace = \"7d\"\n\
     [features]\nboardroom = { type = \"flag\" }\n[plans.free]\n[plans.pro.grants]\nboardroom = true\n"
        .parse()
        .unwrap()
}

pub(crate) fn company(name: &str) -> CompanyId {
    CompanyId::new(name).unwrap()
}

/// A subscription that gives the feature; or one that does not, because it is cancelled or of another plan.
pub(crate) fn subscription(name: &str, has: bool, cancel: bool, now: DateTime<Utc>) -> Subscription {
    Subscription {
        id: SubscriptionId::new(format!("sub-{name}")).unwrap(),
        company: company(name),
        plan: PlanKey::new(if has || cancel { "pro" } else { "free" }).unwrap(),
        status: if has || !cancel { SubscriptionStatus::Active } else { SubscriptionStatus::Canceled },
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
    }
}

/// A schema that does not exist yet, on the server for tests.
pub(crate) fn new_schema() -> String {
    format!("processes_{:x}_{}", micros(), std::process::id())
}

pub(crate) fn database(schema: &str) -> PostgresConfig {
    let url = std::env::var("ENTITLEMENTS_TEST_POSTGRES_URL")
        .expect("ENTITLEMENTS_TEST_POSTGRES_URL names a PostgreSQL server; scripts/postgres.sh starts one");
    let separator = if url.contains('?') { '&' } else { '?' };
    PostgresConfig::from_url(&format!("{url}{separator}search_path={schema}")).unwrap()
}

pub(crate) fn micros() -> Micros {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()).unwrap()
}
