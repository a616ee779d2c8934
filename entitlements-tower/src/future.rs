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
use crate::in_handler::Later;
use crate::pending::Pending;
use crate::service::Shell;
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
            later: Option<Later<D>>,
        },
        /// The facts are asked; the inner service waits, ready.
        Asking {
            pending: Pending,
            waiting: Option<Box<(S, Request<A>)>>,
            later: Option<Later<D>>,
            shell: Arc<Shell<D>>,
        },
        /// The inner service was called.
        Admitted {
            #[pin]
            inner: S::Future,
            ticket: Option<Box<Ticket>>,
            later: Option<Later<D>>,
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
    /// The inner service was called, and nobody waits for how it ends.
    #[inline]
    pub(crate) const fn unwatched(inner: S::Future) -> Self {
        Self { state: State::Passed { inner, later: None } }
    }

    /// Calls the inner service, which is ready.
    #[inline(never)]
    pub(crate) fn passed(ready: &mut S, request: Request<A>, later: Option<Later<D>>) -> Self {
        if later.is_some() {
            return Self::watched(ready, request, later);
        }
        Self::unwatched(ready.call(request))
    }

    /// The same while somebody waits for how it ends.
    fn watched(ready: &mut S, request: Request<A>, later: Option<Later<D>>) -> Self {
        let watch = Watch { ticket: None, later };
        let inner = ready.call(request);
        let (_, later) = watch.seen_off();
        Self { state: State::Passed { inner, later } }
    }

    pub(crate) const fn denied(response: S::Response) -> Self {
        Self { state: State::Denied { response: Some(response) } }
    }

    /// Calls the inner service, which is ready.
    pub(crate) fn admitted(
        ready: &mut S,
        request: Request<A>,
        ticket: Box<Ticket>,
        later: Option<Later<D>>,
    ) -> Self {
        Self { state: call(ready, request, ticket, later) }
    }

    pub(crate) fn asking(
        pending: Pending,
        ready: S,
        request: Request<A>,
        later: Option<Later<D>>,
        shell: Arc<Shell<D>>,
    ) -> Self {
        Self { state: State::Asking { pending, waiting: Some(Box::new((ready, request))), later, shell } }
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
                StateProj::Passed { inner, later: None } => return inner.poll(context),
                StateProj::Passed { inner, later } => {
                    let watch = Watch { ticket: None, later: later.take() };
                    let polled = inner.poll(context);
                    (_, *later) = watch.seen_off();
                    let mut result = ready!(polled);
                    end(None, later.take(), &mut result);
                    return Poll::Ready(result);
                }
                StateProj::Asking { pending, waiting, later, shell } => {
                    let decided = ready!(Pin::new(pending).poll(context));
                    // Taken once: a future is not polled again after it was ready.
                    let Some(waiting) = waiting.take() else { return Poll::Pending };
                    let (service, request) = *waiting;
                    match decided {
                        Ok(ticket) => {
                            let mut service = service;
                            call(&mut service, request, Box::new(ticket), later.take())
                        }
                        Err(denial) => {
                            drop(service);
                            let (parts, _) = request.into_parts();
                            let mut response = shell.deny.respond(&denial, &parts);
                            shell.gate.announce(&denial, response.headers_mut());
                            State::Denied { response: Some(response) }
                        }
                    }
                }
                StateProj::Admitted { inner, ticket, later } => {
                    let watch = Watch { ticket: ticket.take(), later: later.take() };
                    let polled = inner.poll(context);
                    (*ticket, *later) = watch.seen_off();
                    let mut result = ready!(polled);
                    end(ticket.take(), later.take(), &mut result);
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
fn call<S, A, D>(
    service: &mut S,
    mut request: Request<A>,
    mut ticket: Box<Ticket>,
    later: Option<Later<D>>,
) -> State<S, A, D>
where
    S: Service<Request<A>>,
{
    ticket.attach(request.extensions_mut());
    let watch = Watch { ticket: Some(ticket), later };
    let inner = service.call(request);
    let (ticket, later) = watch.seen_off();
    State::Admitted { inner, ticket, later }
}

/// Ends every ticket of a request: the rule's first, then those that were made within the handler.
fn end<B, E, D: Deny<B>>(
    ticket: Option<Box<Ticket>>,
    later: Option<Later<D>>,
    result: &mut Result<Response<B>, E>,
) {
    if let Ok(response) = result {
        if let Some(later) = &later {
            later.answer(response);
        }
        let status = response.status();
        let headers = response.headers_mut();
        if let Some(later) = &later {
            later.tickets.announce(status, headers);
        }
        if let Some(ticket) = ticket {
            ticket.announce(status, headers);
            ticket.finish(status, headers);
        }
        if let Some(later) = later {
            later.tickets.finish(status, headers);
        }
    } else {
        if let Some(ticket) = ticket {
            ticket.fail();
        }
        if let Some(later) = later {
            later.tickets.fail();
        }
    }
}

/// Holds the tickets while the inner service runs. A panic unwinds through it, and then the request has failed.
struct Watch<D> {
    ticket: Option<Box<Ticket>>,
    later: Option<Later<D>>,
}

impl<D> Watch<D> {
    /// No panic: the tickets go on.
    fn seen_off(mut self) -> (Option<Box<Ticket>>, Option<Later<D>>) {
        (self.ticket.take(), self.later.take())
    }
}

impl<D> Drop for Watch<D> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            ticket.fail();
        }
        if let Some(later) = self.later.take() {
            later.tickets.fail();
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
