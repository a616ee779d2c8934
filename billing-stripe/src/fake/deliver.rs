//! Sends webhooks, in order unless something else was asked for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use entitlements_core::{Clock, SystemClock};

use super::outbox::Delivery;
use super::shared::Shared;
use crate::signature::{SIGNATURE_HEADER, SigningSecret, sign};

/// After how long a webhook that was not taken is sent again.
const WAITS: [Duration; 6] = [
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_mins(2),
    Duration::from_mins(10),
];

/// What goes wrong on the way, on demand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WebhookFaults {
    /// How many further copies of each are sent.
    pub duplicates: u32,
    /// Every how manieth is lost for good; 0 for none.
    pub lose_every: u32,
    /// Whether what waits is sent newest first.
    pub reverse: bool,
    /// How long each is held up.
    pub delay: Duration,
}

/// Sends what waits, until the fake is stopped.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut sent: u32 = 0;
    loop {
        let woken = shared.wake.notified();
        let Some(delivery) = take(&shared) else {
            shared.idle.notify_waiters();
            // Also looks for what is to be sent again.
            let _ = tokio::time::timeout(Duration::from_millis(100), woken).await;
            // Where the clock runs by itself, time brings renewals without any request.
            drop(shared.up_to_date());
            continue;
        };
        let faults = shared.faults();
        if faults.delay > Duration::ZERO {
            tokio::time::sleep(faults.delay).await;
        }
        sent = sent.wrapping_add(1);
        let lost = faults.lose_every > 0 && sent.is_multiple_of(faults.lose_every);
        let mut taken = true;
        for _ in 0..=faults.duplicates {
            taken = lost || send(&shared, &delivery.event, &delivery.endpoint).await.is_some_and(is_success);
        }
        finish(&shared, delivery, taken);
    }
}

fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}

fn take(shared: &Shared) -> Option<Delivery> {
    let faults = shared.faults();
    let mut it = shared.lock();
    if it.held {
        return None;
    }
    let now = Instant::now();
    let due = |delivery: &Delivery| delivery.not_before.is_none_or(|at| at <= now);
    let outbox = &mut it.state.outbox;
    let place = if faults.reverse { outbox.iter().rposition(due) } else { outbox.iter().position(due) };
    let delivery = outbox.remove(place?);
    it.in_flight += 1;
    Some(delivery)
}

fn finish(shared: &Shared, mut delivery: Delivery, taken: bool) {
    let mut it = shared.lock();
    it.in_flight -= 1;
    let wait = usize::try_from(delivery.attempts).ok().and_then(|attempt| WAITS.get(attempt));
    if let (false, Some(wait)) = (taken, wait) {
        delivery.attempts += 1;
        delivery.not_before = Instant::now().checked_add(*wait);
        it.state.outbox.push(delivery);
    }
}

/// Sends the event to the endpoint, signed at the machine's own time. The status of the answer, if there was one.
pub(super) async fn send(shared: &Shared, event: &str, endpoint: &str) -> Option<u16> {
    let (body, url, secret) = {
        let it = shared.lock();
        let body = it.state.events.get(event)?.body.to_string();
        let endpoint = it.state.endpoints.get(endpoint)?;
        (body, endpoint.url.clone(), SigningSecret::new(endpoint.secret.clone()).ok()?)
    };
    let signature = sign(body.as_bytes(), &secret, SystemClock.now());
    let request = shared
        .http
        .post(url)
        .header(SIGNATURE_HEADER, signature)
        .header(http::header::CONTENT_TYPE, "application/json; charset=utf-8")
        .header(http::header::USER_AGENT, "Stripe/1.0 (fake)");
    let response = request.body(body).send().await.ok()?;
    Some(response.status().as_u16())
}
