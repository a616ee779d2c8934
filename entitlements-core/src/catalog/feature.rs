//! Features: what can be sold, and of which kind it is.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Symbol;

/// A feature's dense place in its catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FeatureIndex(pub(crate) u16);

impl FeatureIndex {
    pub(crate) const fn get(self) -> usize {
        self.0 as usize
    }
}

/// Of which kind a feature is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeatureKind {
    /// Had or not had.
    Flag,
    /// Counted, per period.
    Meter,
    /// Held at one time, for example seats; it never resets.
    Gauge,
    /// A number or text that differs from plan to plan.
    Value,
}

impl FeatureKind {
    /// The kind's word in the catalog.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Flag => "flag",
            Self::Meter => "meter",
            Self::Gauge => "gauge",
            Self::Value => "value",
        }
    }
}

impl fmt::Display for FeatureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What happens to used units when the company changes plans within a period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnPlanChange {
    /// They stay used.
    #[default]
    Carry,
    /// Counting starts at zero.
    Reset,
    /// They stay used; the limit of the period is the time-weighted mean of the plans' limits.
    Prorate,
}

/// How a gauge is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum GaugeCount {
    /// By named holders.
    #[default]
    Holders,
    /// By a level that the application reports.
    Level,
}

/// The value of a `value` feature.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// A number.
    Float(f64),
    /// A text.
    Text(Arc<str>),
}

impl Value {
    /// The value as a number, if it is one.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "for comparing sizes, the nearest float is enough")]
    pub const fn number(&self) -> Option<f64> {
        match self {
            Self::Integer(number) => Some(*number as f64),
            Self::Float(number) => Some(*number),
            Self::Bool(_) | Self::Text(_) => None,
        }
    }
}

/// A feature of the catalog.
#[derive(Clone, Debug)]
pub struct Feature {
    pub(crate) index: FeatureIndex,
    pub(crate) key: Symbol,
    pub(crate) kind: FeatureKind,
    pub(crate) name: Option<Box<str>>,
    pub(crate) unit: Option<Box<str>>,
    pub(crate) on_plan_change: OnPlanChange,
    /// For a meter that shares another meter's quota: that other meter.
    pub(crate) pool: Option<FeatureIndex>,
    /// For a pool: the meters that share its quota.
    pub(crate) members: Vec<FeatureIndex>,
    /// For a `value` feature: what a plan gives that does not name it.
    pub(crate) default: Option<Value>,
    pub(crate) counts: GaugeCount,
    pub(crate) limit_from_seats: bool,
}

impl Feature {
    /// The feature's place in its catalog.
    #[must_use]
    pub const fn index(&self) -> FeatureIndex {
        self.index
    }

    /// The feature's name in requests, plans, grants and policies.
    #[must_use]
    pub const fn key(&self) -> &'static str {
        self.key.as_str()
    }

    /// Of which kind the feature is.
    #[must_use]
    pub const fn kind(&self) -> FeatureKind {
        self.kind
    }

    /// The feature's name for people.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// What one unit of it is called.
    #[must_use]
    pub fn unit(&self) -> Option<&str> {
        self.unit.as_deref()
    }

    /// What happens to used units when the plan changes.
    #[must_use]
    pub const fn on_plan_change(&self) -> OnPlanChange {
        self.on_plan_change
    }

    /// For a `value` feature: what a company has whose plan does not name it.
    #[must_use]
    pub const fn default_value(&self) -> Option<&Value> {
        self.default.as_ref()
    }

    /// For a gauge: how it is counted.
    #[must_use]
    pub const fn counts(&self) -> GaugeCount {
        self.counts
    }

    /// For a gauge: whether the subscription's seats, when it has any, are the limit.
    #[must_use]
    pub const fn limit_from_seats(&self) -> bool {
        self.limit_from_seats
    }

    /// Whether the feature shares the quota of another meter.
    #[must_use]
    pub const fn is_pooled(&self) -> bool {
        self.pool.is_some()
    }
}
