//! What an invoice at Stripe is to us.

use entitlements_core::billing::Invoice;
use entitlements_core::id::{CompanyId, InvalidId};

use crate::wire;

/// Reads an invoice of `company`.
pub(super) fn invoice(from: &wire::Invoice, company: &CompanyId) -> Result<Invoice, InvalidId> {
    Ok(Invoice {
        id: from.id.parse()?,
        company: company.clone(),
        subscription: from.subscription().map(str::parse).transpose()?,
        number: from.number.clone(),
        status: from.status.as_ref().map_or("draft", wire::InvoiceStatus::as_str).to_owned(),
        billing_reason: from.billing_reason.as_ref().map(|reason| reason.as_str().to_owned()),
        currency: from.currency.clone().unwrap_or_default(),
        total: from.total,
        amount_due: from.amount_due,
        amount_paid: from.amount_paid,
        attempt_count: from.attempt_count,
        next_payment_attempt: from.next_payment_attempt,
        period_start: from.period_start.unwrap_or(from.created),
        period_end: from.period_end.unwrap_or(from.created),
        hosted_url: from.hosted_invoice_url.clone(),
        created_at: from.created,
    })
}
