//! Identifiers: text that has been checked once, at the border.
//!
//! Every id is 1 to 255 bytes of UTF-8 without control characters (so without NUL). Ids compare as ascending bytes:
//! no case folding, no Unicode normalisation, so two ids are equal only when their bytes are.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The largest number of bytes an id may have.
pub const MAX_ID_BYTES: usize = 255;

/// Why a text is not an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidId {
    /// The text has no characters.
    #[error("must not be empty")]
    Empty,
    /// The text is longer than [`MAX_ID_BYTES`].
    #[error("must be at most 255 bytes, got {0}")]
    TooLong(usize),
    /// The text holds a control character, for example NUL or a line feed.
    #[error("must not contain control characters")]
    ControlCharacter,
}

/// Checks that `text` may be an id: 1 to 255 bytes, no control characters.
///
/// # Errors
///
/// Says which of the rules the text breaks.
///
/// ```
/// use entitlements_core::id::{InvalidId, check_id};
///
/// assert_eq!(check_id("acme"), Ok(()));
/// assert_eq!(check_id(""), Err(InvalidId::Empty));
/// assert_eq!(check_id("a\0b"), Err(InvalidId::ControlCharacter));
/// ```
pub fn check_id(text: &str) -> Result<(), InvalidId> {
    if text.is_empty() {
        return Err(InvalidId::Empty);
    }
    if text.len() > MAX_ID_BYTES {
        return Err(InvalidId::TooLong(text.len()));
    }
    if text.chars().any(char::is_control) {
        return Err(InvalidId::ControlCharacter);
    }
    Ok(())
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        ///
        /// 1 to 255 bytes of UTF-8 without control characters; cheap to clone.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks `text` and takes it as an id.
            ///
            /// # Errors
            ///
            /// [`InvalidId`] when the text is empty, longer than 255 bytes or holds a control character.
            pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidId> {
                let text = text.as_ref();
                check_id(text)?;
                Ok(Self(text.into()))
            }

            /// The text of the id.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:?})"), &*self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;

            fn try_from(text: String) -> Result<Self, InvalidId> {
                check_id(&text)?;
                Ok(Self(text.into()))
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.0.as_ref().into()
            }
        }
    )+};
}

ids! {
    /// The company that pays: the tenant in every key and every query.
    CompanyId,
    /// A user of a company. Users of different companies never meet: a user id means nothing without its company.
    UserId,
    /// The name of a feature, as a grant, a policy or a request gives it; it may be unknown to the catalog.
    FeatureKey,
    /// The name of a plan, as a subscription gives it; it may be unknown to the catalog.
    PlanKey,
    /// The name of an add-on.
    AddOnKey,
    /// A grant.
    GrantId,
    /// An ABAC policy or guardrail.
    PolicyId,
    /// A subscription, as the billing provider names it.
    SubscriptionId,
    /// Names one logical operation, so that a retry has no second effect; unique per company.
    IdempotencyKey,
    /// The receipt of a consumption.
    ReceiptId,
    /// A named holder of one unit of a gauge, for example a seat.
    HolderId,
    /// A company, as the billing provider names it.
    CustomerId,
    /// An invoice, as the billing provider names it.
    InvoiceId,
    /// Something that the billing provider told us, as it names it.
    EventId,
    /// Something that we ask the billing provider for, once.
    OperationId,
    /// Usage that the billing provider is told of, once.
    UsageRecordId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_keeps_its_bytes() {
        for text in ["a", "Acme", "a:b{c}%", "é", "e\u{301}", &"x".repeat(255)] {
            assert_eq!(CompanyId::new(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn a_text_that_breaks_a_rule_is_refused_with_that_rule() {
        assert_eq!(UserId::new(""), Err(InvalidId::Empty));
        assert_eq!(UserId::new("x".repeat(256)), Err(InvalidId::TooLong(256)));
        for text in ["\0", "a\nb", "a\u{7f}", "a\u{85}"] {
            assert_eq!(UserId::new(text), Err(InvalidId::ControlCharacter));
        }
    }

    #[test]
    fn ids_compare_as_bytes() {
        let mut ids: Vec<_> = ["b", "B", "é", "a", "aa"].map(|t| GrantId::new(t).unwrap()).into();
        ids.sort();
        assert_eq!(ids.iter().map(GrantId::as_str).collect::<Vec<_>>(), ["B", "a", "aa", "b", "é"]);
    }

    #[test]
    fn json_is_checked_like_any_other_text() {
        assert!(serde_json::from_str::<CompanyId>("\"acme\"").is_ok());
        assert!(serde_json::from_str::<CompanyId>("\"\"").is_err());
    }
}
