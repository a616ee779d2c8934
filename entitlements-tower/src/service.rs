//! The service.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use entitlements_core::Decision;
use http::{Extensions, Request, Response};
use tower_service::Service;

use crate::deny::Deny;
use crate::future::ResponseFuture;
use crate::gate::{Begun, Gate};
use crate::in_handler::{InHandler, Later, Tickets, TypedGates};
use crate::usual::Usual;

/// A service whose requests are gated; made by [`EntitlementLayer`](crate::EntitlementLayer).
///
/// The inner service is called only after the decision, and only on the clone that was made ready. What it fails with,
/// this fails with; a denial is a response.
pub struct EntitlementService<S, D> {
    inner: S,
    shell: Arc<Shell<D>>,
}

/// What a service shares with its clones. A router clones its services for each request, so it is one thing to clone.
pub(crate) struct Shell<D> {
    pub(crate) gate: Gate,
    pub(crate) typed: Option<Arc<TypedGates>>,
    pub(crate) deny: Arc<D>,
    usual: Usual,
}

impl<D> Shell<D> {
    pub(crate) fn new(gate: Gate, typed: Option<Arc<TypedGates>>, deny: Arc<D>) -> Self {
        Self { gate, typed, deny, usual: Usual::default() }
    }

    /// For another service of the same layer.
    pub(crate) fn anew(&self) -> Arc<Self> {
        Arc::new(Self::new(self.gate.clone(), self.typed.clone(), Arc::clone(&self.deny)))
    }
}

impl<S, D> EntitlementService<S, D> {
    pub(crate) const fn new(inner: S, shell: Arc<Shell<D>>) -> Self {
        Self { inner, shell }
    }

    /// Lets extractors ask. The tickets they make are ended with the response.
    fn let_extractors_ask(&self, extensions: &mut Extensions) -> Option<Later<D>> {
        let typed = self.shell.typed.as_ref()?;
        let tickets = Tickets::default();
        extensions.insert(InHandler::new(Arc::clone(typed), tickets.clone()));
        Some(Later { tickets, shell: Arc::clone(&self.shell) })
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

    #[inline(never)]
    fn call(&mut self, mut request: Request<A>) -> Self::Future {
        let Shell { gate, usual, .. } = &*self.shell;
        let (method, uri, extensions) = (request.method(), request.uri(), request.extensions());
        let mut counted = false;
        let known = gate.decide_at_once(usual, method, uri, extensions, &mut counted);
        if !known.as_ref().is_some_and(Decision::is_allowed) {
            return self.begin(request, known, counted);
        }
        if let Some(decision) = known {
            request.extensions_mut().insert(decision);
        }
        if self.shell.typed.is_none() {
            return ResponseFuture::unwatched(self.inner.call(request));
        }
        let later = self.let_extractors_ask(request.extensions_mut());
        ResponseFuture::passed(&mut self.inner, request, later)
    }
}

impl<S, D> EntitlementService<S, D> {
    /// Begins what has no short way. Apart, so that the short one stays short.
    #[inline(never)]
    fn begin<A, B>(
        &mut self,
        request: Request<A>,
        known: Option<Decision>,
        counted: bool,
    ) -> ResponseFuture<S, A, D>
    where
        S: Service<Request<A>, Response = Response<B>> + Clone,
        D: Deny<B>,
    {
        let (mut parts, body) = request.into_parts();
        match self.shell.gate.begin_lightly(&mut parts, known, counted) {
            Begun::Pass | Begun::Allowed(None) => {
                let later = self.let_extractors_ask(&mut parts.extensions);
                ResponseFuture::passed(&mut self.inner, Request::from_parts(parts, body), later)
            }
            Begun::Deny(denial) => {
                // A service that is ready may hold a permit. It will not be called, so it must not keep it.
                drop(self.take_ready());
                let mut response = self.shell.deny.respond(&denial, &parts);
                self.shell.gate.announce(&denial, response.headers_mut());
                ResponseFuture::denied(response)
            }
            Begun::Allowed(Some(ticket)) => {
                let later = self.let_extractors_ask(&mut parts.extensions);
                ResponseFuture::admitted(&mut self.inner, Request::from_parts(parts, body), ticket, later)
            }
            Begun::Ask(pending) => {
                let ready = self.take_ready();
                let later = self.let_extractors_ask(&mut parts.extensions);
                let request = Request::from_parts(parts, body);
                ResponseFuture::asking(pending, ready, request, later, Arc::clone(&self.shell))
            }
        }
    }
}

impl<S: Clone, D> Clone for EntitlementService<S, D> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), shell: Arc::clone(&self.shell) }
    }
}

impl<S: fmt::Debug, D> fmt::Debug for EntitlementService<S, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntitlementService").field("inner", &self.inner).finish_non_exhaustive()
    }
}
