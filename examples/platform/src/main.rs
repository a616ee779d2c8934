//! Runs the platform. See the library for what it is made of.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use platform::{Config, EndSignals, Environment, Platform, StartError};
use tracing_subscriber::EnvFilter;

/// A bad value, or something that cannot be opened.
const REFUSED: u8 = 2;

fn main() -> ExitCode {
    let config = match Environment::of_process().and_then(Config::read) {
        Ok(config) => config,
        Err(error) => return refused(&error),
    };
    let filter = match std::env::var("RUST_LOG") {
        Ok(directives) if !directives.is_empty() => EnvFilter::try_new(directives),
        _ => Ok(EnvFilter::new("info")),
    };
    let filter = match filter {
        Ok(filter) => filter,
        Err(error) => return refused(&StartError::one(format!("RUST_LOG: {error}"))),
    };
    let colours = io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(io::stderr).init();
    match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(run(config)),
        Err(error) => refused(&error),
    }
}

async fn run(config: Config) -> ExitCode {
    let (end, platform) = match (EndSignals::listen(), Platform::open(config).await) {
        (Ok(end), Ok(platform)) => (end, platform),
        (Err(error), _) | (_, Err(error)) => return refused(&error),
    };
    // A console that went away is no reason not to serve.
    let _ = writeln!(io::stdout(), "{}", platform.greeting());
    match platform.serve(end.requested()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "the platform failed");
            ExitCode::FAILURE
        }
    }
}

/// Says why the platform does not start, one problem a line.
fn refused(error: &dyn std::error::Error) -> ExitCode {
    for line in error.to_string().lines() {
        let _ = writeln!(io::stderr(), "platform: {line}");
    }
    ExitCode::from(REFUSED)
}
