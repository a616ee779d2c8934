//! The application: what handlers share, and the router that leads to them.

use std::sync::Arc;

use axum::middleware::from_fn;
use axum::{Extension, Router};
use entitlements_core::Entitlements;
use entitlements_core::audit::Audit;
use entitlements_core::store::SharedStore;
use entitlements_redis::RedisDecisionCache;
use entitlements_tower::{EntitlementLayer, FreshnessLayer};

use crate::billing::Billing;
use crate::development::Development;
use crate::metrics::Metrics;
use crate::problem::Rejection;
use crate::token::Tokens;
use crate::{access_log, api, development, gateway, health, problem};

/// What handlers share.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) entitlements: Entitlements,
    /// For what the handle does not offer: add-ons, overrides, demo subscriptions.
    pub(crate) store: SharedStore,
    /// Takes note of every decision.
    pub(crate) audit: Audit,
    pub(crate) billing: Billing,
    pub(crate) tokens: Tokens,
    pub(crate) metrics: Metrics,
    /// Lets clients read their own writes.
    pub(crate) freshness: FreshnessLayer,
    /// What processes share, if they do.
    pub(crate) redis: Option<Arc<RedisDecisionCache>>,
    /// In development mode only.
    pub(crate) development: Option<Development>,
}

#[cfg(test)]
impl App {
    /// An application that sells what the built-in catalog does, and keeps everything in `store`.
    pub(crate) fn over(store: SharedStore) -> Self {
        let catalog: entitlements_core::Catalog = include_str!("../catalog.toml").parse().unwrap();
        let metrics = Metrics::new().unwrap();
        let audit = Audit::new(Arc::clone(&store));
        let entitlements = Entitlements::builder(catalog)
            .shared_store(Arc::clone(&store))
            .observer(crate::metrics::observer(&metrics))
            .observer(audit.clone())
            .build();
        let tokens = Tokens::new(&secrecy::SecretString::from("secret"));
        let billing = Billing::unreachable(entitlements.clone());
        let freshness = FreshnessLayer::new(entitlements.clone(), entitlements_tower::subject_extension());
        Self {
            entitlements,
            store,
            audit,
            billing,
            tokens,
            metrics,
            freshness,
            redis: None,
            development: None,
        }
    }
}

/// Every route of the platform.
pub(crate) fn router(app: &Arc<App>, gate: EntitlementLayer) -> Router {
    let api = api::router(app).layer(Extension(gate.clone()));
    let mut router =
        Router::new().merge(health::router(gate.clone())).merge(gateway::router(app, gate)).merge(api);
    if app.development.is_some() {
        router = router.merge(development::router());
    }
    complete(app, router)
}

/// The routes of the gateway alone, without its gate.
#[cfg(feature = "throughput")]
pub(crate) fn ungated(app: &Arc<App>, decision: entitlements_core::Decision) -> Router {
    complete(app, gateway::ungated(app, decision))
}

/// The routes of the gateway alone, behind that gate.
#[cfg(feature = "throughput")]
pub(crate) fn gated(app: &Arc<App>, gate: EntitlementLayer) -> Router {
    complete(app, gateway::router(app, gate))
}

/// What is around every route.
fn complete(app: &Arc<App>, router: Router<Arc<App>>) -> Router {
    router
        .fallback(async || Rejection::not_found("there is nothing at this path"))
        .layer(from_fn(problem::place))
        .layer(from_fn(access_log::log))
        .with_state(Arc::clone(app))
}
