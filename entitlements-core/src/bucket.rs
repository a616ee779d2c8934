//! Buckets: where the units of a meter are counted.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::catalog::Anchor;
use crate::id::{GrantId, PlanKey};
use crate::period::Interval;

/// Where units of a meter are counted. A counter is named by company, meter, bucket and period.
///
/// Its text form is what stores keep: `plan/month/subscription`, `plan/month/calendar/pro`, `grant/8f0c`, `uncapped`,
/// `part`. No two buckets share a text.
///
/// ```
/// use entitlements_core::bucket::Bucket;
///
/// let bucket: Bucket = "plan/month/subscription".parse()?;
/// assert_eq!(bucket.to_string(), "plan/month/subscription");
/// # Ok::<(), entitlements_core::bucket::InvalidBucket>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Bucket {
    /// The allowance of a plan, of one quota of the meter. Quotas of one meter differ in their interval.
    Plan {
        /// The quota's interval.
        every: Interval,
        /// The quota's anchor.
        anchor: Anchor,
        /// The plan, for meters that start at zero when the plan changes.
        plan: Option<PlanKey>,
    },
    /// A grant with an amount; it is spent once in its life.
    Grant(GrantId),
    /// What is counted without a limit: under an unlimited grant or an allow policy.
    Uncapped,
    /// What a meter that shares a pool has contributed; the limit is the pool's.
    Part,
}

/// A text that names no bucket.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no bucket")]
pub struct InvalidBucket(String);

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plan { every, anchor, plan } => {
                let anchor = match anchor {
                    Anchor::Calendar => "calendar",
                    Anchor::Subscription => "subscription",
                };
                write!(f, "plan/{every}/{anchor}")?;
                match plan {
                    Some(plan) => write!(f, "/{plan}"),
                    None => Ok(()),
                }
            }
            Self::Grant(id) => write!(f, "grant/{id}"),
            Self::Uncapped => f.write_str("uncapped"),
            Self::Part => f.write_str("part"),
        }
    }
}

impl FromStr for Bucket {
    type Err = InvalidBucket;

    fn from_str(text: &str) -> Result<Self, InvalidBucket> {
        let invalid = || InvalidBucket(text.into());
        match text {
            "uncapped" => return Ok(Self::Uncapped),
            "part" => return Ok(Self::Part),
            _ => {}
        }
        if let Some(id) = text.strip_prefix("grant/") {
            return GrantId::new(id).map(Self::Grant).map_err(|_| invalid());
        }
        let mut parts = text.strip_prefix("plan/").ok_or_else(invalid)?.splitn(3, '/');
        let every = parts.next().and_then(|word| Interval::ALL.into_iter().find(|i| i.as_str() == word));
        let anchor = match parts.next() {
            Some("calendar") => Anchor::Calendar,
            Some("subscription") => Anchor::Subscription,
            _ => return Err(invalid()),
        };
        let plan = parts.next().map(PlanKey::new).transpose().map_err(|_| invalid())?;
        Ok(Self::Plan { every: every.ok_or_else(invalid)?, anchor, plan })
    }
}

impl TryFrom<String> for Bucket {
    type Error = InvalidBucket;

    fn try_from(text: String) -> Result<Self, InvalidBucket> {
        text.parse()
    }
}

impl From<Bucket> for String {
    fn from(bucket: Bucket) -> Self {
        bucket.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_survives_its_text() {
        for text in ["uncapped", "part", "grant/a/b", "plan/week/calendar", "plan/month/subscription/a/b"] {
            assert_eq!(text.parse::<Bucket>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in
            ["", "plan", "plan/", "plan/month", "plan/month/moon", "plan/decade/calendar", "grant/", "Part"]
        {
            assert!(text.parse::<Bucket>().is_err(), "{text}");
        }
    }
}
