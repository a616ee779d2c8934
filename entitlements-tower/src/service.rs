//! The service.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use entitlements_core::{AtOnce, Decision};
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

    /// Admits a request that has the short way: then its decision is among the extensions, and nothing else is to be done.
    /// Not a part of `call`, so that what is called around it stays small.
    #[inline(never)]
    fn admit_at_once<A>(&self, request: &mut Request<A>) -> Option<Undone> {
        let (method, uri, extensions) = (request.method(), request.uri(), request.extensions());
        let mut counted = false;
        let known = self.gate.decide_at_once(&self.usual, method, uri, extensions, &mut counted);
        match known {
            // Made whole where it is to stay.
            Some(AtOnce::Allowed(allowed)) => drop(request.extensions_mut().insert(Decision::from(allowed))),
            Some(AtOnce::Decided(decision)) if decision.is_allowed() => {
                keep(request.extensions_mut(), decision);
            }
            Some(AtOnce::Decided(decision)) => {
                return Some(Undone::Decision { known: Some(Box::new(decision)), counted });
            }
            None => return Some(Undone::Decision { known: None, counted }),
        }
        self.typed.is_some().then_some(Undone::Extractors)
    }
}

/// What is still to be done for a request.
enum Undone {
    /// To decide about it, where the decision is not known, which is to deny it; and to count it as one that its rule matched,
    /// where it was not counted.
    Decision { known: Option<Box<Decision>>, counted: bool },
    /// To let extractors ask.
    Extractors,
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

    #[inline]
    fn call(&mut self, mut request: Request<A>) -> Self::Future {
        match self.shell.admit_at_once(&mut request) {
            None => ResponseFuture::unwatched(self.inner.call(request)),
            Some(undone) => self.begin(request, undone),
        }
    }
}

impl<S, D> EntitlementService<S, D> {
    /// Begins what has no short way. Apart, so that the short one stays short.
    #[inline(never)]
    fn begin<A, B>(&mut self, mut request: Request<A>, undone: Undone) -> ResponseFuture<S, A, D>
    where
        S: Service<Request<A>, Response = Response<B>> + Clone,
        D: Deny<B>,
    {
        let Undone::Decision { known, counted } = undone else {
            let later = self.let_extractors_ask(request.extensions_mut());
            return ResponseFuture::passed(&mut self.inner, request, later);
        };
        let (mut parts, body) = request.into_parts();
        match self.shell.gate.begin_lightly(&mut parts, known.map(|known| *known), counted) {
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

/// Keeps a decision for the handler.
#[inline(never)]
fn keep(extensions: &mut Extensions, decision: Decision) {
    extensions.insert(decision);
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
