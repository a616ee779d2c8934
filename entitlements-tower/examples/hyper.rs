//! A plain hyper server behind the layer.
//!
//! ```sh
//! cargo run -p entitlements-tower --example hyper
//! curl -i http://127.0.0.1:…/export -H 'x-company: acme'
//! ```
//!
//! `BIND_ADDR` says where it listens; without it a free port is taken and printed. The header stands for what would
//! authenticate in earnest.

mod shutdown;

use std::convert::Infallible;
use std::error::Error;
use std::pin::pin;

use bytes::Bytes;
use entitlements_core::id::{CompanyId, PlanKey, SubscriptionId};
use entitlements_core::{Catalog, Entitlements, Subscription, SubscriptionStatus};
use entitlements_tower::{EntitlementLayer, FailMode, header_trusted};
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
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
    let service = ServiceBuilder::new().layer(gate.clone()).service(service_fn(answer));

    let end = shutdown::End::listen()?;
    let mut asked_to_end = pin!(end.clone().asked());
    let address = std::env::var("BIND_ADDR").unwrap_or_else(|_| "127.0.0.1:0".to_owned());
    let listener = TcpListener::bind(address).await?;
    println!("http://{}", listener.local_addr()?);
    let connections = GracefulShutdown::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                let service = TowerToHyperService::new(service.clone());
                let server = auto::Builder::new(TokioExecutor::new());
                let connection = server.serve_connection(TokioIo::new(stream), service).into_owned();
                let connection = connections.watch(connection);
                // A connection that breaks concerns nobody but its client.
                tokio::spawn(async move { drop(connection.await) });
            }
            () = &mut asked_to_end => break,
        }
    }
    drop(listener);
    // Requests that take too long are cut off.
    tokio::select! {
        () = connections.shutdown() => {}
        () = end.overdue() => {}
    }
    shutdown::settle(&gate).await;
    Ok(())
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
