//! An inner service that watches how it is treated.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use http::{Request, Response};
use tower::Service;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("broken")
    }
}

impl std::error::Error for Broken {}

pub(crate) type Answer = Result<Response<String>, Broken>;
type Handler = Arc<dyn Fn(Request<String>) -> Pin<Box<dyn Future<Output = Answer> + Send>> + Send + Sync>;

/// Counts its calls, and panics when it is called before it is ready. A clone is not ready.
pub(crate) struct Probe {
    ready: bool,
    calls: Arc<AtomicUsize>,
    handler: Handler,
}

impl Probe {
    pub(crate) fn new<F>(handler: impl Fn(Request<String>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        let handler: Handler = Arc::new(move |request| Box::pin(handler(request)));
        Self { ready: false, calls: Arc::default(), handler }
    }

    /// Answers every request with this status.
    pub(crate) fn answering(status: u16) -> Self {
        Self::new(move |_| async move { Ok(Response::builder().status(status).body(String::new()).unwrap()) })
    }

    pub(crate) fn calls(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.calls)
    }
}

impl Clone for Probe {
    fn clone(&self) -> Self {
        Self { ready: false, calls: Arc::clone(&self.calls), handler: Arc::clone(&self.handler) }
    }
}

impl Service<Request<String>> for Probe {
    type Response = Response<String>;
    type Error = Broken;
    type Future = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<String>) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "called before it was ready");
        self.calls.fetch_add(1, Ordering::SeqCst);
        (self.handler)(request)
    }
}
