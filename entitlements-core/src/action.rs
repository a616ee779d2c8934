//! Actions: what a subject wants to do with a feature.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a subject wants to do with a feature.
///
/// ```
/// use entitlements_core::Action;
///
/// assert_eq!("export".parse(), Ok(Action::Export));
/// assert_eq!(Action::View.as_str(), "view");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Look at it; `GET` and `HEAD` over HTTP.
    View,
    /// Make a new one, and the action of every consumption; `POST` over HTTP.
    Create,
    /// Change one; `PUT` and `PATCH` over HTTP.
    Update,
    /// Remove one; `DELETE` over HTTP.
    Delete,
    /// Take it out, for example as a file.
    Export,
    /// Ask questions of it.
    Query,
    /// Change how it works.
    Configure,
}

/// A word that names no action.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown action `{0}`, expected one of view, create, update, delete, export, query, configure")]
pub struct UnknownAction(String);

impl Action {
    /// Every action, in a fixed order.
    pub const ALL: [Self; 7] =
        [Self::View, Self::Create, Self::Update, Self::Delete, Self::Export, Self::Query, Self::Configure];

    /// The action's word in requests, catalogs and tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::View => "view",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Export => "export",
            Self::Query => "query",
            Self::Configure => "configure",
        }
    }

    /// The action's place in [`Action::ALL`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Action {
    type Err = UnknownAction;

    fn from_str(word: &str) -> Result<Self, UnknownAction> {
        Self::ALL.into_iter().find(|a| a.as_str() == word).ok_or_else(|| UnknownAction(word.into()))
    }
}

/// A set of actions; never empty where a grant or a plan names one.
///
/// ```
/// use entitlements_core::{Action, ActionSet};
///
/// let set = ActionSet::from_iter([Action::View, Action::Create]);
/// assert!(set.contains(Action::View));
/// assert!(!set.contains(Action::Export));
/// assert!(ActionSet::ALL.contains(Action::Configure));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ActionSet(u8);

impl ActionSet {
    /// Every action.
    pub const ALL: Self = Self(0b111_1111);
    /// No action.
    pub const NONE: Self = Self(0);

    /// Whether `action` is in the set.
    #[must_use]
    pub const fn contains(self, action: Action) -> bool {
        self.0 & (1 << action.index()) != 0
    }

    /// The set with `action` added.
    #[must_use]
    pub const fn with(self, action: Action) -> Self {
        Self(self.0 | 1 << action.index())
    }

    /// Every action of either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether no action is in the set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The actions of the set, in the order of [`Action::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Action> {
        Action::ALL.into_iter().filter(move |a| self.contains(*a))
    }
}

impl FromIterator<Action> for ActionSet {
    fn from_iter<I: IntoIterator<Item = Action>>(actions: I) -> Self {
        actions.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Debug for ActionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl Serialize for ActionSet {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for ActionSet {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let actions = Vec::<Action>::deserialize(deserializer)?;
        if actions.is_empty() {
            return Err(serde::de::Error::custom("a list of actions must not be empty"));
        }
        Ok(actions.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_survives_its_word() {
        for action in Action::ALL {
            assert_eq!(action.as_str().parse(), Ok(action));
            assert_eq!(serde_json::to_value(action).unwrap(), action.as_str());
        }
    }

    #[test]
    fn an_unknown_word_is_refused() {
        let message = "View".parse::<Action>().unwrap_err().to_string();
        assert!(message.starts_with("unknown action `View`"), "{message}");
    }

    #[test]
    fn an_empty_list_of_actions_is_refused() {
        assert!(serde_json::from_str::<ActionSet>("[]").is_err());
        assert_eq!(
            serde_json::from_str::<ActionSet>(r#"["view"]"#).unwrap(),
            ActionSet::NONE.with(Action::View)
        );
    }
}
