//! Entries: what a plan, or an override of it, gives of one feature.

use super::{Quota, Value};
use crate::{ActionSet, Amount};

/// What a plan gives of one feature.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The actions that are included; never empty.
    pub actions: ActionSet,
    /// What is given, by the kind of the feature.
    pub kind: EntryKind,
}

/// What is given, by the kind of the feature.
#[derive(Clone, Debug, PartialEq)]
pub enum EntryKind {
    /// A flag: nothing beside the actions.
    Flag,
    /// A meter: one or more quotas that hold at the same time, each with another period.
    Meter(Vec<Quota>),
    /// A gauge: how many may be held; `None` is unlimited.
    Gauge(Option<Amount>),
    /// A value.
    Value(Value),
}
