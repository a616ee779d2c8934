//! From the bytes to the ledger of events, and from there to their effects.

use chrono::TimeDelta;
use entitlements_core::billing::{BillingError, BillingErrorKind, Claim, EventOutcome, EventState, Received};
use entitlements_core::id::EventId;

use super::{Envelope, Handled, WebhookError, Webhooks};
use crate::signature::SignatureError;

/// How long one attempt may take before somebody else may begin another.
const LEASE: TimeDelta = TimeDelta::seconds(120);

/// The longest time between two attempts.
const LONGEST_WAIT: TimeDelta = TimeDelta::hours(1);

impl Webhooks {
    /// Takes a webhook: the body as it came over the wire, and the value of its `Stripe-Signature` header.
    ///
    /// It is worked on to the end also when the caller goes away.
    ///
    /// # Errors
    ///
    /// Says why it was not taken, and with which status to answer.
    pub async fn receive(&self, body: &[u8], signature: Option<&str>) -> Result<Handled, WebhookError> {
        let shared = self.billing.shared();
        let now = shared.clock.now();
        let signature = signature.ok_or(SignatureError::NoSignature)?;
        let envelope = Envelope::verified(body, signature, &self.secrets, now, self.tolerance)?;
        let new = envelope.to_new_event()?;
        let id = new.id.clone();
        let this = self.clone();
        let work = async move {
            let store = &this.billing.shared().store;
            match store.receive_event(&new, now).await.map_err(|error| WebhookError::Failed(error.into()))? {
                Received::Before(state) if state.is_final() => Ok(Handled::Duplicate(state)),
                Received::Now | Received::Before(_) => this.work_on(&id).await,
            }
        };
        tokio::spawn(work).await.unwrap_or_else(|error| Err(WebhookError::Failed(broken(error))))
    }

    /// Works on events that failed, were given up or never begun, up to `limit` of them; answers with how many there were.
    ///
    /// For a task that calls it every few seconds. Stripe's own repetitions come after minutes and hours.
    ///
    /// # Errors
    ///
    /// When the store cannot say which events are due. What fails with one event is in the ledger.
    pub async fn retry_due(&self, limit: usize) -> Result<usize, BillingError> {
        let shared = self.billing.shared();
        let now = shared.clock.now();
        // Who has just received one is working on it.
        let due = shared.store.due_events(now - TimeDelta::seconds(10), now, limit).await?;
        for id in &due {
            // Why it failed is stored with the event.
            let _ = self.work_on(id).await;
        }
        Ok(due.len())
    }

    /// Works on an event of the ledger once more, whatever its state. If nothing has changed at Stripe, nothing changes.
    ///
    /// # Errors
    ///
    /// [`NotFound`](BillingErrorKind::NotFound) when the ledger has no such event, or why working on it failed.
    pub async fn replay(&self, id: &EventId) -> Result<Handled, BillingError> {
        let shared = self.billing.shared();
        let known = shared.store.event(id).await?;
        let known = known.ok_or_else(|| BillingError::new(BillingErrorKind::NotFound, "no such event"))?;
        if !known.state.is_final() {
            return self.work_on(id).await.map_err(|error| match error {
                WebhookError::Failed(error) => error,
                busy => BillingError::new(BillingErrorKind::Unavailable, busy.to_string()),
            });
        }
        Ok(match self.effects(&known.event).await? {
            EventOutcome::Ignored(why) => Handled::Ignored(why),
            EventOutcome::Processed | EventOutcome::Failed { .. } => Handled::Processed,
        })
    }

    /// One attempt to work on an event that is stored.
    async fn work_on(&self, id: &EventId) -> Result<Handled, WebhookError> {
        let failed = |error: entitlements_core::store::StoreError| WebhookError::Failed(error.into());
        let shared = self.billing.shared();
        let now = shared.clock.now();
        let event = match shared.store.claim_event(id, now + LEASE, now).await.map_err(failed)? {
            Claim::Taken(event) => event,
            Claim::Finished(state) => return Ok(Handled::Duplicate(state)),
            Claim::Busy => return Err(WebhookError::Busy),
            Claim::Unknown => return Err(WebhookError::NoEvent("the ledger does not have it".into())),
        };
        let effects = self.effects(&event.event).await;
        let outcome = match &effects {
            Ok(outcome) => outcome.clone(),
            Err(error) => {
                let seconds = 2_i64.saturating_pow(event.attempts.min(16));
                let wait = TimeDelta::seconds(seconds).min(LONGEST_WAIT);
                EventOutcome::Failed { error: told(error), retry_at: shared.clock.now() + wait }
            }
        };
        let at = shared.clock.now();
        let counted = shared.store.finish_event(id, event.attempts, &outcome, at).await.map_err(failed)?;
        match (effects, outcome) {
            (Err(error), _) => Err(WebhookError::Failed(error)),
            // Somebody began after our lease ended, and ends it: what we did, they do again.
            _ if !counted => Ok(Handled::Duplicate(EventState::Processing)),
            (_, EventOutcome::Ignored(why)) => Ok(Handled::Ignored(why)),
            _ => Ok(Handled::Processed),
        }
    }
}

/// An error with its causes, for the ledger: operators read it, and it holds no secret.
fn told(error: &BillingError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

fn broken(error: tokio::task::JoinError) -> BillingError {
    BillingError::new(BillingErrorKind::Internal, "an internal failure").with_source(error)
}
