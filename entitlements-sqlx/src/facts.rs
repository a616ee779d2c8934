//! Facts and policies, put together from the rows that one statement reads.

use chrono::DateTime;
use entitlements_core::facts::{Facts, Revision};
use entitlements_core::id::CompanyId;
use entitlements_core::store::{Policies, StoreError, StoreErrorKind};

use crate::error::corrupt;
use crate::rows::{
    AddOnRow, CounterRow, GaugeRow, GrantRow, OverrideRow, PlanChangeRow, PolicyRow, SubscriptionRow, many,
};

/// What `load.sql` reads: the company's revision and that of the policies, then the parts as arrays of rows.
pub(crate) type Parts = (i64, i64, String, String, String, String, String, String, String, Option<i64>);

/// What `policies.sql` reads: the revision, and an array of rows.
pub(crate) type PolicyParts = (i64, String);

pub(crate) fn facts(
    operation: &'static str,
    company: &CompanyId,
    rows: Vec<Parts>,
) -> Result<Facts, StoreError> {
    let (
        of_company,
        of_policies,
        subscriptions,
        plan_changes,
        addons,
        overrides,
        grants,
        usage,
        gauges,
        reserved,
    ) = rows.into_iter().next().ok_or(StoreError::new(StoreErrorKind::Corrupt, operation))?;
    Ok(Facts {
        company: company.clone(),
        revision: revision(operation, of_company)?,
        policies_revision: revision(operation, of_policies)?,
        subscriptions: many::<SubscriptionRow, _>(operation, &subscriptions)?,
        plan_changes: many::<PlanChangeRow, _>(operation, &plan_changes)?,
        addons: many::<AddOnRow, _>(operation, &addons)?,
        overrides: many::<OverrideRow, _>(operation, &overrides)?,
        grants: many::<GrantRow, _>(operation, &grants)?,
        usage: many::<CounterRow, _>(operation, &usage)?,
        gauges: many::<GaugeRow, _>(operation, &gauges)?,
        reserved_until: reserved
            .map(|micros| {
                DateTime::from_timestamp_micros(micros)
                    .ok_or_else(|| corrupt(operation)("an instant is out of range"))
            })
            .transpose()?,
    })
}

pub(crate) fn policies(operation: &'static str, rows: Vec<PolicyParts>) -> Result<Policies, StoreError> {
    let (of_policies, policies) =
        rows.into_iter().next().ok_or(StoreError::new(StoreErrorKind::Corrupt, operation))?;
    Ok(Policies {
        revision: revision(operation, of_policies)?,
        policies: many::<PolicyRow, _>(operation, &policies)?,
    })
}

/// A stored number as a revision.
pub(crate) fn revision(operation: &'static str, number: i64) -> Result<Revision, StoreError> {
    u64::try_from(number).map(Revision).map_err(corrupt(operation))
}
