//! The gate: from the head of a request to a verdict, for tower and for every other kind of proxy.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use chrono::{DateTime, Utc};
use entitlements_core::catalog::{Consume, Unmatched};
use entitlements_core::{Action, Context, Decision, Entitlements, Request, Subject};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method};
use tracing::Span;

use crate::action::action_of;
use crate::charge::Charges;
use crate::coverage::Coverage;
use crate::denial::Denial;
use crate::fail::FailMode;
use crate::identity::Identify;
use crate::key::CallersKey;
use crate::limits::{self, Shown};
use crate::matching::{RequestPath, RouteParams, Spelling};
use crate::pending::{self, Asked, Pending};
use crate::read;
use crate::rule::Rule;
use crate::rules::{CompiledRule, RuleError, Rules};
use crate::settle::{SettlementStats, Settlements};
use crate::table::{InForce, RuleSource, Table};
use crate::ticket::Ticket;
use crate::trace;
use crate::who::Who;

pub(crate) type ActionOf = Arc<dyn Fn(&Method) -> Option<Action> + Send + Sync>;
pub(crate) type ContextOf = Arc<dyn Fn(&Parts) -> Option<Context> + Send + Sync>;
pub(crate) type ResourceOf = Arc<dyn Fn(&Parts, &RouteParams<'_>) -> Option<String> + Send + Sync>;

/// What a gate and its sisters for single routes have in common.
pub(crate) struct Shared {
    pub(crate) entitlements: Entitlements,
    pub(crate) identify: Arc<dyn Identify>,
    /// Whose entitlements count where nobody who is known asks.
    pub(crate) anonymous: Option<Subject>,
    pub(crate) fail_mode: FailMode,
    pub(crate) action: Option<ActionOf>,
    pub(crate) context: Option<ContextOf>,
    pub(crate) resource: Option<ResourceOf>,
    pub(crate) challenge: HeaderValue,
    pub(crate) callers_keys: bool,
    /// Whether responses say what is left of a quota.
    pub(crate) limits: bool,
    pub(crate) settlements: Settlements,
    pub(crate) since: DateTime<Utc>,
    pub(crate) said_missing: AtomicBool,
}

/// Decides on the heads of requests.
///
/// [`EntitlementLayer`](crate::EntitlementLayer) is a thin shell around it. A proxy that is not built on tower asks the
/// gate itself: [`begin`](Self::begin), then, for what must be asked, the [`Pending`] verdict, and at the end
/// [`Ticket::finish`](crate::Ticket::finish). Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Gate(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    table: Table,
}

/// What a gate says about a request at once.
#[derive(Debug)]
pub enum Verdict {
    /// It passes; no rule asks anything of it.
    Pass,
    /// It is refused.
    Deny(Denial),
    /// It is admitted: the facts are in memory, and nothing is charged.
    Admit(Box<Ticket>),
    /// The facts decide: await this.
    Ask(Pending),
}

/// What a gate says at once, with `T` for what is allowed.
pub(crate) enum Begun<T> {
    Pass,
    Deny(Denial),
    Allowed(T),
    Ask(Pending),
}

/// Who is allowed at once, by which rule. The decision is apart: it is large, and is not carried around.
struct Allowed<'a> {
    rule: &'a Arc<CompiledRule>,
    who: Who<'a>,
    resource: Option<String>,
    context: Option<Cow<'a, Context>>,
}

/// What a request is about.
struct Question<'a> {
    action: Action,
    resource: Option<String>,
    context: Option<Cow<'a, Context>>,
    consume: Option<Consume>,
}

impl Gate {
    pub(crate) fn new(shared: Arc<Shared>, source: RuleSource) -> Result<Self, RuleError> {
        let table = Table::new(source, &shared.entitlements)?;
        Ok(Self(Arc::new(Inner { shared, table })))
    }

    /// Another gate that shares all but the rules: it has only this one.
    pub(crate) fn with_rule(&self, rule: Rule) -> Result<Self, RuleError> {
        let source = RuleSource {
            catalog: false,
            code: vec![rule],
            declared: Vec::new(),
            unmatched: None,
            extractors: false,
        };
        Self::new(Arc::clone(&self.0.shared), source)
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.0.shared
    }

    /// The rules in force.
    pub(crate) fn rules(&self) -> InForce<'_> {
        self.0.table.rules(&self.shared().entitlements)
    }

    /// Whether these are the rules that the gate was built with.
    #[inline]
    pub(crate) fn has_first_rules(&self) -> bool {
        self.0.table.has_first(&self.shared().entitlements)
    }

    /// Says whether the request passes, is refused, or must be asked about. Nothing is charged yet.
    ///
    /// ```
    /// # async fn serve(gate: entitlements_tower::Gate, mut request: http::Request<String>) {
    /// use entitlements_tower::Verdict;
    ///
    /// let (mut parts, body) = request.into_parts();
    /// match gate.begin(&parts) {
    ///     Verdict::Pass => { /* forward it */ }
    ///     Verdict::Deny(denial) => { /* answer denial.problem() */ }
    ///     Verdict::Admit(mut ticket) => {
    ///         ticket.attach(&mut parts.extensions);
    ///         // forward it, and then:
    ///         ticket.finish(http::StatusCode::OK, &http::HeaderMap::new());
    ///     }
    ///     Verdict::Ask(pending) => match pending.await {
    ///         Err(denial) => { /* answer denial.problem() */ }
    ///         Ok(mut ticket) => {
    ///             ticket.attach(&mut parts.extensions);
    ///             // forward it, and then:
    ///             ticket.finish(http::StatusCode::OK, &http::HeaderMap::new());
    ///         }
    ///     },
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn begin(&self, parts: &Parts) -> Verdict {
        let rules = self.rules();
        let mut decision = None;
        match self.decide(&rules, parts, &mut decision, false) {
            Begun::Pass => Verdict::Pass,
            Begun::Deny(denial) => Verdict::Deny(denial),
            Begun::Allowed(allowed) => Verdict::Admit(Box::new(self.ticket(parts, allowed, decision))),
            Begun::Ask(pending) => Verdict::Ask(pending),
        }
    }

    /// The same for the layer, which may know the decision, and may have counted that the rule was matched. What is allowed
    /// at once, and leaves nothing to do afterwards, gets no ticket: its decision is among the extensions already.
    pub(crate) fn begin_lightly(
        &self,
        parts: &mut Parts,
        mut decision: Option<Decision>,
        counted: bool,
    ) -> Begun<Option<Box<Ticket>>> {
        let rules = self.rules();
        let allowed = match self.decide(&rules, parts, &mut decision, counted) {
            Begun::Allowed(allowed) => allowed,
            Begun::Pass => return Begun::Pass,
            Begun::Deny(denial) => return Begun::Deny(denial),
            Begun::Ask(pending) => return Begun::Ask(pending),
        };
        if allowed.rule.track.is_some() || self.shared().limits {
            return Begun::Allowed(Some(Box::new(self.ticket(parts, allowed, decision))));
        }
        drop(allowed);
        if let Some(decision) = decision {
            parts.extensions.insert(decision);
        }
        Begun::Allowed(None)
    }

    fn ticket(&self, parts: &Parts, allowed: Allowed<'_>, decision: Option<Decision>) -> Ticket {
        let Allowed { rule, who: Who { subject, known }, resource, context } = allowed;
        let context = context.filter(|_| rule.track.is_some()).map(Cow::into_owned);
        let quotas = Shown::list(self.shared(), decision.as_ref().filter(|_| known), None);
        let charges = parts.extensions.get::<Charges>().cloned().unwrap_or_default();
        let (rule, subject) = (Arc::clone(rule), subject.into_owned());
        let ticket = Ticket::new(self.clone(), rule, subject, decision, None, charges);
        ticket.showing(quotas).about(resource, context)
    }

    fn decide<'a>(
        &'a self,
        rules: &'a Rules,
        parts: &'a Parts,
        decision: &mut Option<Decision>,
        counted: bool,
    ) -> Begun<Allowed<'a>> {
        let Ok(found) = rules.of(&parts.method, &parts.uri, &parts.extensions) else {
            tracing::info!("denied: the path is that of one rule, and in another spelling that of another");
            return Begun::Deny(self.turned_away(read::two_rules()));
        };
        let Some(rule) = found else {
            self.0.table.watch.unmatched(RequestPath::matched_of(&parts.extensions));
            return match rules.unmatched {
                Unmatched::Allow => Begun::Pass,
                Unmatched::Deny => {
                    tracing::info!("denied: no entitlement rule admits the request");
                    Begun::Deny(self.turned_away(Denial::NoRule))
                }
            };
        };
        if !counted {
            rule.hit();
        }
        if !rule.gates() {
            return Begun::Pass;
        }
        let span = trace::span(&rule.label);
        let begun = span.in_scope(|| self.decide_by(rule, parts, &span, decision));
        match &begun {
            Begun::Ask(_) => {}
            Begun::Deny(denial) => {
                trace::ended(&span, Some(denial));
                denial.tell(&self.shared().entitlements, Some(&rule.label));
            }
            Begun::Pass | Begun::Allowed(_) => trace::ended(&span, None),
        }
        begun
    }

    /// A denial by no rule, of which the observers are told.
    fn turned_away(&self, denial: Denial) -> Denial {
        denial.tell(&self.shared().entitlements, None);
        denial
    }

    fn decide_by<'a>(
        &'a self,
        rule: &'a Arc<CompiledRule>,
        parts: &'a Parts,
        span: &Span,
        decision: &mut Option<Decision>,
    ) -> Begun<Allowed<'a>> {
        let shared = self.shared();
        let (who, question) = match shared.who(parts).and_then(|who| Ok((who, self.question(parts, rule)?))) {
            Ok(read) => read,
            Err(denial) => return Begun::Deny(denial),
        };
        if decision.is_none() {
            *decision = self.decide_warm(rule, &who.subject, &question);
        }
        if let Some(warm) = decision {
            pending::note(rule, span, warm);
            if warm.is_allowed() {
                let Question { resource, context, .. } = question;
                return Begun::Allowed(Allowed { rule, who, resource, context });
            }
        }
        if let Some(denied) = decision.take() {
            return Begun::Deny(shared.told(who.known, pending::not_entitled(shared, denied)));
        }
        match self.ask(parts, rule, who, question, span) {
            Ok(asked) => Begun::Ask(Pending::new(asked)),
            Err(denial) => Begun::Deny(denial),
        }
    }

    /// What the request is about, read from its head.
    fn question<'a>(&self, parts: &'a Parts, rule: &Arc<CompiledRule>) -> Result<Question<'a>, Denial> {
        let shared = self.shared();
        let named = shared.action.as_ref().and_then(|action| action(&parts.method));
        let context = match &shared.context {
            Some(context) => context(parts).map(Cow::Owned),
            None => parts.extensions.get::<Context>().map(Cow::Borrowed),
        };
        let mut spelling = Spelling::raw("");
        if rule.resource.is_some() || shared.resource.is_some() || rule.units.is_some() {
            spelling = rule.spelling(&RequestPath::of(parts)).ok_or_else(read::no_params)?;
        }
        let Spelling { text, is_decoded } = &spelling;
        let (pattern, params) = (rule.path.as_deref(), rule.params(text));
        let params = RouteParams { pattern, params, is_decoded: *is_decoded };
        let resource = match (&rule.resource, &shared.resource) {
            (Some(from), _) => read::resource(from, parts, &params)?,
            (None, Some(of)) => of(parts, &params).map(read::valid).transpose()?,
            (None, None) => None,
        };
        let mut consume = rule.consume.clone();
        if let (Some(consume), Some(units)) = (&mut consume, &rule.units) {
            consume.amount = read::units(units, parts, &params)?;
        }
        Ok(Question { action: named.unwrap_or_else(|| action_of(&parts.method)), resource, context, consume })
    }

    /// The decision at once, if nothing is charged and the facts are in memory.
    fn decide_warm(
        &self,
        rule: &CompiledRule,
        subject: &Subject,
        question: &Question<'_>,
    ) -> Option<Decision> {
        let (Some(require), None) = (&rule.require, &question.consume) else { return None };
        let mut request = Request::new(subject, require.feature, require.action.unwrap_or(question.action));
        request.resource = question.resource.as_deref();
        if let Some(context) = &question.context {
            request.context = context;
        }
        let decision = self.shared().entitlements.check_warm(&request)?;
        #[cfg(feature = "rt")]
        if rule.track.is_some() {
            self.shared().settlements.remember_runtime();
        }
        Some(decision)
    }

    fn ask(
        &self,
        parts: &Parts,
        rule: &Arc<CompiledRule>,
        who: Who<'_>,
        question: Question<'_>,
        span: &Span,
    ) -> Result<Asked, Denial> {
        let Question { action, resource, context, consume } = question;
        let key = if self.shared().callers_keys && consume.is_some() {
            CallersKey::read(parts, RequestPath::of(parts).raw).map_err(|_| Denial::InvalidIdempotencyKey)?
        } else {
            None
        };
        Ok(Asked {
            gate: self.clone(),
            rule: Arc::clone(rule),
            consume,
            subject: who.subject.into_owned(),
            known: who.known,
            action,
            resource,
            context: context.map(Cow::into_owned),
            key,
            charged: parts.extensions.get::<Charges>().cloned().unwrap_or_default(),
            span: span.clone(),
        })
    }

    /// Says in the headers of a denial's response what is left of the quota that is the reason, where
    /// [`rate_limit_headers`](crate::EntitlementLayerBuilder::rate_limit_headers) are switched on. The layer does it by
    /// itself.
    pub fn announce(&self, denial: &Denial, headers: &mut HeaderMap) {
        limits::denied(self.shared(), denial, headers);
    }

    /// Which rules were hit so far, and which routes have none.
    #[must_use]
    pub fn coverage(&self) -> Coverage {
        self.0.table.coverage(&self.shared().entitlements)
    }

    /// Counts of refunds and late charges.
    #[must_use]
    pub fn settlements(&self) -> SettlementStats {
        self.shared().settlements.stats()
    }

    /// Does every refund and late charge that can be done now; call it when the server has shut down.
    pub async fn flush(&self) -> SettlementStats {
        self.shared().settlements.flush().await
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("fail_mode", &self.shared().fail_mode)
            .field("table", &self.0.table)
            .finish_non_exhaustive()
    }
}
