//! The future of a gated response.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::denial::Denial;
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
    // What is rare is boxed, so that the usual state is the future of the inner service and nothing else, which need not be
    // moved to become a part of it.
    #[project = StateProj]
    enum State<S, A, D>
    where
        S: Service<Request<A>>,
    {
        /// The inner service was called, and nobody waits for how it ends.
        Unwatched {
            #[pin]
            inner: S::Future,
        },
        /// The inner service was called, and somebody does.
        Watched {
            watched: Pin<Box<Watched<S::Future, D>>>,
        },
        /// The facts are asked.
        Asking {
            asking: Option<Box<Asking<S, A, D>>>,
        },
        /// The answer is known.
        Denied {
            response: Option<Box<S::Response>>,
        },
    }
}

pin_project! {
    /// A request for which there is something to do when it ends.
    #[project = Projected]
    struct Watched<F, D> {
        #[pin]
        inner: F,
        ticket: Option<Box<Ticket>>,
        later: Option<Later<D>>,
    }
}

/// A request that waits for its facts.
struct Asking<S, A, D> {
    pending: Pending,
    /// Was made ready.
    service: S,
    request: Request<A>,
    later: Option<Later<D>>,
    shell: Arc<Shell<D>>,
}

impl<S, A, D> ResponseFuture<S, A, D>
where
    S: Service<Request<A>>,
{
    /// The inner service was called, and nobody waits for how it ends.
    #[inline]
    pub(crate) const fn unwatched(inner: S::Future) -> Self {
        Self { state: State::Unwatched { inner } }
    }

    /// Calls the inner service, which is ready.
    #[inline(never)]
    pub(crate) fn passed(ready: &mut S, request: Request<A>, later: Option<Later<D>>) -> Self {
        Self { state: call(ready, request, None, later) }
    }

    pub(crate) fn denied(response: S::Response) -> Self {
        Self { state: State::Denied { response: Some(Box::new(response)) } }
    }

    /// Calls the inner service, which is ready.
    pub(crate) fn admitted(
        ready: &mut S,
        mut request: Request<A>,
        mut ticket: Box<Ticket>,
        later: Option<Later<D>>,
    ) -> Self {
        ticket.attach(request.extensions_mut());
        Self { state: call(ready, request, Some(ticket), later) }
    }

    pub(crate) fn asking(
        pending: Pending,
        ready: S,
        request: Request<A>,
        later: Option<Later<D>>,
        shell: Arc<Shell<D>>,
    ) -> Self {
        let asking = Asking { pending, service: ready, request, later, shell };
        Self { state: State::Asking { asking: Some(Box::new(asking)) } }
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
                StateProj::Unwatched { inner } => return inner.poll(context),
                StateProj::Watched { watched } => return watched.as_mut().poll(context),
                StateProj::Asking { asking: place } => {
                    // Taken once: a future is not polled again after it was ready.
                    let Some(asking) = place else { return Poll::Pending };
                    let decided = ready!(Pin::new(&mut asking.pending).poll(context));
                    let Some(asking) = place.take() else { return Poll::Pending };
                    asking.answered(decided)
                }
                StateProj::Denied { response } => {
                    let Some(response) = response.take() else { return Poll::Pending };
                    return Poll::Ready(Ok(*response));
                }
            };
            state.set(next);
        }
    }
}

impl<F, D, B, E> Future for Watched<F, D>
where
    F: Future<Output = Result<Response<B>, E>>,
    D: Deny<B>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Projected { inner, ticket, later } = self.project();
        let watch = Watch { ticket: ticket.take(), later: later.take() };
        let polled = inner.poll(context);
        (*ticket, *later) = watch.seen_off();
        let mut result = ready!(polled);
        end(ticket.take(), later.take(), &mut result);
        Poll::Ready(result)
    }
}

impl<S, A, D, B> Asking<S, A, D>
where
    S: Service<Request<A>, Response = Response<B>>,
    D: Deny<B>,
{
    /// Goes on with what was decided.
    fn answered(self, decided: Result<Ticket, Denial>) -> State<S, A, D> {
        let Self { pending: _, mut service, mut request, later, shell } = self;
        match decided {
            Ok(ticket) => {
                let mut ticket = Box::new(ticket);
                ticket.attach(request.extensions_mut());
                call(&mut service, request, Some(ticket), later)
            }
            Err(denial) => {
                drop(service);
                let (parts, _) = request.into_parts();
                let mut response = shell.deny.respond(&denial, &parts);
                shell.gate.announce(&denial, response.headers_mut());
                State::Denied { response: Some(Box::new(response)) }
            }
        }
    }
}

/// Calls the inner service, which was made ready before.
fn call<S, A, D>(
    service: &mut S,
    request: Request<A>,
    ticket: Option<Box<Ticket>>,
    later: Option<Later<D>>,
) -> State<S, A, D>
where
    S: Service<Request<A>>,
{
    let watch = Watch { ticket, later };
    let inner = service.call(request);
    match watch.seen_off() {
        (None, None) => State::Unwatched { inner },
        (ticket, later) => State::Watched { watched: Box::pin(Watched { inner, ticket, later }) },
    }
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
