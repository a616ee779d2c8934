//! Tickets: a request that was admitted, until its response is known.

use std::sync::Arc;

use entitlements_core::catalog::Charge as When;
use entitlements_core::{Amount, Context, Decision, Subject};
use http::{Extensions, HeaderMap, StatusCode};

use crate::bill::Bill;
use crate::charge::{Charge, Charges, Outcome};
use crate::gate::Gate;
use crate::job::Job;
use crate::key::fresh;
use crate::limits::{self, Shown};
use crate::report::UsageReport;
use crate::rule::ResponseHead;
use crate::rules::CompiledRule;

/// A request that was admitted.
///
/// Say how it ended with [`finish`](Self::finish) or [`fail`](Self::fail). A ticket that is dropped means that nobody
/// waited for the response, or, while the thread panics, that the handler panicked.
#[derive(Debug)]
#[must_use = "dropping a ticket means that the client has left"]
pub struct Ticket {
    gate: Gate,
    rule: Arc<CompiledRule>,
    subject: Subject,
    decision: Option<Decision>,
    charges: Charges,
    open: Option<OpenCharge>,
    /// What responses say is left.
    quotas: Vec<Shown>,
    /// What the request is about, where usage is tracked.
    resource: Option<String>,
    context: Option<Context>,
}

#[derive(Debug)]
enum OpenCharge {
    Plain(Box<Charge>),
    /// The charge is settled when the last clone of the report is gone.
    Reported(UsageReport),
}

impl Ticket {
    pub(crate) fn new(
        gate: Gate,
        rule: Arc<CompiledRule>,
        subject: Subject,
        decision: Option<Decision>,
        charge: Option<Charge>,
        charges: Charges,
    ) -> Self {
        let open = charge.map(|charge| match charge.bill.when {
            When::Actual => OpenCharge::Reported(UsageReport::new(charge)),
            When::Admit | When::Success => OpenCharge::Plain(Box::new(charge)),
        });
        let (quotas, resource, context) = (Vec::new(), None, None);
        Self { gate, rule, subject, decision, charges, open, quotas, resource, context }
    }

    /// Lets what is tracked be about the same as the request.
    pub(crate) fn about(mut self, resource: Option<String>, context: Option<Context>) -> Self {
        (self.resource, self.context) = (resource, context);
        self
    }

    /// Lets the response say what is left of a quota.
    pub(crate) fn showing(mut self, quotas: Vec<Shown>) -> Self {
        self.quotas = quotas;
        self
    }

    /// The decision about what the rule requires; about what it consumes, if it requires nothing else.
    #[must_use]
    pub const fn decision(&self) -> Option<&Decision> {
        self.decision.as_ref()
    }

    /// Puts what handlers may want to know into the extensions of the request: the [`Decision`], the [`Charges`], and,
    /// where the actual amount is charged, the [`UsageReport`].
    pub fn attach(&mut self, extensions: &mut Extensions) {
        if let Some(decision) = &self.decision {
            extensions.insert(decision.clone());
        }
        if self.charges.iter().next().is_some() {
            extensions.insert(self.charges.clone());
        }
        if let Some(OpenCharge::Reported(report)) = &self.open {
            extensions.insert(report.clone());
        }
    }

    /// Says in the headers of the response what is left of the quota that the request used, where
    /// [`rate_limit_headers`](crate::EntitlementLayerBuilder::rate_limit_headers) are switched on. The layer does it by
    /// itself.
    pub fn announce(&self, status: StatusCode, headers: &mut HeaderMap) {
        limits::admitted(self.gate.shared(), &self.quotas, status, headers);
    }

    /// The response is known.
    pub fn finish(mut self, status: StatusCode, headers: &HeaderMap) {
        self.close(Outcome::of(status, headers));
        self.track(&ResponseHead { status, headers });
    }

    /// The handler failed without a response, or panicked.
    pub fn fail(mut self) {
        self.close(Outcome::ServerFault);
    }

    fn close(&mut self, outcome: Outcome) {
        match self.open.take() {
            Some(OpenCharge::Plain(charge)) => charge.close(outcome, None),
            Some(OpenCharge::Reported(report)) => report.ended(outcome),
            None => {}
        }
    }

    fn track(&mut self, head: &ResponseHead<'_>) {
        let Some((meter, units)) = &self.rule.track else { return };
        let amount = Amount::new(units(head)).unwrap_or(Amount::MAX);
        if let Some(key) = fresh()
            && !amount.is_zero()
        {
            let (subject, resource, context) =
                (self.subject.clone(), self.resource.take(), self.context.take());
            let when = When::Admit;
            let bill = Bill { subject, meter, amount, when, key, callers: None, resource, context };
            self.gate.shared().settlements.push(Job::Take(bill));
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let outcome = if std::thread::panicking() { Outcome::ServerFault } else { Outcome::Abandoned };
        self.close(outcome);
    }
}
