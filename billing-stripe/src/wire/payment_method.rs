//! Payment methods.

use serde::{Deserialize, Serialize};

use super::expandable::identified;

/// A card or another way to pay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PaymentMethod {
    /// `pm_…`
    pub id: String,
    /// The kind, for example `card`.
    #[serde(default, rename = "type")]
    pub kind: Option<String>,
    /// Whose it is, once it is attached.
    #[serde(default)]
    pub customer: Option<String>,
    /// What may be shown of a card.
    #[serde(default)]
    pub card: Option<Card>,
}

/// What may be shown of a card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    /// For example `visa`.
    #[serde(default)]
    pub brand: Option<String>,
    /// The last four digits.
    #[serde(default)]
    pub last4: Option<String>,
}

identified!(PaymentMethod);
