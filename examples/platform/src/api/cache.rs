//! `/invalidate` and `/cache`: what is remembered, and forgetting it. For administrators only.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use entitlements_core::decision_cache::Scope;
use entitlements_core::id::{CompanyId, FeatureKey, UserId};
use serde_json::{Value, json};

use crate::app::App;
use crate::body::JsonObject;
use crate::caller::Admin;
use crate::problem::Rejection;
use crate::read;

/// Forgets what every process remembers of a company, a user or a feature; of everything, if nothing is named: 204.
pub(crate) async fn invalidate(
    State(app): State<Arc<App>>,
    _: Admin,
    body: JsonObject,
) -> Result<StatusCode, Rejection> {
    let mut fields = body.fields(&["companyId", "userId", "feature"])?;
    let company: Option<CompanyId> = fields.optional("companyId", read::parsed)?;
    let user: Option<UserId> = fields.optional("userId", read::parsed)?;
    let feature: Option<FeatureKey> = fields.optional("feature", read::parsed)?;
    let scope = match (company, user, feature) {
        (None, Some(_), _) => return Err(Rejection::invalid("companyId", "is required with `userId`")),
        // More than the feature is forgotten of the user: that is as right.
        (Some(company), Some(user), _) => Scope::User(company, user),
        (Some(company), None, None) => Scope::Company(company),
        (company, None, Some(feature)) => Scope::Feature(company, feature),
        (None, None, None) => Scope::Everything,
    };
    app.entitlements.invalidate_everywhere(&scope).await;
    Ok(StatusCode::NO_CONTENT)
}

/// How the caches do.
pub(crate) async fn stats(State(app): State<Arc<App>>, _: Admin) -> Json<Value> {
    let process = app.entitlements.cache_stats();
    let shared = app.entitlements.shared_cache_stats().await.map(|shared| {
        json!({"keys": shared.keys, "memoryBytes": shared.memory_bytes,
               "hits": shared.hits, "misses": shared.misses})
    });
    Json(json!({
        "process": {"entries": process.entries, "hits": process.hits, "misses": process.misses},
        "shared": shared,
    }))
}
