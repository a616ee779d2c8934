//! What Stripe answers when it refuses.

use serde::{Deserialize, Serialize};

use super::open::open_enum;

/// The body of a refusal.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ErrorEnvelope {
    pub(crate) error: ErrorBody,
}

/// Why Stripe refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// The family.
    #[serde(rename = "type")]
    pub kind: ErrorType,
    /// What exactly, for example `resource_missing`.
    #[serde(default)]
    pub code: Option<String>,
    /// Why the bank refused, for example `insufficient_funds`.
    #[serde(default)]
    pub decline_code: Option<String>,
    /// For people.
    #[serde(default)]
    pub message: Option<String>,
    /// The parameter at fault.
    #[serde(default)]
    pub param: Option<String>,
}

open_enum! {
    /// The family of a refusal.
    ErrorType {
        /// Stripe has a fault.
        ApiError = "api_error",
        /// The card was refused.
        CardError = "card_error",
        /// The same key was used for something else.
        IdempotencyError = "idempotency_error",
        /// The request is wrong.
        InvalidRequestError = "invalid_request_error",
    }
}
