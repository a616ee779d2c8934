//! The platform, and beside it its gateway without the gate, and with one whose decisions nobody observes: what
//! `scripts/wrk.sh` measures.
//!
//! All are in one process and share the database, the tokens and the handlers. Prints three addresses, `bare`, `unobserved` and
//! `gated`, and serves until it is stopped. The environment is that of the platform; the others listen on ports of their own.

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
    let unobserved = platform.unobserved()?;
    let (beside, last) = (TcpListener::bind("127.0.0.1:0").await?, TcpListener::bind("127.0.0.1:0").await?);
    println!("bare http://{}\nunobserved http://{}", beside.local_addr()?, last.local_addr()?);
    println!("gated http://{}", platform.address());
    // As the platform does it.
    let at_once = |listener: TcpListener| listener.tap_io(|connection| drop(connection.set_nodelay(true)));
    tokio::select! {
        served = axum::serve(at_once(beside), bare) => served?,
        served = axum::serve(at_once(last), unobserved) => served?,
        served = platform.serve(end.requested()) => served?,
    }
    Ok(())
}
