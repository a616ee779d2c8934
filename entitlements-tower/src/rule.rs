//! Rules: which requests need which feature, and what they consume.

use std::fmt;
use std::sync::Arc;

use entitlements_core::catalog::{Charge, Route};
use entitlements_core::{Action, Amount};
use http::request::Parts;
use http::{HeaderMap, StatusCode};

use crate::matching::RouteParams;
use crate::read::Origin;

/// The head of a response, as [`Rule::track_usage`] sees it.
#[derive(Clone, Copy, Debug)]
pub struct ResponseHead<'a> {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: &'a HeaderMap,
}

pub(crate) type Track = Arc<dyn Fn(&ResponseHead<'_>) -> u64 + Send + Sync>;

/// Which requests need which feature, and what they consume.
///
/// A rule without a feature and a meter lets its requests pass: the way to open a route where the rest is closed.
///
/// ```
/// use entitlements_core::Action;
/// use entitlements_tower::Rule;
///
/// let rule = Rule::new("POST /reports/{id}/pdf").require_action("reports", Action::Export).consume("exports");
/// assert_eq!(rule.to_string(), "POST /reports/{id}/pdf");
/// ```
#[derive(Clone)]
pub struct Rule {
    pub(crate) matches: Matches,
    pub(crate) require: Option<(String, Option<Action>)>,
    pub(crate) consume: Option<Consumed>,
    pub(crate) resource: Option<Origin<String>>,
    pub(crate) track: Option<(String, Track)>,
}

#[derive(Clone, Debug)]
pub(crate) enum Matches {
    Every,
    Text(String),
    Parts { method: Option<String>, path: String },
}

#[derive(Clone, Debug)]
pub(crate) struct Consumed {
    pub(crate) meter: String,
    pub(crate) amount: Amount,
    /// Reads the amount from each request instead.
    pub(crate) units: Option<Origin<i64>>,
    pub(crate) charge: Charge,
}

impl Rule {
    /// A rule for `METHOD /path`, or for `/path` with every method. `GET` covers `HEAD`, and `CONNECT`, which opens over
    /// HTTP/2 the web sockets that `GET` opens over HTTP/1.
    ///
    /// Paths are written as axum 0.8 writes them: `/reports/{id}`, `/files/{*rest}`.
    #[must_use]
    pub fn new(pattern: impl Into<String>) -> Self {
        Self::matching(Matches::Text(pattern.into()))
    }

    /// A rule for every request that no other rule of the layer matches: alone, it is for a layer around one route.
    #[must_use]
    pub fn every_request() -> Self {
        Self::matching(Matches::Every)
    }

    const fn matching(matches: Matches) -> Self {
        Self { matches, require: None, consume: None, resource: None, track: None }
    }

    /// Needs `feature`, for the action of the request's method.
    #[must_use]
    pub fn require(mut self, feature: impl Into<String>) -> Self {
        self.require = Some((feature.into(), None));
        self
    }

    /// Needs `feature`, for `action`.
    #[must_use]
    pub fn require_action(mut self, feature: impl Into<String>, action: Action) -> Self {
        self.require = Some((feature.into(), Some(action)));
        self
    }

    /// Consumes one unit of `meter`, on admission.
    #[must_use]
    pub fn consume(self, meter: impl Into<String>) -> Self {
        self.consume_units(meter, Amount::ONE, Charge::Admit)
    }

    /// Consumes `amount` units of `meter`; with [`Charge::Actual`] the amount is the estimate.
    #[must_use]
    pub fn consume_units(mut self, meter: impl Into<String>, amount: Amount, charge: Charge) -> Self {
        self.consume = Some(Consumed { meter: meter.into(), amount, units: None, charge });
        self
    }

    /// Consumes as many units of `meter` as a header says: digits, at least 1. A request without is answered with 400.
    ///
    /// **Whoever sends the header says what it costs.** So the handler has to hold the caller to it.
    #[must_use]
    pub fn consume_from_header(
        self,
        meter: impl Into<String>,
        charge: Charge,
        header: impl Into<String>,
    ) -> Self {
        self.consume_read(meter.into(), charge, Origin::Header(header.into()))
    }

    /// Consumes as many units of `meter` as a parameter of the rule's path says: digits, at least 1. Everything else is
    /// answered with 400.
    ///
    /// ```
    /// use entitlements_core::catalog::Charge;
    /// use entitlements_tower::Rule;
    ///
    /// let rule = Rule::new("POST /reports/batch/{count}").consume_from_param("reports", Charge::Admit, "count");
    /// # let _ = rule;
    /// ```
    #[must_use]
    pub fn consume_from_param(
        self,
        meter: impl Into<String>,
        charge: Charge,
        param: impl Into<String>,
    ) -> Self {
        self.consume_read(meter.into(), charge, Origin::Param(param.into()))
    }

    /// Consumes as many units of `meter` as `units` makes of the head of the request. `None`, 0 and negative numbers are
    /// answered with 400.
    #[must_use]
    pub fn consume_by(
        self,
        meter: impl Into<String>,
        charge: Charge,
        units: impl Fn(&Parts, &RouteParams<'_>) -> Option<i64> + Send + Sync + 'static,
    ) -> Self {
        self.consume_read(meter.into(), charge, Origin::by(units))
    }

    fn consume_read(mut self, meter: String, charge: Charge, units: Origin<i64>) -> Self {
        self.consume = Some(Consumed { meter, amount: Amount::ONE, units: Some(units), charge });
        self
    }

    /// Names the resource of a request by a header. A request without is answered with 400.
    #[must_use]
    pub fn resource_from_header(mut self, header: impl Into<String>) -> Self {
        self.resource = Some(Origin::Header(header.into()));
        self
    }

    /// Names the resource of a request by a parameter of the rule's path, percent-decoded, as the handler sees it.
    #[must_use]
    pub fn resource_from_param(mut self, param: impl Into<String>) -> Self {
        self.resource = Some(Origin::Param(param.into()));
        self
    }

    /// Names the resource of a request by what `resource` makes of its head, instead of what the layer's `resource` says.
    /// What cannot be the name of a resource (more than 255 bytes, control characters) is answered with 400.
    ///
    /// A parameter of the path is read with [`decoded`](RouteParams::decoded), as the handler sees it.
    #[must_use]
    pub fn resource_by(
        mut self,
        resource: impl Fn(&Parts, &RouteParams<'_>) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.resource = Some(Origin::by(resource));
        self
    }

    /// Counts units of `meter` after the response, as many as `units` reads from its head. It never refuses a request:
    /// what does not fit is logged and counted as uncollected.
    #[must_use]
    pub fn track_usage(
        mut self,
        meter: impl Into<String>,
        units: impl Fn(&ResponseHead<'_>) -> u64 + Send + Sync + 'static,
    ) -> Self {
        self.track = Some((meter.into(), Arc::new(units)));
        self
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.matches {
            Matches::Every => f.write_str("*"),
            Matches::Text(text) => f.write_str(text),
            Matches::Parts { method: Some(method), path } => write!(f, "{method} {path}"),
            Matches::Parts { method: None, path } => f.write_str(path),
        }
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule")
            .field("matches", &self.matches)
            .field("require", &self.require)
            .field("consume", &self.consume)
            .field("resource", &self.resource)
            .field("track", &self.track.as_ref().map(|(meter, _)| meter))
            .finish()
    }
}

impl From<&Route> for Rule {
    fn from(route: &Route) -> Self {
        let mut rule =
            Self::matching(Matches::Parts { method: route.method.clone(), path: route.path.clone() });
        rule.require = route.require.as_ref().map(|require| (require.feature.into(), require.action));
        rule.consume = route.consume.as_ref().map(|consume| Consumed {
            meter: consume.feature.into(),
            amount: consume.amount,
            units: None,
            charge: consume.charge,
        });
        rule
    }
}
