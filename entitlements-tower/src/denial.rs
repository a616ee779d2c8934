//! Denials: why a request does not reach its handler.

use chrono::{DateTime, TimeDelta, Utc};
use entitlements_core::observer::TurnedAway;
use entitlements_core::{Decision, Entitlements, Reason};
use http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};

use crate::problem::Problem;

/// Why a request does not reach its handler.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Denial {
    /// Nobody who is known asks.
    Unauthenticated {
        /// How to authenticate: the value of `WWW-Authenticate`.
        challenge: HeaderValue,
    },
    /// The subject is not entitled.
    NotEntitled {
        /// The decision.
        decision: Box<Decision>,
        /// When it was made, by the handle's clock.
        at: DateTime<Utc>,
    },
    /// No rule matches the request, and such requests are refused.
    NoRule,
    /// The idempotency key was used before with other arguments.
    IdempotencyConflict,
    /// The charge under the idempotency key was made and given back so often that it is not made again.
    IdempotencyKeyWornOut,
    /// The idempotency key cannot be read.
    InvalidIdempotencyKey,
    /// How many units, or which resource, the request asks for cannot be read.
    Invalid {
        /// What is wrong, for the caller.
        detail: String,
    },
    /// It could not be decided, because a dependency is unavailable.
    Unavailable,
    /// It could not be decided, because something is wrong inside.
    Internal,
}

impl Denial {
    /// The HTTP status that answers it.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Unauthenticated { .. } => StatusCode::UNAUTHORIZED,
            Self::NotEntitled { decision, .. } => status_of(decision.reason),
            Self::NoRule => StatusCode::FORBIDDEN,
            Self::IdempotencyConflict | Self::IdempotencyKeyWornOut => StatusCode::CONFLICT,
            Self::InvalidIdempotencyKey | Self::Invalid { .. } => StatusCode::BAD_REQUEST,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The stable code: the reason of the decision, if there is one.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unauthenticated { .. } => "unauthenticated",
            Self::NotEntitled { decision, .. } => decision.reason.code(),
            Self::NoRule => Reason::NotGranted.code(),
            Self::IdempotencyConflict | Self::IdempotencyKeyWornOut => "idempotency_conflict",
            Self::InvalidIdempotencyKey | Self::Invalid { .. } => "invalid",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }

    /// The decision, if there is one.
    #[must_use]
    pub fn decision(&self) -> Option<&Decision> {
        match self {
            Self::NotEntitled { decision, .. } => Some(decision),
            _ => None,
        }
    }

    /// In how many seconds it makes sense to ask again, at least 1; `None` if waiting does not help, or takes longer than
    /// a minute.
    ///
    /// Clients honour `Retry-After` by waiting, and would hang until the end of a month. When a quota is fresh again is in
    /// the body.
    #[must_use]
    pub fn retry_after(&self) -> Option<u64> {
        const LONGEST: TimeDelta = TimeDelta::minutes(1);
        match self {
            Self::Unavailable => Some(1),
            Self::NotEntitled { decision, at } if decision.reason == Reason::QuotaExceeded => {
                let wait = decision.quota.as_ref()?.resets_at?.signed_duration_since(at);
                (wait <= LONGEST).then(|| seconds_up(wait).max(1))
            }
            _ => None,
        }
    }

    /// The error body. Only a caller who is known is told about plans.
    #[must_use]
    pub fn problem(&self) -> Problem {
        let new = |title| Problem::new(self.status(), self.code(), title);
        match self {
            Self::Unauthenticated { challenge } => new("Authentication required")
                .detail("the request names nobody who is known")
                .header(WWW_AUTHENTICATE, challenge.clone()),
            Self::NotEntitled { decision, .. } => {
                let problem = Problem::from(&**decision);
                match self.retry_after() {
                    Some(seconds) => problem.header(RETRY_AFTER, HeaderValue::from(seconds)),
                    None => problem,
                }
            }
            Self::NoRule => new("Not granted").detail("no rule admits this request"),
            Self::IdempotencyConflict => new("The idempotency key was used before")
                .detail("the idempotency key was used before with other arguments"),
            Self::IdempotencyKeyWornOut => new("The idempotency key was used too often")
                .detail("requests with this idempotency key have failed too often; use another one"),
            Self::InvalidIdempotencyKey => new("The idempotency key is invalid")
                .detail("`Idempotency-Key` must be there once, with 1 to 128 printable ASCII characters"),
            Self::Invalid { detail } => new("The request is invalid").detail(detail),
            Self::Unavailable => Problem::unavailable(),
            Self::Internal => Problem::internal(),
        }
    }

    /// Tells the observers of a denial without a decision; the others they have seen.
    #[cold]
    pub(crate) fn tell(&self, entitlements: &Entitlements, rule: Option<&str>) {
        if let Some(why) = self.turned_away() {
            entitlements.turned_away(rule, why);
        }
    }

    /// Why there is no decision, if there is none.
    const fn turned_away(&self) -> Option<TurnedAway> {
        Some(match self {
            Self::NotEntitled { .. } => return None,
            Self::Unauthenticated { .. } => TurnedAway::Unauthenticated,
            Self::NoRule => TurnedAway::NoRule,
            Self::IdempotencyConflict | Self::IdempotencyKeyWornOut => TurnedAway::IdempotencyConflict,
            Self::InvalidIdempotencyKey | Self::Invalid { .. } => TurnedAway::Invalid,
            Self::Unavailable => TurnedAway::Unavailable,
            Self::Internal => TurnedAway::Internal,
        })
    }
}

/// Whole seconds, of which the last may not be full; 0 for the past.
pub(crate) fn seconds_up(wait: TimeDelta) -> u64 {
    let whole = u64::try_from(wait.num_seconds()).unwrap_or_default();
    whole.saturating_add(u64::from(wait.subsec_nanos() > 0))
}

/// The HTTP status of a denial with that reason: 402 when paying would help, 403 otherwise.
///
/// ```
/// use entitlements_core::Reason;
///
/// assert_eq!(entitlements_tower::status_of(Reason::QuotaExceeded), 402);
/// assert_eq!(entitlements_tower::status_of(Reason::PolicyDenied), 403);
/// ```
#[must_use]
pub const fn status_of(reason: Reason) -> StatusCode {
    match reason {
        Reason::NoSubscription
        | Reason::SubscriptionInactive
        | Reason::FeatureNotInPlan
        | Reason::QuotaExceeded => StatusCode::PAYMENT_REQUIRED,
        _ => StatusCode::FORBIDDEN,
    }
}
