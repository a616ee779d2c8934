//! `/api/billing`: subscriptions, invoices and the portal. Members see what their company has; changes need the role.

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use entitlements_core::billing::{BillingProvider, NewSubscription, SubscriptionChange};
use entitlements_core::id::{CompanyId, SubscriptionId};
use entitlements_core::{Amount, Subscription, SubscriptionStatus};
use serde_json::{Value, json};

use crate::app::App;
use crate::billing;
use crate::body::{JsonObject, OptionalObject};
use crate::caller::{Admin, Buying, Caller};
use crate::paging::{self, List, Listed};
use crate::problem::Rejection;
use crate::query::{Parameters, Segment};
use crate::read;
use crate::shape::subscription::{InvoiceShape, SubscriptionShape};
use crate::stripe_config::web_address;
use crate::written::{self, Written};

const INVOICES: List = List("invoices");

/// The longest trial.
const MAX_TRIAL_DAYS: u32 = 30;

/// The most seats of a subscription.
const MAX_SEATS: u32 = 1_000_000;

/// Subscribes a company: 201.
pub(crate) async fn subscribe(
    State(app): State<Arc<App>>,
    Buying(caller): Buying,
    body: JsonObject,
) -> Result<(StatusCode, Option<Written>, Json<SubscriptionShape>), Rejection> {
    let mut fields = body.fields(&["companyId", "plan", "seats", "trialDays", "paymentMethodId"])?;
    let company: CompanyId = fields.required("companyId", read::parsed)?;
    caller.must_own(&company)?;
    let new = NewSubscription {
        company,
        plan: fields.required("plan", read::parsed)?,
        seats: fields.optional("seats", seats)?,
        trial_days: fields.optional("trialDays", trial_days)?,
        payment_method: fields.optional("paymentMethodId", read::name)?,
    };
    let made = app.billing.provider.subscribe(&new).await?;
    let written = written::of(&app, &made.company).await;
    Ok((StatusCode::CREATED, written, Json(made.into())))
}

/// The subscription of a company that counts.
pub(crate) async fn find(
    State(app): State<Arc<App>>,
    caller: Caller,
    Segment(company): Segment,
) -> Result<Json<SubscriptionShape>, Rejection> {
    let company = company_id(company)?;
    caller.must_own(&company)?;
    let now = app.entitlements.now();
    let subscriptions = app.store.load(&company, now).await?.subscriptions;
    let grace = app.entitlements.catalog().past_due_grace();
    match billing::current(subscriptions, now, grace) {
        Some(current) => Ok(Json(current.into())),
        None => Err(Rejection::not_found("the company has no subscription")),
    }
}

/// Changes seats or plan, or schedules the end or undoes that.
pub(crate) async fn change(
    State(app): State<Arc<App>>,
    OwnSubscription(subscription): OwnSubscription,
    body: JsonObject,
) -> Result<(Option<Written>, Json<SubscriptionShape>), Rejection> {
    let mut fields = body.fields(&["seats", "plan", "cancelAtPeriodEnd"])?;
    let change = SubscriptionChange {
        seats: fields.optional("seats", seats)?,
        plan: fields.optional("plan", read::parsed)?,
        cancel_at_period_end: fields.optional("cancelAtPeriodEnd", read::flag)?,
    };
    let changed = app.billing.provider.change(&subscription.id, &change).await?;
    Ok((written::of(&app, &changed.company).await, Json(changed.into())))
}

/// Ends a subscription, with the paid period unless the body says otherwise. What is cancelled stays so.
pub(crate) async fn cancel(
    State(app): State<Arc<App>>,
    OwnSubscription(subscription): OwnSubscription,
    OptionalObject(body): OptionalObject,
) -> Result<(Option<Written>, Json<SubscriptionShape>), Rejection> {
    let mut fields = body.fields(&["atPeriodEnd"])?;
    let at_period_end = fields.optional("atPeriodEnd", read::flag)?.unwrap_or(true);
    if subscription.status == SubscriptionStatus::Canceled {
        return Ok((None, Json(subscription.into())));
    }
    let ending = app.billing.provider.cancel(&subscription.id, at_period_end).await?;
    Ok((written::of(&app, &ending.company).await, Json(ending.into())))
}

/// A page on which the company manages its billing.
pub(crate) async fn portal(
    State(app): State<Arc<App>>,
    OwnCompany(company): OwnCompany,
    OptionalObject(body): OptionalObject,
) -> Result<Json<Value>, Rejection> {
    let mut fields = body.fields(&["returnUrl"])?;
    let return_url = fields.optional("returnUrl", |value| {
        let text = read::word(value)?;
        web_address(text).map(|()| text.to_owned())
    })?;
    let return_url = return_url.as_deref().unwrap_or(&app.billing.return_url);
    let portal = app.billing.provider.portal(&company, return_url).await?;
    Ok(Json(json!({ "url": portal.url })))
}

/// The invoices of a company, newest first.
pub(crate) async fn invoices(
    State(app): State<Arc<App>>,
    caller: Caller,
    Segment(company): Segment,
    parameters: Parameters,
) -> Result<Json<Listed<InvoiceShape>>, Rejection> {
    let company = company_id(company)?;
    caller.must_own(&company)?;
    let page = INVOICES.requested(&mut parameters.fields(&["limit", "cursor"])?)?;
    let page = app.billing.ledger.list_invoices(&company, &page).await;
    let page = page.map_err(|error| paging::failed(error.into()))?;
    Ok(Json(INVOICES.sent(page, InvoiceShape::from)))
}

/// What Stripe does not count as it was used: what waits, and what it cannot count or take back. For administrators.
pub(crate) async fn unsettled_usage(State(app): State<Arc<App>>, _: Admin) -> Result<Json<Value>, Rejection> {
    let items = app.billing.provider.unsettled_usage().await?;
    Ok(Json(json!({ "items": items })))
}

/// The subscription that the path names, of a company whose billing the caller may change. Taken before the body.
#[derive(Debug)]
pub(crate) struct OwnSubscription(Subscription);

impl FromRequestParts<Arc<App>> for OwnSubscription {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Rejection> {
        let Buying(caller) = Buying::from_request_parts(parts, app).await?;
        let Segment(id) = Segment::from_request_parts(parts, app).await?;
        let id = SubscriptionId::new(id).map_err(|error| Rejection::invalid("subscriptionId", error))?;
        let known = app.store.subscription(&id).await?;
        let known = known.ok_or_else(|| Rejection::not_found("there is no such subscription"))?;
        caller.must_own(&known.company)?;
        Ok(Self(known))
    }
}

/// The company that the path names, whose billing the caller may change. Taken before the body.
#[derive(Debug)]
pub(crate) struct OwnCompany(CompanyId);

impl FromRequestParts<Arc<App>> for OwnCompany {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Rejection> {
        let Buying(caller) = Buying::from_request_parts(parts, app).await?;
        let Segment(company) = Segment::from_request_parts(parts, app).await?;
        let company = company_id(company)?;
        caller.must_own(&company)?;
        Ok(Self(company))
    }
}

fn company_id(text: String) -> Result<CompanyId, Rejection> {
    CompanyId::new(text).map_err(|error| Rejection::invalid("companyId", error))
}

fn seats(value: &Value) -> Result<Amount, String> {
    match read::quantity(value) {
        Ok(seats) if (1..=MAX_SEATS).contains(&seats) => Ok(Amount::from(seats)),
        _ => Err(format!("must be a whole number from 1 to {MAX_SEATS}")),
    }
}

fn trial_days(value: &Value) -> Result<u32, String> {
    let days = read::quantity(value).ok().filter(|days| *days <= MAX_TRIAL_DAYS);
    days.ok_or_else(|| format!("must be a whole number of days from 0 to {MAX_TRIAL_DAYS}"))
}
