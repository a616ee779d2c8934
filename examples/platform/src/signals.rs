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

/// The wish that the process ends: ctrl-c, or SIGTERM where there is such a signal.
///
/// From the moment it listens, such a signal no longer kills the process.
#[derive(Debug)]
pub struct EndSignals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl EndSignals {
    /// Begins to listen.
    ///
    /// # Errors
    ///
    /// When the operating system does not allow it.
    pub fn listen() -> Result<Self, StartError> {
        use tokio::signal::unix::{SignalKind, signal};

        let failed = |error| StartError::one(format!("cannot listen for signals: {error}"));
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).map_err(failed)?,
            terminate: signal(SignalKind::terminate()).map_err(failed)?,
        })
    }

    /// Waits until one has come.
    pub async fn requested(mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

#[cfg(not(unix))]
impl EndSignals {
    /// Begins to listen.
    ///
    /// # Errors
    ///
    /// When the operating system does not allow it.
    pub fn listen() -> Result<Self, StartError> {
        Ok(Self {})
    }

    /// Waits until one has come.
    pub async fn requested(self) {
        if tokio::signal::ctrl_c().await.is_err() {
            // Nothing can be heard: only a kill ends the process.
            std::future::pending::<()>().await;
        }
    }
}
