//! Subscriptions and invoices as JSON.

use chrono::{DateTime, Utc};
use entitlements_core::billing::Invoice;
use entitlements_core::id::{CompanyId, InvoiceId, PlanKey, SubscriptionId};
use entitlements_core::{Amount, Subscription, SubscriptionStatus};
use serde::Serialize;

/// A subscription.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SubscriptionShape {
    id: SubscriptionId,
    company_id: CompanyId,
    plan: PlanKey,
    status: SubscriptionStatus,
    seats: Option<Amount>,
    current_period_start: DateTime<Utc>,
    current_period_end: DateTime<Utc>,
    trial_end: Option<DateTime<Utc>>,
    cancel_at_period_end: bool,
    cancel_at: Option<DateTime<Utc>>,
}

impl From<Subscription> for SubscriptionShape {
    fn from(from: Subscription) -> Self {
        Self {
            id: from.id,
            company_id: from.company,
            plan: from.plan,
            status: from.status,
            seats: from.seats,
            current_period_start: from.current_period_start,
            current_period_end: from.current_period_end,
            trial_end: from.trial_end,
            cancel_at_period_end: from.cancel_at_period_end,
            cancel_at: from.cancel_at,
        }
    }
}

/// An invoice. Money is whole minor units of the currency.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InvoiceShape {
    id: InvoiceId,
    company_id: CompanyId,
    subscription_id: Option<SubscriptionId>,
    number: Option<String>,
    status: String,
    billing_reason: Option<String>,
    currency: String,
    total: i64,
    amount_due: i64,
    amount_paid: i64,
    attempt_count: u32,
    next_payment_attempt: Option<DateTime<Utc>>,
    period_start: DateTime<Utc>,
    period_end: DateTime<Utc>,
    hosted_url: Option<String>,
    created_at: DateTime<Utc>,
}

impl From<Invoice> for InvoiceShape {
    fn from(from: Invoice) -> Self {
        Self {
            id: from.id,
            company_id: from.company,
            subscription_id: from.subscription,
            number: from.number,
            status: from.status,
            billing_reason: from.billing_reason,
            currency: from.currency,
            total: from.total,
            amount_due: from.amount_due,
            amount_paid: from.amount_paid,
            attempt_count: from.attempt_count,
            next_payment_attempt: from.next_payment_attempt,
            period_start: from.period_start,
            period_end: from.period_end,
            hosted_url: from.hosted_url,
            created_at: from.created_at,
        }
    }
}
