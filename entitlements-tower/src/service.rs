//! The service.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Extensions, Request, Response};
use tower_service::Service;

use crate::deny::Deny;
use crate::future::ResponseFuture;
use crate::gate::{Allowed, Begun, Gate};
use crate::in_handler::{InHandler, Later, Tickets, TypedGates};

/// A service whose requests are gated; made by [`EntitlementLayer`](crate::EntitlementLayer).
///
/// The inner service is called only after the decision, and only on the clone that was made ready. What it fails with,
/// this fails with; a denial is a response.
pub struct EntitlementService<S, D> {
    inner: S,
    gate: Gate,
    typed: Option<Arc<TypedGates>>,
    deny: Arc<D>,
}

impl<S, D> EntitlementService<S, D> {
    pub(crate) const fn new(inner: S, gate: Gate, typed: Option<Arc<TypedGates>>, deny: Arc<D>) -> Self {
        Self { inner, gate, typed, deny }
    }

    /// Lets extractors ask. The tickets they make are ended with the response.
    fn let_extractors_ask(&self, extensions: &mut Extensions) -> Option<Later<D>> {
        let typed = self.typed.as_ref()?;
        let tickets = Tickets::default();
        extensions.insert(InHandler::new(Arc::clone(typed), tickets.clone()));
        Some(Later { tickets, gate: self.gate.clone(), deny: Arc::clone(&self.deny) })
    }
}

impl<S: Clone, D> EntitlementService<S, D> {
    /// The inner service that was made ready; a fresh clone takes its place.
    fn take_ready(&mut self) -> S {
        let fresh = self.inner.clone();
        std::mem::replace(&mut self.inner, fresh)
    }
}

impl<S, D, A, B> Service<Request<A>> for EntitlementService<S, D>
where
    S: Service<Request<A>, Response = Response<B>> + Clone,
    D: Deny<B>,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = ResponseFuture<S, A, D>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let (mut parts, body) = request.into_parts();
        match self.gate.begin_lightly(&parts) {
            Begun::Allowed(Allowed::ForGood(decision)) => {
                parts.extensions.insert(decision);
                let later = self.let_extractors_ask(&mut parts.extensions);
                ResponseFuture::passed(&mut self.inner, Request::from_parts(parts, body), later)
            }
            Begun::Pass => {
                let later = self.let_extractors_ask(&mut parts.extensions);
                ResponseFuture::passed(&mut self.inner, Request::from_parts(parts, body), later)
            }
            Begun::Deny(denial) => {
                // A service that is ready may hold a permit. It will not be called, so it must not keep it.
                drop(self.take_ready());
                let mut response = self.deny.respond(&denial, &parts);
                self.gate.announce(&denial, response.headers_mut());
                ResponseFuture::denied(response)
            }
            Begun::Allowed(Allowed::For(ticket)) => {
                let later = self.let_extractors_ask(&mut parts.extensions);
                ResponseFuture::admitted(&mut self.inner, Request::from_parts(parts, body), ticket, later)
            }
            Begun::Ask(pending) => {
                let ready = self.take_ready();
                let later = self.let_extractors_ask(&mut parts.extensions);
                let request = Request::from_parts(parts, body);
                ResponseFuture::asking(
                    pending,
                    ready,
                    request,
                    later,
                    self.gate.clone(),
                    Arc::clone(&self.deny),
                )
            }
        }
    }
}

impl<S: Clone, D> Clone for EntitlementService<S, D> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            gate: self.gate.clone(),
            typed: self.typed.clone(),
            deny: Arc::clone(&self.deny),
        }
    }
}

impl<S: fmt::Debug, D> fmt::Debug for EntitlementService<S, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntitlementService").field("inner", &self.inner).finish_non_exhaustive()
    }
}
