//! The platform, and beside it its gateway without the gate: what `scripts/wrk.sh` measures.
//!
//! Both are in one process and share the database, the tokens and the handlers. Prints two addresses, `bare` and `gated`, and
//! serves until it is stopped. The environment is that of the platform; the bare one listens on a port of its own.

use std::error::Error;

use axum::serve::ListenerExt;
use entitlements_core::Subject;
use entitlements_core::id::CompanyId;
use platform::{Config, EndSignals, Environment, Platform};
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::from_default_env())
        .with_writer(std::io::stderr)
        .init();
    let end = EndSignals::listen()?;
    let platform = Platform::open(Config::read(Environment::of_process()?)?).await?;
    let subject = Subject::company(CompanyId::new("pro-co")?);
    let bare = platform.ungated(&subject, "boardroom_live").await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("bare http://{}\ngated http://{}", listener.local_addr()?, platform.address());
    // As the platform does it.
    let listener = listener.tap_io(|connection| drop(connection.set_nodelay(true)));
    tokio::select! {
        served = axum::serve(listener, bare) => served?,
        served = platform.serve(end.requested()) => served?,
    }
    Ok(())
}
