//! Health and metrics: for machines that watch the platform. No token is needed.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use entitlements_core::id::CompanyId;
use serde_json::{Value, json};

use crate::app::App;
use crate::problem::Rejection;
use crate::start_error::chain;

/// How long a dependency may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// A company that does not exist.
const PROBE: &str = "readiness-probe";

pub(crate) fn router() -> Router<Arc<App>> {
    Router::new()
        .route("/healthz", get(live))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .method_not_allowed_fallback(async || Rejection::wrong_method())
}

async fn live() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

async fn ready(State(app): State<Arc<App>>) -> (StatusCode, Json<Value>) {
    if store_answers(&app).await {
        (StatusCode::OK, Json(json!({"status": "ok", "store": "ok"})))
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, Json(json!({"status": "unavailable", "store": "unavailable"})))
    }
}

async fn store_answers(app: &App) -> bool {
    let Ok(probe) = CompanyId::new(PROBE) else { return false };
    match tokio::time::timeout(PATIENCE, app.store.load(&probe, app.entitlements.now())).await {
        Ok(Ok(_)) => true,
        Ok(Err(error)) => {
            tracing::warn!(error = chain(&error), "not ready");
            false
        }
        Err(_) => {
            tracing::warn!("not ready: the store does not answer in time");
            false
        }
    }
}

async fn metrics(State(app): State<Arc<App>>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], app.metrics.text())
}
