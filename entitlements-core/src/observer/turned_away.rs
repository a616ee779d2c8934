//! Requests that end without a decision: adapters answer them, and tell the observers why.

use std::fmt;

use super::Event;
use crate::entitlements::Entitlements;

/// Why a request was answered without a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TurnedAway {
    /// Nobody who is known asks.
    Unauthenticated,
    /// The request cannot be read, or can be read in two ways.
    Invalid,
    /// No rule is for the request, and such requests are refused.
    NoRule,
    /// Its idempotency key was used for something else, or too often.
    IdempotencyConflict,
    /// It could not be decided, because a dependency is unavailable.
    Unavailable,
    /// It could not be decided, because something is wrong inside.
    Internal,
}

impl TurnedAway {
    /// Every reason.
    pub const ALL: [Self; 6] = [
        Self::Unauthenticated,
        Self::Invalid,
        Self::NoRule,
        Self::IdempotencyConflict,
        Self::Unavailable,
        Self::Internal,
    ];

    /// The stable word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unauthenticated => "unauthenticated",
            Self::Invalid => "invalid",
            Self::NoRule => "no_rule",
            Self::IdempotencyConflict => "idempotency_conflict",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for TurnedAway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Entitlements {
    /// For adapters: tells the observers of a request that was answered without a decision ([`Event::TurnedAway`]), and of
    /// the rule that it matched, if it did. What was decided they have seen.
    ///
    /// ```
    /// use std::sync::Mutex;
    ///
    /// use entitlements_core::observer::{Event, Observer, TurnedAway};
    /// use entitlements_core::{Catalog, Entitlements};
    ///
    /// #[derive(Debug, Default)]
    /// struct Seen(Mutex<Vec<TurnedAway>>);
    ///
    /// impl Observer for Seen {
    ///     fn observe(&self, event: &Event<'_>) {
    ///         if let Event::TurnedAway { why, .. } = event {
    ///             self.0.lock().unwrap().push(*why);
    ///         }
    ///     }
    /// }
    ///
    /// let catalog: Catalog = "schema = 1\npast_due_grace = \"7d\"\n[features]\nexport = { type = \"flag\" }".parse()?;
    /// let seen = std::sync::Arc::new(Seen::default());
    /// let entitlements = Entitlements::builder(catalog).observer(seen.clone()).build();
    /// entitlements.turned_away(Some("GET /export"), TurnedAway::Unauthenticated);
    /// assert_eq!(*seen.0.lock().unwrap(), [TurnedAway::Unauthenticated]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn turned_away(&self, rule: Option<&str>, why: TurnedAway) {
        self.observe(&Event::TurnedAway { rule, why });
    }
}
