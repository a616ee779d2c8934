//! The future of a response that waits until the process has caught up.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::tell;
use crate::denial::Denial;
use crate::deny::Deny;

type Catching = Pin<Box<dyn Future<Output = Result<(), Denial>> + Send>>;

pin_project! {
    /// The future of a response; made by [`FreshnessService`](super::FreshnessService).
    pub struct FreshnessFuture<S, A, D>
    where
        S: Service<Request<A>>,
    {
        #[pin]
        state: State<S, A, D>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, A, D>
    where
        S: Service<Request<A>>,
    {
        /// The facts are loaded; the inner service waits, ready.
        Catching { catching: Catching, waiting: Option<(S, Request<A>)>, deny: Arc<D> },
        /// The inner service was called.
        Calling { #[pin] inner: S::Future },
    }
}

impl<S, A, D> FreshnessFuture<S, A, D>
where
    S: Service<Request<A>>,
{
    pub(super) const fn calling(inner: S::Future) -> Self {
        Self { state: State::Calling { inner } }
    }

    pub(super) const fn catching(catching: Catching, ready: S, request: Request<A>, deny: Arc<D>) -> Self {
        Self { state: State::Catching { catching, waiting: Some((ready, request)), deny } }
    }
}

impl<S, A, D, B> Future for FreshnessFuture<S, A, D>
where
    S: Service<Request<A>, Response = Response<B>>,
    D: Deny<B>,
{
    type Output = Result<Response<B>, S::Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                StateProj::Catching { catching, waiting, deny } => {
                    let caught = ready!(catching.as_mut().poll(context));
                    // Taken once: a future is not polled again after it was ready.
                    let Some((mut service, request)) = waiting.take() else { return Poll::Pending };
                    if let Err(denial) = caught {
                        drop(service);
                        let (parts, _) = request.into_parts();
                        return Poll::Ready(Ok(deny.respond(&denial, &parts)));
                    }
                    State::Calling { inner: service.call(request) }
                }
                StateProj::Calling { inner } => return Poll::Ready(ready!(inner.poll(context)).map(tell)),
            };
            state.set(next);
        }
    }
}

impl<S, A, D> fmt::Debug for FreshnessFuture<S, A, D>
where
    S: Service<Request<A>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FreshnessFuture")
    }
}
