//! Health and metrics: for machines that watch the platform. No token is needed.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Extension, Json, Router};
use entitlements_core::id::CompanyId;
use entitlements_tower::EntitlementLayer;
use serde_json::{Value, json};

use crate::app::App;
use crate::metrics::Metrics;
use crate::problem::Rejection;
use crate::start_error::chain;

/// How long a dependency may take to answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// A company that does not exist.
const PROBE: &str = "readiness-probe";

pub(crate) fn router(gate: EntitlementLayer) -> Router<Arc<App>> {
    Router::new()
        .route("/healthz", get(live))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .method_not_allowed_fallback(async || Rejection::wrong_method())
        .layer(Extension(gate))
}

async fn live() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

async fn ready(State(app): State<Arc<App>>) -> (StatusCode, Json<Value>) {
    let answers = store_answers(&app).await;
    let word = if answers { "ok" } else { "unavailable" };
    let mut body = json!({"status": word, "store": word});
    // Shown only: without it every answer is right, and some are slower.
    if let (Some(redis), Some(body)) = (&app.redis, body.as_object_mut()) {
        let connected = redis.health().connected && app.entitlements.hears_the_bus() != Some(false);
        body.insert("redis".into(), if connected { "ok" } else { "unavailable" }.into());
    } else if let (Some(hears), Some(body)) = (app.entitlements.hears_the_bus(), body.as_object_mut()) {
        body.insert("bus".into(), if hears { "ok" } else { "unavailable" }.into());
    }
    (if answers { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, Json(body))
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

async fn metrics(
    State(app): State<Arc<App>>,
    Extension(gate): Extension<EntitlementLayer>,
) -> impl IntoResponse {
    let text = app.metrics.text()
        + &Metrics::audit_text(&app.audit.stats())
        + &Metrics::settlement_text(&gate.settlements())
        + &Metrics::cache_text(
            &app.entitlements.cache_stats(),
            app.redis.as_ref().map(|redis| redis.health()),
        );
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}

#[cfg(test)]
mod tests {
    use axum::response::Response;
    use entitlements_core::{Action, Request, Subject};
    use entitlements_sqlx::{SqliteConfig, SqliteStore};
    use http_body_util::BodyExt;

    use super::*;

    /// An application whose store was closed under it.
    async fn without_a_store() -> Arc<App> {
        let store = SqliteStore::connect(&SqliteConfig::in_memory()).await.unwrap();
        store.close().await;
        Arc::new(App::over(Arc::new(store)))
    }

    #[tokio::test]
    async fn without_its_store_the_platform_lives_and_is_not_ready() {
        let app = without_a_store().await;
        let (status, body) = ready(State(app)).await;
        assert_eq!((status, body["store"].as_str()), (StatusCode::SERVICE_UNAVAILABLE, Some("unavailable")));
    }

    #[tokio::test]
    async fn a_failure_of_the_store_is_503_counted_and_says_nothing_of_the_driver() {
        let app = without_a_store().await;
        let acme = Subject::company(CompanyId::new("acme").unwrap());
        let error = app.entitlements.check(&Request::new(&acme, "forecast", Action::View)).await.unwrap_err();
        let response: Response = Rejection::from(error).into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()["retry-after"], "1");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let body = String::from_utf8(body.to_vec()).unwrap().to_lowercase();
        assert!(!body.contains("pool") && !body.contains("sql") && !body.contains("closed"), "{body}");
        assert!(app.metrics.text().contains("entitlements_store_errors_total 1"));
    }
}
