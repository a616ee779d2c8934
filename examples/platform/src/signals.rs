//! Signals: what the operating system asks for.

use crate::start_error::StartError;

/// SIGHUP: the wish that files be read again. Where there is no such signal, it never comes.
#[derive(Debug)]
pub(crate) struct Hangups {
    #[cfg(unix)]
    signal: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Hangups {
    pub(crate) fn listen() -> Result<Self, StartError> {
        use tokio::signal::unix::{SignalKind, signal};

        let signal = signal(SignalKind::hangup())
            .map_err(|error| StartError::one(format!("cannot listen for SIGHUP: {error}")))?;
        Ok(Self { signal })
    }

    pub(crate) async fn next(&mut self) {
        if self.signal.recv().await.is_none() {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(not(unix))]
impl Hangups {
    pub(crate) fn listen() -> Result<Self, StartError> {
        Ok(Self {})
    }

    pub(crate) async fn next(&mut self) {
        std::future::pending::<()>().await;
    }
}

/// Waits until the process is asked to end: ctrl-c, or SIGTERM where there is such a signal.
pub async fn end_requested() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};

        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => return,
                ended = tokio::signal::ctrl_c() => if ended.is_ok() { return },
            }
        }
    }
    if tokio::signal::ctrl_c().await.is_err() {
        // Nothing can be heard: only a kill ends the process.
        std::future::pending::<()>().await;
    }
}
