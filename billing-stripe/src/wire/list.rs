//! Pages of objects.

use serde::{Deserialize, Serialize};

/// A page of objects.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct List<T> {
    /// The objects of this page, newest first where Stripe says so.
    pub data: Vec<T>,
    /// Whether there is a further page after the last object.
    #[serde(default)]
    pub has_more: bool,
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self { data: Vec::new(), has_more: false }
    }
}
