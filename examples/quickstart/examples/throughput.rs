//! The same small server twice, with the layer and without: what `scripts/wrk.sh` measures.
//!
//! Prints two addresses, `bare` and `gated`, and serves until it is stopped.

use std::error::Error;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::routing::get;
use entitlements_core::id::CompanyId;
use entitlements_core::{Catalog, Entitlements, Subject};
use entitlements_tower::{EntitlementLayer, FailMode, subject_extension};
use tokio::net::TcpListener;

const CATALOG: &str = r#"
schema = 1
default_plan = "free"
past_due_grace = "7d"
[features]
export = { type = "flag" }
[plans.free.grants]
export = true
[routing]
unmatched = "deny"
[[routes]]
match = "GET /export/{id}"
require = "export"
"#;

/// The application; both servers authenticate in the same way.
fn app(gate: Option<EntitlementLayer>, subject: Subject) -> Router {
    let router = Router::new().route("/export/{id}", get(async || "all of it\n"));
    let router = match gate {
        Some(gate) => router.route_layer(gate),
        None => router,
    };
    router.layer(from_fn(move |mut request: Request, next: Next| {
        request.extensions_mut().insert(subject.clone());
        next.run(request)
    }))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let entitlements = Entitlements::builder(CATALOG.parse::<Catalog>()?).build();
    let gate = EntitlementLayer::builder(entitlements, subject_extension(), FailMode::Closed).build()?;
    let subject = Subject::company(CompanyId::new("acme")?);
    let bare = TcpListener::bind("127.0.0.1:0").await?;
    let gated = TcpListener::bind("127.0.0.1:0").await?;
    println!("bare http://{}\ngated http://{}", bare.local_addr()?, gated.local_addr()?);
    tokio::select! {
        served = axum::serve(bare, app(None, subject.clone())) => served?,
        served = axum::serve(gated, app(Some(gate), subject)) => served?,
    }
    Ok(())
}
