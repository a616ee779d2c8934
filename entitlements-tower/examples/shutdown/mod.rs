//! How the example servers end: when ctrl-c or SIGTERM asks for it, requests under way are finished, and then what is owed is
//! settled. Both take a while at most.

use std::future::Future;
use std::io;
use std::time::Duration;

use entitlements_tower::EntitlementLayer;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// How long requests under way may take, and then settlements.
const PATIENCE: Duration = Duration::from_secs(10);

/// The wish that the process ends.
#[derive(Clone)]
pub(crate) struct End(watch::Receiver<bool>);

impl End {
    /// Begins to listen: from now on, such a signal no longer kills the process.
    pub(crate) fn listen() -> io::Result<Self> {
        let signal = signal()?;
        let (tell, told) = watch::channel(false);
        tokio::spawn(async move {
            signal.await;
            // Without receivers the server has ended on its own.
            let _ = tell.send(true);
        });
        Ok(Self(told))
    }

    /// Waits until it is there.
    pub(crate) async fn asked(mut self) {
        let _ = self.0.wait_for(|asked| *asked).await;
    }

    /// Waits until it has been there for as long as requests may take.
    pub(crate) async fn overdue(self) {
        self.asked().await;
        sleep(PATIENCE).await;
    }
}

#[cfg(unix)]
fn signal() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};

    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(not(unix))]
fn signal() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        if tokio::signal::ctrl_c().await.is_err() {
            // Nothing can be heard: only a kill ends the process.
            std::future::pending::<()>().await;
        }
    })
}

/// Does the refunds and late charges that are left. What cannot be done now is lost with the process, so it is said.
pub(crate) async fn settle<D>(gate: &EntitlementLayer<D>) {
    let settled = timeout(PATIENCE, gate.flush()).await.unwrap_or_else(|_| gate.settlements());
    println!("settled: {}, left: {}", settled.done, settled.pending);
}
