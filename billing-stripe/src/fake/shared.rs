//! What the server, the sender and the handle share.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use entitlements_core::Clock;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::RequestFault;
use super::deliver::WebhookFaults;
use super::state::State;

pub(super) struct Shared {
    clock: Arc<dyn Clock>,
    file: Option<PathBuf>,
    inner: Mutex<Inner>,
    /// Something waits to be sent.
    pub(super) wake: Notify,
    /// Nothing waits to be sent.
    pub(super) idle: Notify,
    pub(super) http: reqwest::Client,
}

pub(super) struct Inner {
    pub(super) state: State,
    /// How far the fake is ahead of its clock, in seconds.
    pub(super) ahead: i64,
    /// Whether webhooks wait for being sent by hand.
    pub(super) held: bool,
    pub(super) in_flight: usize,
    pub(super) webhook_faults: WebhookFaults,
    pub(super) request_faults: Vec<RequestFault>,
    pub(super) replies: HashMap<String, Reply>,
}

impl Inner {
    pub(super) fn save(&self) -> String {
        #[derive(Serialize)]
        struct Borrowed<'a> {
            state: &'a State,
            ahead: i64,
            replies: &'a HashMap<String, Reply>,
        }
        let saved = Borrowed { state: &self.state, ahead: self.ahead, replies: &self.replies };
        serde_json::to_string(&saved).unwrap_or_default()
    }
}

/// What is kept of a fake.
#[derive(Debug, Deserialize)]
pub(super) struct Saved {
    pub(super) state: State,
    pub(super) ahead: i64,
    pub(super) replies: HashMap<String, Reply>,
}

/// What was answered to a request with an idempotency key.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Reply {
    pub(super) request: String,
    pub(super) fingerprint: String,
    pub(super) status: u16,
    pub(super) body: String,
}

impl Shared {
    pub(super) fn new(
        clock: Arc<dyn Clock>,
        saved: Saved,
        file: Option<PathBuf>,
        http: reqwest::Client,
    ) -> Self {
        let Saved { state, ahead, replies } = saved;
        let inner = Inner {
            state,
            ahead,
            held: false,
            in_flight: 0,
            webhook_faults: WebhookFaults::default(),
            request_faults: Vec::new(),
            replies,
        };
        Self { clock, file, inner: Mutex::new(inner), wake: Notify::new(), idle: Notify::new(), http }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn faults(&self) -> WebhookFaults {
        self.lock().webhook_faults
    }

    /// The same, after everything that is due by now has happened.
    pub(super) fn up_to_date(&self) -> MutexGuard<'_, Inner> {
        let mut it = self.lock();
        let now = self.clock.now().timestamp().saturating_add(it.ahead);
        let before = it.state.events.len();
        it.state.advance_to(now);
        if it.state.events.len() > before {
            self.keep(&it);
        }
        it
    }

    /// Writes everything to the file, if there is one, so that nothing that was answered is forgotten.
    pub(super) fn keep(&self, it: &Inner) {
        let Some(file) = &self.file else { return };
        let draft = file.with_extension("new");
        // A fake that cannot write goes on: what it knows is for tests.
        let _ = std::fs::write(&draft, it.save()).and_then(|()| std::fs::rename(&draft, file));
    }
}
