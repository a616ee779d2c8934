//! Asking from within a handler: what extractors use when no rule has asked for them.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use http::request::Parts;
use http::{HeaderMap, Response, StatusCode};

use crate::denial::Denial;
use crate::deny::Deny;
use crate::gate::Gate;
use crate::service::Shell;
use crate::ticket::Ticket;

/// The tickets of a request that were made within its handler. The layer ends them when the response is known.
#[derive(Clone, Default)]
pub(crate) struct Tickets(Arc<Mutex<Vec<Ticket>>>);

impl Tickets {
    #[cfg(feature = "axum")]
    pub(crate) fn push(&self, ticket: Ticket) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(ticket);
    }

    fn take(&self) -> Vec<Ticket> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Says in the headers of the response what is left; of one quota, what was asked last.
    pub(crate) fn announce(&self, status: StatusCode, headers: &mut HeaderMap) {
        for ticket in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().rev() {
            ticket.announce(status, headers);
        }
    }

    /// The response is known.
    pub(crate) fn finish(&self, status: StatusCode, headers: &HeaderMap) {
        for ticket in self.take() {
            ticket.finish(status, headers);
        }
    }

    /// The handler failed without a response, or panicked.
    pub(crate) fn fail(&self) {
        for ticket in self.take() {
            ticket.fail();
        }
    }
}

/// In the extensions of a response: an extractor has denied the request, and the layer answers in its own way.
#[derive(Clone)]
pub(crate) struct DeniedInHandler {
    pub(crate) denial: Denial,
    /// The head of the request.
    pub(crate) parts: Arc<Parts>,
}

/// What is left to do for extractors when the response is known.
pub(crate) struct Later<D> {
    pub(crate) tickets: Tickets,
    pub(crate) shell: Arc<Shell<D>>,
}

impl<D> Later<D> {
    /// Answers in the layer's own way if an extractor has denied the request.
    pub(crate) fn answer<B>(&self, response: &mut Response<B>)
    where
        D: Deny<B>,
    {
        let Some(denied) = response.extensions_mut().remove::<DeniedInHandler>() else { return };
        *response = self.shell.deny.respond(&denied.denial, &denied.parts);
        self.shell.gate.announce(&denied.denial, response.headers_mut());
    }
}

/// The gates of the features that extractors have asked for; one for each layer.
pub(crate) struct TypedGates {
    #[cfg_attr(not(feature = "axum"), expect(dead_code, reason = "only axum has extractors"))]
    gate: Gate,
    #[cfg_attr(not(feature = "axum"), expect(dead_code, reason = "only axum has extractors"))]
    made: Mutex<HashMap<(&'static str, Asks), Gate>>,
}

/// What an extractor asks about a feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(not(feature = "axum"), expect(dead_code, reason = "only axum has extractors"))]
pub(crate) enum Asks {
    /// Whether the subject may use it.
    Require,
    /// Whether there is a unit of it, and takes it.
    Consume,
}

impl TypedGates {
    pub(crate) fn new(gate: Gate) -> Self {
        Self { gate, made: Mutex::default() }
    }

    /// The gate that asks this of every request.
    #[cfg(feature = "axum")]
    fn of(&self, feature: &'static str, asks: Asks) -> Result<Gate, crate::rules::RuleError> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(gate) = made.get(&(feature, asks)) {
            return Ok(gate.clone());
        }
        let rule = crate::rule::Rule::every_request();
        let rule = match asks {
            Asks::Require => rule.require(feature),
            Asks::Consume => rule.consume(feature),
        };
        let gate = self.gate.with_rule(rule)?;
        made.insert((feature, asks), gate.clone());
        Ok(gate)
    }
}

impl fmt::Debug for TypedGates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TypedGates")
    }
}

/// What a layer puts into the extensions of a request so that extractors can ask.
#[derive(Clone)]
#[cfg_attr(not(feature = "axum"), expect(dead_code, reason = "only axum has extractors"))]
pub(crate) struct InHandler {
    gates: Arc<TypedGates>,
    tickets: Tickets,
}

impl InHandler {
    pub(crate) const fn new(gates: Arc<TypedGates>, tickets: Tickets) -> Self {
        Self { gates, tickets }
    }

    /// Asks about a feature as a rule would, and puts the answer into the request's extensions.
    #[cfg(feature = "axum")]
    pub(crate) async fn ask(
        &self,
        parts: &mut Parts,
        feature: &'static str,
        asks: Asks,
    ) -> Result<(), Denial> {
        use crate::gate::Verdict;

        let gate = self.gates.of(feature, asks).map_err(|error| {
            tracing::error!(%error, "an extractor asks for what the catalog does not have");
            Denial::Internal
        })?;
        let mut ticket = match gate.begin(parts) {
            Verdict::Admit(ticket) => *ticket,
            Verdict::Ask(pending) => pending.await?,
            Verdict::Deny(denial) => return Err(denial),
            // The rule is for every request.
            Verdict::Pass => return Err(Denial::Internal),
        };
        ticket.attach(&mut parts.extensions);
        self.tickets.push(ticket);
        Ok(())
    }
}
