//! Development mode: tokens for everybody on this machine, and a clock that can be moved.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use chrono::{SubsecRound, TimeDelta, Utc};
use entitlements_core::period::parse_duration;
use entitlements_core::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::app::App;
use crate::billed;
use crate::body::JsonObject;
use crate::caller::{Caller, Role};
use crate::demo;
use crate::dev_clock::{DevClock, NotMoved};
use crate::problem::Rejection;
use crate::read;
use crate::start_error::chain;

/// How long a token of development mode is valid.
const VALID: TimeDelta = TimeDelta::hours(24);

/// What development mode has beside.
#[derive(Debug)]
pub(crate) struct Development {
    pub(crate) clock: DevClock,
}

/// The routes. They need no token; the platform listens on loopback only.
pub(crate) fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/dev/tokens", post(issue))
        .route("/dev/clock", post(advance))
        .method_not_allowed_fallback(async || Rejection::wrong_method())
}

/// A token for a caller, valid for a day of the machine's clock.
pub(crate) fn token(app: &App, caller: &Caller) -> Result<String, jsonwebtoken::errors::Error> {
    let expires: chrono::DateTime<Utc> = SystemClock.now() + VALID;
    app.tokens.issue(caller, expires)
}

async fn issue(State(app): State<Arc<App>>, body: JsonObject) -> Result<Json<Value>, Rejection> {
    let mut fields = body.fields(&["company", "user", "role"])?;
    let caller = Caller {
        company: fields.required("company", read::parsed)?,
        user: fields.required("user", read::parsed)?,
        role: fields.optional("role", role)?.unwrap_or(Role::Member),
    };
    let token = token(&app, &caller).map_err(|error| {
        tracing::error!(error = chain(&error), "a token cannot be signed");
        Rejection::internal()
    })?;
    Ok(Json(json!({ "token": token })))
}

fn role(value: &Value) -> Result<Role, String> {
    Role::named(read::word(value)?)
        .ok_or_else(|| "unknown role, expected one of member, billing, service, admin".into())
}

async fn advance(State(app): State<Arc<App>>, body: JsonObject) -> Result<Json<Value>, Rejection> {
    let mut fields = body.fields(&["advance"])?;
    let by = fields
        .required("advance", |value| parse_duration(read::word(value)?).map_err(|error| error.to_string()))?;
    let Some(development) = &app.development else { return Err(Rejection::internal()) };
    // What was used until now is of now.
    billed::report(&app.billing.provider, &app.metrics).await;
    let now = development.clock.advance(by).await.map_err(|error| match error {
        NotMoved::TooFar => Rejection::invalid("advance", error),
        NotMoved::Unwritten(ref cause) => {
            tracing::error!(error = chain(cause), "{error}");
            Rejection::internal()
        }
    })?;
    tracing::info!(%now, "the clock was moved");
    app.billing.settle().await;
    demo::renew(&app).await?;
    app.entitlements.invalidate_all();
    Ok(Json(json!({ "now": now.trunc_subsecs(6) })))
}
