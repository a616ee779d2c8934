//! Fields that hold an id, or the object itself when it was asked for.

use serde::{Deserialize, Serialize};

/// The id of an object, the object, or what is left of it after it was deleted.
///
/// ```
/// use billing_stripe::wire::{Customer, Expandable};
///
/// let by_id: Expandable<Customer> = serde_json::from_str(r#""cus_1""#)?;
/// let whole: Expandable<Customer> = serde_json::from_str(r#"{"id": "cus_1", "created": 0}"#)?;
/// assert_eq!(by_id.id(), whole.id());
/// assert!(by_id.object().is_none());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Expandable<T> {
    /// The id alone.
    Id(String),
    /// An object that was deleted.
    Deleted {
        /// Its id.
        id: String,
        /// Always true.
        deleted: True,
    },
    /// The object.
    Object(Box<T>),
    /// An object in a shape that this crate cannot read, of which the id is kept.
    Unreadable {
        /// Its id.
        id: String,
    },
}

/// The value `true`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "bool", into = "bool")]
pub struct True;

impl TryFrom<bool> for True {
    type Error = &'static str;

    fn try_from(value: bool) -> Result<Self, Self::Error> {
        if value { Ok(Self) } else { Err("must be true") }
    }
}

impl From<True> for bool {
    fn from(True: True) -> Self {
        true
    }
}

/// An object that has an id.
pub trait Identified {
    /// The id.
    fn id(&self) -> &str;
}

impl<T: Identified> Expandable<T> {
    /// The id of the object.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Id(id) | Self::Deleted { id, .. } | Self::Unreadable { id } => id,
            Self::Object(object) => object.id(),
        }
    }

    /// The object, if it was expanded.
    #[must_use]
    pub fn object(&self) -> Option<&T> {
        match self {
            Self::Object(object) => Some(object),
            _ => None,
        }
    }
}

macro_rules! identified {
    ($($type:ty),+ $(,)?) => {$(
        impl $crate::wire::Identified for $type {
            fn id(&self) -> &str {
                &self.id
            }
        }
    )+};
}

pub(crate) use identified;
