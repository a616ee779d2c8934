//! The API under `/api`: a room for each resource.

mod addons;
mod audit;
mod billing;
mod cache;
mod check;
mod companies;
mod grants;
mod holders;
mod overrides;
mod policies;
mod usage;
mod webhooks;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{delete, get, patch, post, put};

use crate::app::App;
use crate::auth::authenticate;
use crate::billing::WEBHOOKS;
use crate::problem::Rejection;

/// The routes of the API, behind authentication.
pub(crate) fn router(app: &Arc<App>) -> Router<Arc<App>> {
    let routes = Router::new()
        .route("/check", post(check::check))
        .route("/explain", post(check::explain))
        .route("/audit", get(audit::list))
        .route("/grants", post(grants::create).get(grants::list))
        .route("/grants/{id}", delete(grants::void))
        .route("/policies", post(policies::create).get(policies::list))
        .route("/policies/{id}", get(policies::find).put(policies::replace).delete(policies::remove))
        .route("/usage", post(usage::record))
        .route("/usage/{company}", get(usage::list))
        .route("/holders", post(holders::acquire).get(holders::list).delete(holders::release))
        .route("/levels", put(holders::set_level))
        .route("/addons", put(addons::put))
        .route("/invalidate", post(cache::invalidate))
        .route("/cache", get(cache::stats))
        .route("/overrides", put(overrides::put).delete(overrides::remove))
        .method_not_allowed_fallback(async || Rejection::wrong_method())
        .route_layer(app.freshness.clone())
        .route_layer(from_fn_with_state(Arc::clone(app), authenticate));
    let companies = Router::new()
        .route("/{company}", delete(companies::erase))
        .method_not_allowed_fallback(async || Rejection::wrong_method())
        .route_layer(app.freshness.clone())
        .route_layer(from_fn_with_state(Arc::clone(app), authenticate));
    let billing = Router::new()
        .route("/subscriptions", post(billing::subscribe))
        .route("/subscriptions/{id}", get(billing::find).merge(patch(billing::change)))
        .route("/subscriptions/{id}/cancel", post(billing::cancel))
        .route("/portal/{company}", post(billing::portal))
        .route("/invoices/{company}", get(billing::invoices))
        .route("/usage", get(billing::unsettled_usage))
        .method_not_allowed_fallback(async || Rejection::wrong_method())
        .route_layer(app.freshness.clone())
        .route_layer(from_fn_with_state(Arc::clone(app), authenticate));
    // The signature says who sent it.
    let webhooks = Router::new()
        .route(WEBHOOKS, post(webhooks::receive))
        .method_not_allowed_fallback(async || Rejection::wrong_method());
    Router::new()
        .nest("/api/entitlements", routes)
        .nest("/api/companies", companies)
        .nest("/api/billing", billing)
        .merge(webhooks)
}
