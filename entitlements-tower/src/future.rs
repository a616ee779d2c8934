//! The future of a gated response.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::deny::Deny;
use crate::pending::Pending;
use crate::ticket::Ticket;

pin_project! {
    /// The future of a gated response; made by [`EntitlementService`](crate::EntitlementService).
    pub struct ResponseFuture<S, A, D>
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
        /// No rule asks anything of the request.
        Passed {
            #[pin]
            inner: S::Future,
        },
        /// The facts are asked; the inner service waits, ready.
        Asking {
            pending: Pending,
            waiting: Option<(S, Request<A>)>,
            deny: Arc<D>,
        },
        /// The inner service was called.
        Admitted {
            #[pin]
            inner: S::Future,
            ticket: Option<Ticket>,
        },
        /// The answer is known.
        Denied {
            response: Option<S::Response>,
        },
    }
}

impl<S, A, D> ResponseFuture<S, A, D>
where
    S: Service<Request<A>>,
{
    pub(crate) const fn passed(inner: S::Future) -> Self {
        Self { state: State::Passed { inner } }
    }

    pub(crate) const fn denied(response: S::Response) -> Self {
        Self { state: State::Denied { response: Some(response) } }
    }

    /// Calls the inner service, which is ready.
    pub(crate) fn admitted(ready: &mut S, request: Request<A>, ticket: Ticket) -> Self {
        Self { state: call(ready, request, ticket) }
    }

    pub(crate) const fn asking(pending: Pending, ready: S, request: Request<A>, deny: Arc<D>) -> Self {
        Self { state: State::Asking { pending, waiting: Some((ready, request)), deny } }
    }
}

impl<S, A, D, B> Future for ResponseFuture<S, A, D>
where
    S: Service<Request<A>, Response = Response<B>>,
    D: Deny<B>,
{
    type Output = Result<Response<B>, S::Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                StateProj::Passed { inner } => return inner.poll(context),
                StateProj::Asking { pending, waiting, deny } => {
                    let decided = ready!(Pin::new(pending).poll(context));
                    // Taken once: a future is not polled again after it was ready.
                    let Some((service, request)) = waiting.take() else { return Poll::Pending };
                    match decided {
                        Ok(ticket) => {
                            let mut service = service;
                            call(&mut service, request, ticket)
                        }
                        Err(denial) => {
                            drop(service);
                            let (parts, _) = request.into_parts();
                            State::Denied { response: Some(deny.respond(&denial, &parts)) }
                        }
                    }
                }
                StateProj::Admitted { inner, ticket } => {
                    let watch = Watch { ticket: ticket.take() };
                    let polled = inner.poll(context);
                    *ticket = watch.seen_off();
                    let result = ready!(polled);
                    match (ticket.take(), &result) {
                        (Some(ticket), Ok(response)) => ticket.finish(response.status(), response.headers()),
                        (Some(ticket), Err(_)) => ticket.fail(),
                        (None, _) => {}
                    }
                    return Poll::Ready(result);
                }
                StateProj::Denied { response } => {
                    let Some(response) = response.take() else { return Poll::Pending };
                    return Poll::Ready(Ok(response));
                }
            };
            state.set(next);
        }
    }
}

/// Calls the inner service, which was made ready before.
fn call<S, A, D>(service: &mut S, mut request: Request<A>, mut ticket: Ticket) -> State<S, A, D>
where
    S: Service<Request<A>>,
{
    ticket.attach(request.extensions_mut());
    let watch = Watch { ticket: Some(ticket) };
    let inner = service.call(request);
    State::Admitted { inner, ticket: watch.seen_off() }
}

/// Holds a ticket while the inner service runs. A panic unwinds through it, and then the request has failed.
struct Watch {
    ticket: Option<Ticket>,
}

impl Watch {
    /// No panic: the ticket goes on.
    fn seen_off(mut self) -> Option<Ticket> {
        self.ticket.take()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            ticket.fail();
        }
    }
}

impl<S, A, D> fmt::Debug for ResponseFuture<S, A, D>
where
    S: Service<Request<A>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseFuture")
    }
}
