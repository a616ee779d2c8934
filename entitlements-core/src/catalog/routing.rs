//! Routing: which requests of a gateway need which feature.

use crate::{Action, Amount};

/// What happens to a request that no route names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmatched {
    /// It passes.
    Allow,
    /// It is refused.
    Deny,
}

/// When a consumption is charged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Charge {
    /// Before the handler runs; given back on a server error or a panic.
    #[default]
    Admit,
    /// Before the handler runs; given back unless the handler succeeds.
    Success,
    /// What the handler reports at the end.
    Actual,
}

/// A unit of a meter that a request consumes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consume {
    /// The meter's name.
    pub feature: &'static str,
    /// How many units; at least 1.
    pub amount: Amount,
    /// When they are charged.
    pub charge: Charge,
}

/// The feature that a request needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Require {
    /// The feature's name.
    pub feature: &'static str,
    /// The action; `None` takes the one of the request's method.
    pub action: Option<Action>,
}

/// A rule for requests of one method and path pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// The method in capitals; `None` is every method.
    pub method: Option<String>,
    /// The path pattern: `/reports/{id}`, `/files/{*rest}`.
    pub path: String,
    /// The feature that is needed.
    pub require: Option<Require>,
    /// What is consumed.
    pub consume: Option<Consume>,
}

/// The rules of a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routing {
    /// What happens to a request that no route names.
    pub unmatched: Unmatched,
    /// The rules, in catalog order.
    pub routes: Vec<Route>,
}
