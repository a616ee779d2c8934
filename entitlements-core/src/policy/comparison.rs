//! Comparisons: the operators between an attribute and an operand.

use std::cmp::Ordering;

use chrono::{DateTime, TimeDelta, Utc};

use super::attribute::Found;
use super::operand::Operand;
use super::{Attributes, Truth};

/// An operator between an attribute and an operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    In,
    NotIn,
    Contains,
    StartsWith,
    EndsWith,
}

impl Comparison {
    pub(super) fn evaluate(self, found: Found<'_>, operand: &Operand, attributes: &Attributes<'_>) -> Truth {
        match self {
            Self::In | Self::NotIn if !found.is_scalar() => return Truth::Unknown,
            Self::In => return operand.lists(found, attributes),
            Self::NotIn => return !operand.lists(found, attributes),
            _ => {}
        }
        let Some(other) = operand.find(attributes) else { return Truth::Unknown };
        let texts = || Some((found.text()?, other.text()?));
        match self {
            Self::Eq | Self::In => found.equals(other),
            Self::Ne | Self::NotIn => !found.equals(other),
            Self::Lt => found.compare(other).map(Ordering::is_lt).into(),
            Self::Le => found.compare(other).map(Ordering::is_le).into(),
            Self::Gt => found.compare(other).map(Ordering::is_gt).into(),
            Self::Ge => found.compare(other).map(Ordering::is_ge).into(),
            Self::Contains => match found.list() {
                Some(list) if other.is_scalar() => other.is_among(list),
                _ => texts().map(|(text, part)| text.contains(part)).into(),
            },
            Self::StartsWith => texts().map(|(text, part)| text.starts_with(part)).into(),
            Self::EndsWith => texts().map(|(text, part)| text.ends_with(part)).into(),
        }
    }

    /// The comparison that says the same with its two sides exchanged.
    pub(super) const fn mirrored(self) -> Self {
        match self {
            Self::Lt => Self::Gt,
            Self::Le => Self::Ge,
            Self::Gt => Self::Lt,
            Self::Ge => Self::Le,
            same => same,
        }
    }

    /// When `now` compared with `instant` changes its truth after `now`.
    pub(super) fn flip_of_now(self, instant: DateTime<Utc>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let reached = (now < instant).then_some(instant);
        // `now` is still equal at the instant itself, and for the smallest step of time after it no longer.
        let passed =
            (now <= instant).then(|| instant.checked_add_signed(TimeDelta::nanoseconds(1))).flatten();
        match self {
            Self::Lt | Self::Ge => reached,
            Self::Le | Self::Gt => passed,
            Self::Eq | Self::Ne => reached.or(passed),
            _ => None,
        }
    }
}
