//! The bus: one process tells the others what has changed, so that they do not have to wait until what they know is old.

mod memory;

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

pub use memory::MemoryBus;

use crate::decision_cache::Scope;
use crate::facts::Revision;
use crate::id::CompanyId;

/// What has changed.
///
/// It survives JSON, the same on every bus.
///
/// ```
/// use entitlements_core::bus::Change;
/// use entitlements_core::facts::Revision;
///
/// let change = Change::Policies { revision: Revision(43) };
/// assert_eq!(change.to_text(), r#"{"policies":{"revision":43}}"#);
/// assert_eq!(Change::from_text(&change.to_text()), Some(change));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub enum Change {
    /// Facts of a company.
    Company {
        /// The company.
        company: CompanyId,
        /// The revision that shows the change; `None` if the change took none, as usage, or it is not known.
        revision: Option<Revision>,
    },
    /// Policies.
    Policies {
        /// The revision that shows the change.
        revision: Revision,
    },
    /// Anything.
    Everything,
}

impl Change {
    /// What a process has to forget when decisions are forgotten.
    #[must_use]
    pub fn of(scope: &Scope) -> Self {
        match scope {
            Scope::Company(company) | Scope::User(company, _) | Scope::Feature(Some(company), _) => {
                Self::Company { company: company.clone(), revision: None }
            }
            Scope::Feature(None, _) | Scope::Everything => Self::Everything,
        }
    }

    /// The text that goes over the wire.
    #[must_use]
    pub fn to_text(&self) -> String {
        // Texts and numbers always have a JSON form.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads the text; `None` for anything else.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }
}

/// What a subscriber hears.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Something has changed.
    Changed(Change),
    /// Nothing: the bus is alive.
    Heartbeat,
    /// Messages may have been lost. Whatever is in memory may be old.
    Lost,
}

/// Tells other processes what has changed.
///
/// # Contract
///
/// * A bus is lossy: an announcement may be lost, late, repeated or out of order. Nothing may depend on it but how soon a
///   change is seen.
/// * `announce` never fails and never waits for a subscriber. It bounds the time it takes.
/// * A subscription hears what is announced after `subscribe` returned, by its own process too. It hears a
///   [`Heartbeat`](Message::Heartbeat) at least every [`HEARTBEAT`] while messages can reach it.
/// * A subscription reconnects by itself. When messages may have been lost, [`Lost`](Message::Lost) is heard before the
///   next other message.
#[async_trait]
pub trait Bus: Debug + Send + Sync + 'static {
    /// Tells everybody.
    async fn announce(&self, change: &Change);

    /// Begins to listen.
    async fn subscribe(&self) -> Box<dyn Subscription>;
}

/// How often a living bus is heard at least.
pub const HEARTBEAT: std::time::Duration = std::time::Duration::from_secs(1);

/// Hears what is announced.
#[async_trait]
pub trait Subscription: Debug + Send {
    /// The next message; `None` when the bus is gone for good. A call that is given up loses no message.
    async fn next(&mut self) -> Option<Message>;
}

#[async_trait]
impl<B: Bus + ?Sized> Bus for Arc<B> {
    async fn announce(&self, change: &Change) {
        (**self).announce(change).await;
    }

    async fn subscribe(&self) -> Box<dyn Subscription> {
        (**self).subscribe().await
    }
}
