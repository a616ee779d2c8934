//! What billing keeps: the same statements in both dialects.

use chrono::{DateTime, Utc};
use entitlements_core::billing::{
    BillingEvent, Customer, EventOutcome, EventState, Invoice, NewEvent, Operation, OperationResult,
    PlanFeature,
};
use entitlements_core::store::{StoreError, StoreErrorKind};

use crate::error::corrupt;

pub(crate) const INSERT_CUSTOMER: &str = "store a customer";
pub(crate) const FIND_CUSTOMER: &str = "read a customer";
pub(crate) const DELETE_CUSTOMER: &str = "mark a customer as deleted";
pub(crate) const LOCK: &str = "lock a company's billing";
pub(crate) const PUT_SYNCED: &str = "store a subscription";
pub(crate) const OPERATION: &str = "store an operation";
pub(crate) const RECEIVE: &str = "store an event";
pub(crate) const CLAIM: &str = "claim an event";
pub(crate) const FINISH: &str = "finish an event";
pub(crate) const FIND_EVENT: &str = "read an event";
pub(crate) const DUE: &str = "read which events are due";
pub(crate) const PUT_INVOICE: &str = "store an invoice";
pub(crate) const LIST_INVOICES: &str = "list invoices";
pub(crate) const PLAN_FEATURES: &str = "read plan features";
pub(crate) const REPLACE_PLAN_FEATURES: &str = "replace plan features";

/// How often an insertion that met another row looks for that row. It can vanish in between, but not for ever.
pub(crate) const ROUNDS: usize = 8;

pub(crate) const fn unsupported(operation: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Unsupported, operation)
}

pub(crate) const fn contention(operation: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Contention, operation)
}

fn instant(operation: &'static str, micros: i64) -> Result<DateTime<Utc>, StoreError> {
    DateTime::from_timestamp_micros(micros).ok_or_else(|| corrupt(operation)("an instant is out of range"))
}

fn instant_if_any(operation: &'static str, micros: Option<i64>) -> Result<Option<DateTime<Utc>>, StoreError> {
    micros.map(|micros| instant(operation, micros)).transpose()
}

pub(crate) type CustomerRow = (String, String, bool, i64, Option<i64>);

pub(crate) fn customer(row: CustomerRow) -> Result<Customer, StoreError> {
    let (id, company, livemode, created_at, deleted_at) = row;
    Ok(Customer {
        id: id.try_into().map_err(corrupt(FIND_CUSTOMER))?,
        company: company.try_into().map_err(corrupt(FIND_CUSTOMER))?,
        livemode,
        created_at: instant(FIND_CUSTOMER, created_at)?,
        deleted_at: instant_if_any(FIND_CUSTOMER, deleted_at)?,
    })
}

pub(crate) type OperationRow = (String, String, String, String, i64);

pub(crate) fn operation(row: OperationRow) -> Result<Operation, StoreError> {
    let (id, company, kind, arguments, begun_at) = row;
    Ok(Operation {
        id: id.try_into().map_err(corrupt(OPERATION))?,
        company: company.try_into().map_err(corrupt(OPERATION))?,
        kind,
        arguments,
        begun_at: instant(OPERATION, begun_at)?,
    })
}

/// The word of a result, and what it says.
pub(crate) fn result(result: &OperationResult) -> (&'static str, &str) {
    match result {
        OperationResult::Done(id) => ("done", id),
        OperationResult::Failed(why) => ("failed", why),
    }
}

pub(crate) fn state(operation: &'static str, word: &str) -> Result<EventState, StoreError> {
    let known = EventState::ALL.into_iter().find(|state| state.as_str() == word);
    known.ok_or_else(|| corrupt(operation)(format!("`{word}` is no state of an event")))
}

pub(crate) type EventRow = (
    String,
    String,
    bool,
    Option<String>,
    Option<String>,
    i64,
    String,
    i64,
    String,
    i64,
    Option<String>,
    Option<i64>,
    Option<i64>,
);

pub(crate) fn event(row: EventRow) -> Result<BillingEvent, StoreError> {
    let (
        id,
        kind,
        livemode,
        object,
        customer,
        created_at,
        payload,
        received_at,
        word,
        attempts,
        note,
        due_at,
        finished_at,
    ) = row;
    Ok(BillingEvent {
        event: NewEvent {
            id: id.try_into().map_err(corrupt(FIND_EVENT))?,
            kind,
            livemode,
            object,
            customer,
            created_at: instant(FIND_EVENT, created_at)?,
            payload,
        },
        state: state(FIND_EVENT, &word)?,
        attempts: attempts.try_into().map_err(corrupt(FIND_EVENT))?,
        note,
        received_at: instant(FIND_EVENT, received_at)?,
        finished_at: instant_if_any(FIND_EVENT, finished_at)?,
        due_at: instant_if_any(FIND_EVENT, due_at)?,
    })
}

/// What an outcome makes of an event: its state, its note, when it is due, and when it was finished.
pub(crate) fn outcome(
    outcome: &EventOutcome,
    at: DateTime<Utc>,
) -> (EventState, Option<&str>, Option<i64>, Option<i64>) {
    let at = Some(at.timestamp_micros());
    match outcome {
        EventOutcome::Processed => (EventState::Processed, None, None, at),
        EventOutcome::Ignored(why) => (EventState::Ignored, Some(why), None, at),
        EventOutcome::Failed { error, retry_at } => {
            (EventState::Failed, Some(error), Some(retry_at.timestamp_micros()), None)
        }
    }
}

pub(crate) type InvoiceRow = (
    String,
    String,
    Option<String>,
    Option<String>,
    String,
    Option<String>,
    String,
    i64,
    i64,
    i64,
    i64,
    Option<i64>,
    i64,
    i64,
    Option<String>,
    i64,
);

pub(crate) fn invoice(row: InvoiceRow) -> Result<Invoice, StoreError> {
    let (
        id,
        company,
        subscription,
        number,
        status,
        billing_reason,
        currency,
        total,
        amount_due,
        amount_paid,
        attempt_count,
        next_payment_attempt,
        period_start,
        period_end,
        hosted_url,
        created_at,
    ) = row;
    Ok(Invoice {
        id: id.try_into().map_err(corrupt(LIST_INVOICES))?,
        company: company.try_into().map_err(corrupt(LIST_INVOICES))?,
        subscription: subscription.map(TryInto::try_into).transpose().map_err(corrupt(LIST_INVOICES))?,
        number,
        status,
        billing_reason,
        currency,
        total,
        amount_due,
        amount_paid,
        attempt_count: attempt_count.try_into().map_err(corrupt(LIST_INVOICES))?,
        next_payment_attempt: instant_if_any(LIST_INVOICES, next_payment_attempt)?,
        period_start: instant(LIST_INVOICES, period_start)?,
        period_end: instant(LIST_INVOICES, period_end)?,
        hosted_url,
        created_at: instant(LIST_INVOICES, created_at)?,
    })
}

/// The rows as an array of [plan, feature, value], with the value as text.
pub(crate) fn plan_feature_rows(features: &[PlanFeature]) -> String {
    let rows: Vec<_> = (features.iter())
        .map(|row| serde_json::json!([row.plan.as_str(), row.feature.as_str(), row.value.to_string()]))
        .collect();
    serde_json::Value::from(rows).to_string()
}

pub(crate) fn plan_feature(
    (plan, feature, value): (String, String, String),
) -> Result<PlanFeature, StoreError> {
    Ok(PlanFeature {
        plan: plan.try_into().map_err(corrupt(PLAN_FEATURES))?,
        feature: feature.try_into().map_err(corrupt(PLAN_FEATURES))?,
        value: serde_json::from_str(&value).map_err(corrupt(PLAN_FEATURES))?,
    })
}
