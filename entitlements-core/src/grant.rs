//! Grants: awards beside the plan. They are immutable; a grant is *voided*, never edited.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::id::{CompanyId, FeatureKey, GrantId, InvalidId, UserId, check_id};
use crate::{ActionSet, Amount};

/// Why a grant was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantKind {
    /// To try a feature.
    Trial,
    /// As a gift.
    Promotional,
    /// By hand, for example by support.
    Manual,
    /// To test a feature before it is sold.
    Beta,
}

impl GrantKind {
    /// The kind's word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trial => "trial",
            Self::Promotional => "promotional",
            Self::Manual => "manual",
            Self::Beta => "beta",
        }
    }
}

/// Which resources a grant or a policy means: one, all that begin with a prefix, or all.
///
/// `report:7` is that resource, `report:*` every resource that begins with `report:`, and `*` alone everything, also a
/// request that names no resource. A `*` elsewhere is refused.
///
/// ```
/// use entitlements_core::ResourcePattern;
///
/// let reports: ResourcePattern = "report:*".parse()?;
/// assert!(reports.matches(Some("report:7")));
/// assert!(!reports.matches(None));
/// assert!("*".parse::<ResourcePattern>()?.matches(None));
/// assert!("re*port".parse::<ResourcePattern>().is_err());
/// # Ok::<(), entitlements_core::grant::InvalidPattern>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum ResourcePattern {
    /// `*`: everything, also the absence of a resource.
    Any,
    /// `prefix*`: every resource with this prefix.
    Prefix(Box<str>),
    /// One resource.
    Exact(Box<str>),
}

/// A text that is no [`ResourcePattern`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPattern {
    /// The text is empty, too long or holds a control character.
    #[error(transparent)]
    Text(#[from] InvalidId),
    /// A `*` elsewhere than at the end.
    #[error("`*` may only be at the end of a resource pattern")]
    Star,
}

impl ResourcePattern {
    /// Whether the pattern means a request for `resource`.
    #[must_use]
    pub fn matches(&self, resource: Option<&str>) -> bool {
        match (self, resource) {
            (Self::Any, _) => true,
            (_, None) => false,
            (Self::Prefix(prefix), Some(resource)) => resource.starts_with(&**prefix),
            (Self::Exact(exact), Some(resource)) => resource == &**exact,
        }
    }
}

impl FromStr for ResourcePattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        check_id(text)?;
        match text.find('*') {
            None => Ok(Self::Exact(text.into())),
            Some(0) if text.len() == 1 => Ok(Self::Any),
            Some(at) if at + 1 == text.len() => Ok(Self::Prefix(text.trim_end_matches('*').into())),
            Some(_) => Err(InvalidPattern::Star),
        }
    }
}

impl fmt::Display for ResourcePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Prefix(prefix) => write!(f, "{prefix}*"),
            Self::Exact(exact) => f.write_str(exact),
        }
    }
}

impl TryFrom<String> for ResourcePattern {
    type Error = InvalidPattern;

    fn try_from(text: String) -> Result<Self, InvalidPattern> {
        text.parse()
    }
}

impl From<ResourcePattern> for String {
    fn from(pattern: ResourcePattern) -> Self {
        pattern.to_string()
    }
}

/// An award of a feature to a company or to one of its users, beside the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Grant {
    /// The grant's id, unique over all companies.
    pub id: GrantId,
    /// Who is entitled.
    pub company: CompanyId,
    /// Only this user of the company; `None` is every user.
    pub user: Option<UserId>,
    /// The feature that is awarded.
    pub feature: FeatureKey,
    /// The actions that are awarded.
    pub actions: ActionSet,
    /// Which resources; `None` is every request.
    pub resource: Option<ResourcePattern>,
    /// Units of a meter, spent once in the grant's life; `None` is unlimited.
    pub amount: Option<Amount>,
    /// Why it was made.
    pub kind: GrantKind,
    /// The first instant at which it counts.
    pub starts_at: DateTime<Utc>,
    /// The first instant at which it no longer counts; `None` is never.
    pub ends_at: Option<DateTime<Utc>>,
    /// A note for people.
    pub reason: Option<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was voided, if it was.
    pub voided_at: Option<DateTime<Utc>>,
}

impl Grant {
    /// Whether the grant counts at `now`: started, not ended, not voided. The end is exclusive.
    #[must_use]
    pub fn is_active(&self, now: DateTime<Utc>) -> bool {
        self.voided_at.is_none() && self.starts_at <= now && self.ends_at.is_none_or(|end| now < end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_survives_its_text() {
        for text in ["*", "report:*", "report:7", " "] {
            assert_eq!(text.parse::<ResourcePattern>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_star_elsewhere_than_at_the_end_is_refused() {
        for text in ["**", "*a", "a*b", "a**"] {
            assert_eq!(text.parse::<ResourcePattern>(), Err(InvalidPattern::Star), "{text}");
        }
    }

    #[test]
    fn only_the_lone_star_means_a_request_without_a_resource() {
        assert!(ResourcePattern::Any.matches(None));
        assert!(!ResourcePattern::Prefix("".into()).matches(None));
        assert!(!ResourcePattern::Exact("a".into()).matches(None));
    }
}
