//! The first minute: a web server whose routes are sold. Everything is in memory; nothing needs to be installed.

use std::error::Error;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::Path;
use axum::routing::{get, post};
use entitlements_core::{Catalog, Entitlements};
use entitlements_tower::{Admitted, EntitlementLayer, FailMode, header_trusted};

/// What is sold, to whom, and which routes need it.
const CATALOG: &str = r#"
schema = 1
default_plan = "free"          # companies without a subscription
past_due_grace = "7d"

[features]
dashboard = { type = "flag", name = "Dashboard" }
export    = { type = "flag", name = "CSV export" }
reports   = { type = "meter", unit = "report" }

[plans.free.grants]
dashboard = true
reports   = { limit = 3, every = "month", anchor = "calendar" }

[plans.pro]
extends = "free"
[plans.pro.grants]
export  = true
reports = { limit = 100, every = "month" }

[routing]
unmatched = "allow"

[[routes]]
match   = "GET /dashboard"
require = "dashboard"

[[routes]]
match   = "GET /export"
require = "export"

[[routes]]
match   = "POST /reports/{name}"
consume = "reports"
"#;

/// The application, and the layer that gates it.
fn app(entitlements: &Entitlements) -> Result<(Router, EntitlementLayer), Box<dyn Error>> {
    // A header says who asks. A real server uses what authentication found: `from_extension(|user: &User| …)`.
    let identify = header_trusted("x-company");
    let gate = EntitlementLayer::builder(entitlements.clone(), identify, FailMode::Closed).build()?;
    let router = Router::new()
        .route("/dashboard", get(dashboard))
        .route("/export", get(async || "all,of,it\n"))
        .route("/reports/{name}", post(report))
        .route_layer(gate.clone());
    Ok((router, gate))
}

async fn dashboard(Admitted(decision): Admitted) -> String {
    format!("your dashboard, on the plan {}\n", decision.plan.unwrap_or("of nobody"))
}

async fn report(Path(name): Path<String>) -> String {
    format!("the report {name}\n")
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().with_env_filter("info").init();
    let entitlements = Entitlements::builder(Catalog::parse("catalog.toml", CATALOG)?).build();
    let (app, gate) = app(&entitlements)?;
    let address: SocketAddr = std::env::var("BIND_ADDR").as_deref().unwrap_or("127.0.0.1:3000").parse()?;
    let asked_to_end = asked_to_end()?;
    let listener = tokio::net::TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    tracing::warn!("whoever sends the header `x-company` is that company: for demonstrations only");
    println!("  allowed       curl -i -H 'x-company: acme' http://{address}/dashboard");
    println!("  not in plan   curl -i -H 'x-company: acme' http://{address}/export");
    println!("  three a month curl -i -H 'x-company: acme' -X POST http://{address}/reports/sales");
    println!("  nobody        curl -i http://{address}/dashboard");
    axum::serve(listener, app).with_graceful_shutdown(asked_to_end).await?;
    // What is owed is settled before the end, if that does not take too long.
    let settled = tokio::time::timeout(Duration::from_secs(10), gate.flush()).await;
    let settled = settled.unwrap_or_else(|_| gate.settlements());
    println!("  settled       {} refunds and late charges; {} are left", settled.done, settled.pending);
    Ok(())
}

/// Ready when ctrl-c or SIGTERM asks the process to end.
#[cfg(unix)]
fn asked_to_end() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};

    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Ready when ctrl-c asks the process to end.
#[cfg(not(unix))]
fn asked_to_end() -> io::Result<impl Future<Output = ()>> {
    Ok(async { drop(tokio::signal::ctrl_c().await) })
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn the_curl_lines_do_what_they_say() {
        let entitlements = Entitlements::builder(Catalog::parse("catalog.toml", CATALOG).unwrap()).build();
        let (app, _) = app(&entitlements).unwrap();
        let ask = |method: &str, path: &str, company: Option<&str>| {
            let request = Request::builder().method(method).uri(path);
            let request =
                company.into_iter().fold(request, |request, name| request.header("x-company", name));
            app.clone().oneshot(request.body(Body::empty()).unwrap())
        };
        let dashboard = ask("GET", "/dashboard", Some("acme")).await.unwrap();
        let body = dashboard.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, "your dashboard, on the plan free\n");
        assert_eq!(ask("GET", "/export", Some("acme")).await.unwrap().status(), 402);
        for status in [200, 200, 200, 402] {
            assert_eq!(ask("POST", "/reports/sales", Some("acme")).await.unwrap().status(), status);
        }
        assert_eq!(ask("GET", "/dashboard", None).await.unwrap().status(), 401);
        assert_eq!(ask("GET", "/nowhere", None).await.unwrap().status(), 404);
    }
}
