//! Webhooks: what Stripe tells us, in any order, any number of times.
//!
//! An event is believed when its signature is good, and stored once by its id. What it says of its object is not used:
//! the object is asked for again, under the lock of its company, and stored as it is now. So the order of events, copies of
//! them and their age do not matter, and working on one a second time changes nothing.

mod envelope;
mod handle;
mod ledger;
mod service;

use http::StatusCode;

use entitlements_core::billing::{BillingError, BillingErrorKind, EventState};

pub use self::envelope::Envelope;
pub use self::service::WebhookService;

use crate::StripeBilling;
use crate::signature::{SignatureError, SigningSecret, Tolerance};

/// Takes webhooks. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Webhooks {
    billing: StripeBilling,
    secrets: std::sync::Arc<[SigningSecret]>,
    tolerance: Tolerance,
}

/// What became of a webhook that was believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handled {
    /// Everything that follows from it is stored.
    Processed,
    /// It concerns nothing that is kept here; why.
    Ignored(String),
    /// It had come before, and nothing is left to do.
    Duplicate(EventState),
}

/// Why a webhook was not taken. Stripe sends it again when the answer is [`status`](Self::status).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WebhookError {
    /// It is not believed. Nothing of it is stored.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// It is signed, and is no event. Nothing of it is stored.
    #[error("the body is no event")]
    NoEvent(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Somebody else works on the same event.
    #[error("the event is being worked on")]
    Busy,
    /// It is stored, and working on it failed; it is tried again.
    #[error("the event could not be worked on")]
    Failed(#[source] BillingError),
}

impl WebhookError {
    /// The status to answer with.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Signature(SignatureError::TooLarge) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Signature(_) | Self::NoEvent(_) => StatusCode::BAD_REQUEST,
            Self::Busy => StatusCode::CONFLICT,
            Self::Failed(error) if error.kind() == BillingErrorKind::Unavailable => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl Webhooks {
    /// Believes webhooks that are signed with one of `secrets`: more than one while a secret is being replaced.
    #[must_use]
    pub fn new(billing: StripeBilling, secrets: impl IntoIterator<Item = SigningSecret>) -> Self {
        Self { billing, secrets: secrets.into_iter().collect(), tolerance: Tolerance::DEFAULT }
    }

    /// How far the time of a signature may be from the present. By default five minutes.
    #[must_use]
    pub fn with_tolerance(mut self, tolerance: Tolerance) -> Self {
        self.tolerance = tolerance;
        self
    }
}
