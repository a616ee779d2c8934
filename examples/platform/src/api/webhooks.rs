//! `/api/billing/webhooks/stripe`: what Stripe tells. It needs no token: the signature says who sent it.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use billing_stripe::signature::SIGNATURE_HEADER;
use billing_stripe::{Handled, WebhookError};
use serde_json::{Value, json};

use crate::app::App;
use crate::body::RawBody;
use crate::problem::Rejection;

/// Takes a webhook: 200 when it is stored and nothing is left to do.
pub(crate) async fn receive(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Result<RawBody, Rejection>,
) -> Result<Json<Value>, Rejection> {
    let RawBody(body) = body.inspect_err(|_| app.metrics.webhook("rejected"))?;
    let mut signatures = headers.get_all(SIGNATURE_HEADER).iter();
    let signature = match (signatures.next(), signatures.next()) {
        (Some(one), None) => one.to_str().ok(),
        // None, or several of which one could be read and another be meant.
        _ => None,
    };
    let handled = app.billing.webhooks.receive(&body, signature).await;
    let outcome = match &handled {
        Ok(Handled::Processed) => "processed",
        Ok(Handled::Ignored(_)) => "ignored",
        Ok(Handled::Duplicate(_)) => "duplicate",
        Err(WebhookError::Busy) => "busy",
        Err(WebhookError::Failed(_)) => "failed",
        Err(_) => "rejected",
    };
    app.metrics.webhook(outcome);
    match handled {
        Ok(_) => Ok(Json(json!({ "outcome": outcome }))),
        Err(error) => Err(Rejection::webhook(&error)),
    }
}
