//! A plain hyper server behind the layer.
//!
//! ```sh
//! cargo run -p entitlements-tower --example hyper
//! curl -i http://127.0.0.1:…/export -H 'x-company: acme'
//! ```
//!
//! `BIND_ADDR` says where it listens; without it a free port is taken and printed. The header stands for what would
//! authenticate in earnest.

use std::convert::Infallible;
use std::error::Error;

use bytes::Bytes;
use entitlements_core::id::{CompanyId, PlanKey, SubscriptionId};
use entitlements_core::{Catalog, Entitlements, Subscription, SubscriptionStatus};
use entitlements_tower::{EntitlementLayer, FailMode, header_trusted};
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tower::{ServiceBuilder, service_fn};

const CATALOG: &str = r#"
    schema = 1
    default_plan = "free"
    past_due_grace = "7d"
    [features]
    export = { type = "flag" }
    [plans.free]
    [plans.pro.grants]
    export = true
    [routing]
    unmatched = "deny"
    [[routes]]
    match = "/export"
    require = "export"
"#;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let entitlements = Entitlements::builder(CATALOG.parse::<Catalog>()?).build();
    entitlements.put_subscription(&paying("acme", &entitlements)?).await?;

    let gate =
        EntitlementLayer::builder(entitlements, header_trusted("x-company"), FailMode::Closed).build()?;
    let service = ServiceBuilder::new().layer(gate).service(service_fn(answer));

    let address = std::env::var("BIND_ADDR").unwrap_or_else(|_| "127.0.0.1:0".to_owned());
    let listener = TcpListener::bind(address).await?;
    println!("http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        let service = TowerToHyperService::new(service.clone());
        tokio::spawn(async move {
            // A connection that breaks concerns nobody but its client.
            let _ = auto::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::from("all of it\n")))
}

/// A subscription, as a billing provider would tell it.
fn paying(company: &str, entitlements: &Entitlements) -> Result<Subscription, Box<dyn Error>> {
    let now = entitlements.now();
    Ok(Subscription {
        id: SubscriptionId::new(format!("sub-{company}"))?,
        company: CompanyId::new(company)?,
        plan: PlanKey::new("pro")?,
        status: SubscriptionStatus::Active,
        seats: None,
        started_at: now,
        anchor: now,
        current_period_start: now,
        current_period_end: now + chrono::TimeDelta::days(30),
        trial_end: None,
        past_due_since: None,
        cancel_at: None,
        cancel_at_period_end: false,
        created_at: now,
    })
}
