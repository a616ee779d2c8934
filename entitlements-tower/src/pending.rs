//! Asking the facts about one request.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use entitlements_core::catalog::{Consume, Require};
use entitlements_core::{Action, Amount, Context, Decision, Request, Subject};
use tracing::{Instrument, Span};

use crate::bill::Bill;
use crate::charge::{Charge, Charged, Charges, Hold};
use crate::denial::Denial;
use crate::gate::{Gate, Shared};
use crate::job::Job;
use crate::key::{CallersKey, fresh};
use crate::limits::Shown;
use crate::rules::CompiledRule;
use crate::settle::Settlements;
use crate::taking::Taking;
use crate::ticket::Ticket;
use crate::trace;
use crate::undecided;

/// A verdict that the facts decide: a future of a [`Ticket`], or of the [`Denial`].
///
/// Dropping it before it is ready leaves nothing charged.
#[must_use = "a request that is asked about has not been decided"]
pub struct Pending(Pin<Box<dyn Future<Output = Result<Ticket, Denial>> + Send>>);

impl Pending {
    pub(crate) fn new(asked: Asked) -> Self {
        let span = asked.span.clone();
        let decide = async move {
            let (span, gate, known) = (asked.span.clone(), asked.gate.clone(), asked.known);
            let rule = Arc::clone(&asked.rule);
            let decided = asked.decide().await.map_err(|denial| gate.shared().told(known, denial));
            trace::ended(&span, decided.as_ref().err());
            if let Err(denial) = &decided {
                denial.tell(&gate.shared().entitlements, Some(&rule.label));
            }
            decided
        };
        Self(Box::pin(decide.instrument(span)))
    }
}

impl Future for Pending {
    type Output = Result<Ticket, Denial>;

    fn poll(mut self: Pin<&mut Self>, context: &mut std::task::Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(context)
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pending")
    }
}

/// Everything about a request that its decision needs.
pub(crate) struct Asked {
    pub(crate) gate: Gate,
    pub(crate) rule: Arc<CompiledRule>,
    /// What the rule consumes, by this request.
    pub(crate) consume: Option<Consume>,
    pub(crate) subject: Subject,
    /// Whether the caller is this subject.
    pub(crate) known: bool,
    pub(crate) action: Action,
    pub(crate) resource: Option<String>,
    pub(crate) context: Option<Context>,
    pub(crate) key: Option<CallersKey>,
    /// What gates before this one have charged.
    pub(crate) charged: Charges,
    /// Around the decision.
    pub(crate) span: Span,
}

impl Asked {
    async fn decide(mut self) -> Result<Ticket, Denial> {
        #[cfg(feature = "rt")]
        self.shared().settlements.remember_runtime();
        let rule = Arc::clone(&self.rule);
        let mut decision = match &rule.require {
            Some(require) => Some(self.check(require).await?),
            None => None,
        };
        let mut quotas = Shown::list(self.shared(), decision.as_ref(), None);
        let mut charge = None;
        if let Some(consume) = self.consume.take()
            && self.charged.of(consume.feature).is_none()
        {
            let (charged, decided) = self.charge(&consume).await?;
            let receipt = match &charged.hold {
                Hold::Taken(receipt) | Hold::Elsewhere(receipt) => Some(receipt.clone()),
                Hold::Owed => None,
            };
            let left = Shown::list(self.shared(), decided.as_ref(), receipt.as_ref());
            Shown::update(&mut quotas, left);
            self.charged.push(Charged { meter: consume.feature, amount: consume.amount, receipt });
            decision = decision.or(decided);
            charge = Some(charged);
        }
        if !self.known {
            quotas.clear();
        }
        let ticket = Ticket::new(self.gate, rule, self.subject, decision, charge, self.charged);
        Ok(ticket.showing(quotas).about(self.resource, self.context))
    }

    pub(crate) fn shared(&self) -> &Shared {
        self.gate.shared()
    }

    pub(crate) fn request<'a>(&'a self, feature: &'a str, action: Action, amount: Amount) -> Request<'a> {
        let mut request = Request::new(&self.subject, feature, action).with_amount(amount);
        request.resource = self.resource.as_deref();
        if let Some(context) = &self.context {
            request.context = context;
        }
        request
    }

    pub(crate) fn judged(&self, decision: Decision) -> Result<Decision, Denial> {
        judged(self.shared(), &self.rule, &self.span, decision)
    }

    async fn check(&self, require: &Require) -> Result<Decision, Denial> {
        let action = require.action.unwrap_or(self.action);
        self.ask(&self.request(require.feature, action, Amount::ONE)).await
    }

    /// Whether the meter may still be used, of which the units were paid before: for that none need to be left.
    async fn check_again(&self, consume: &Consume) -> Result<Decision, Denial> {
        self.ask(&self.request(consume.feature, Action::Create, Amount::ZERO)).await
    }

    async fn ask(&self, request: &Request<'_>) -> Result<Decision, Denial> {
        let decision = match self.shared().entitlements.check(request).await {
            Ok(decision) => undecided::accept(self, decision)?,
            Err(error) => undecided::check(self, request, &error)?,
        };
        self.judged(decision)
    }

    async fn charge(&self, consume: &Consume) -> Result<(Charge, Option<Decision>), Denial> {
        let shared = self.shared();
        let request = self.request(consume.feature, Action::Create, consume.amount);
        let settlements = &shared.settlements;
        let mut bill = self.bill(consume)?;
        loop {
            let tab = settlements.tabs().open(&bill);
            let charge = |bill, hold, tab| Charge { bill, hold, tab, settlements: settlements.clone() };
            let mut flight = Flight { bill: &bill, settlements, landed: false };
            let taken = bill.take(&shared.entitlements).await;
            flight.landed = true;
            drop(flight);
            if taken.is_ok() {
                settlements.resume();
            }
            match taken {
                Ok(Taking::Taken { decision, receipt }) => {
                    let decision = self.judged(decision)?;
                    return Ok((charge(bill, Hold::Taken(receipt), tab), Some(decision)));
                }
                // The request before failed and was not charged, so this one is.
                Ok(Taking::GivenBack) => {
                    bill = bill.next().ok_or(Denial::IdempotencyKeyWornOut)?;
                }
                Ok(Taking::Before(receipt)) => {
                    drop(tab);
                    let decision = Some(self.check_again(consume).await?);
                    return Ok((charge(bill, Hold::Elsewhere(receipt), None), decision));
                }
                Ok(Taking::Refused(decision)) => {
                    return Err(match self.judged(decision) {
                        Err(denial) => denial,
                        // A refusal whose decision allows would contradict itself.
                        Ok(_) => Denial::Internal,
                    });
                }
                Err(error) => {
                    let passes =
                        undecided::charge(self, &request, &error).and_then(|decision| self.judged(decision));
                    return match passes {
                        Ok(decision) => Ok((charge(bill, Hold::Owed, tab), Some(decision))),
                        Err(denial) => {
                            if let Some(job) = Job::undo(bill) {
                                settlements.push(job);
                            }
                            Err(denial)
                        }
                    };
                }
            }
        }
    }

    fn bill(&self, consume: &Consume) -> Result<Bill, Denial> {
        let key = match &self.key {
            Some(key) => key.charge(consume.feature, 0),
            None => fresh(),
        };
        Ok(Bill {
            subject: self.subject.clone(),
            meter: consume.feature,
            amount: consume.amount,
            when: consume.charge,
            key: key.ok_or(Denial::Internal)?,
            callers: self.key.clone().map(|key| (key, 0)),
            resource: self.resource.clone(),
            context: self.context.clone(),
        })
    }
}

/// Takes note of a decision, and turns a denial into one.
fn judged(shared: &Shared, rule: &CompiledRule, span: &Span, decision: Decision) -> Result<Decision, Denial> {
    note(rule, span, &decision);
    if decision.is_allowed() { Ok(decision) } else { Err(not_entitled(shared, decision)) }
}

/// The denial that a decision stands for.
#[cold]
pub(crate) fn not_entitled(shared: &Shared, decision: Decision) -> Denial {
    Denial::NotEntitled { decision: Box::new(decision), at: shared.entitlements.now() }
}

/// Takes note of a decision.
#[inline]
pub(crate) fn note(rule: &CompiledRule, span: &Span, decision: &Decision) {
    trace::decided(span, decision);
    let (route, feature) = (rule.label.as_str(), decision.feature.as_ref());
    let (reason, source, plan) = (decision.reason.code(), decision.source.kind(), decision.plan);
    macro_rules! say {
        ($level:ident, $text:literal) => {
            tracing::$level!(
                entitlement.route = route,
                entitlement.feature = feature,
                entitlement.action = decision.action.as_str(),
                entitlement.reason = reason,
                entitlement.source = source,
                entitlement.plan = plan,
                $text
            )
        };
    }
    match (decision.is_allowed(), decision.degraded.is_some()) {
        (true, false) => say!(debug, "allowed"),
        (false, false) => say!(info, "denied"),
        (true, true) => say!(warn, "allowed without live facts"),
        (false, true) => say!(warn, "denied without live facts"),
    }
}

/// A charge under way. If nobody waits for it any more, the handler has not run and never will: it is undone.
struct Flight<'a> {
    bill: &'a Bill,
    settlements: &'a Settlements,
    landed: bool,
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        if !self.landed
            && let Some(job) = Job::undo(self.bill.clone())
        {
            self.settlements.push(job);
        }
    }
}
