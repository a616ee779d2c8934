//! What every bus must do.

use super::fixtures;
use super::hostile::hostile_ids;
use crate::bus::{Bus, Change, Message, Subscription};
use crate::facts::Revision;

/// How to start a bus for a test.
///
/// # Contract
///
/// `start` returns two ends of one bus that nobody else uses, as two processes have them.
#[expect(
    async_fn_in_trait,
    reason = "a test awaits it where it calls it; nothing asks whether the future is Send"
)]
pub trait BusHarness {
    /// The bus.
    type Bus: Bus;

    /// Starts a bus.
    async fn start() -> [Self::Bus; 2];
}

/// What is heard next that is a change. Fails if only heartbeats are heard, which come once a second.
async fn next(subscription: &mut Box<dyn Subscription>) -> Change {
    for _ in 0..20 {
        match subscription.next().await.expect("a living bus") {
            Message::Changed(change) => return change,
            Message::Heartbeat | Message::Lost => {}
        }
    }
    panic!("a change that was announced is not heard");
}

fn changes() -> Vec<Change> {
    let mut changes = vec![
        Change::Everything,
        Change::Policies { revision: Revision(u64::MAX) },
        Change::Company { company: fixtures::company("acme"), revision: None },
    ];
    let named =
        |name: String| Change::Company { company: fixtures::company(&name), revision: Some(Revision(7)) };
    changes.extend(hostile_ids().into_iter().map(named));
    changes
}

/// Everybody hears what is announced.
pub async fn everybody_hears_what_is_announced(buses: &[impl Bus; 2]) {
    let [one, two] = buses;
    let mut subscriptions = [one.subscribe().await, two.subscribe().await, two.subscribe().await];
    for change in changes() {
        one.announce(&change).await;
        for subscription in &mut subscriptions {
            assert_eq!(next(subscription).await, change);
        }
    }
}

/// Announcing to nobody is no failure.
pub async fn announcing_to_nobody_is_no_failure(buses: &[impl Bus; 2]) {
    let [one, two] = buses;
    one.announce(&Change::Everything).await;
    drop(two.subscribe().await);
    one.announce(&Change::Everything).await;
}

/// Nothing is heard twice.
pub async fn nothing_is_heard_twice(buses: &[impl Bus; 2]) {
    let [one, two] = buses;
    let mut subscription = two.subscribe().await;
    for revision in 0..100 {
        one.announce(&Change::Policies { revision: Revision(revision) }).await;
    }
    let mut heard = Vec::new();
    for _ in 0..100 {
        heard.push(next(&mut subscription).await);
    }
    heard.dedup();
    assert_eq!(heard.len(), 100);
}

/// Turns every case into a test of its own, for a bus that a [`BusHarness`](crate::testkit::bus::BusHarness) starts.
///
/// Attributes before the harness go to every test.
#[macro_export]
macro_rules! bus_suite {
    ($(#[$attribute:meta])* $harness:ty) => {
        $crate::bus_cases! { [$(#[$attribute])*] $harness:
            everybody_hears_what_is_announced
            announcing_to_nobody_is_no_failure
            nothing_is_heard_twice
        }
    };
}

/// The tests.
#[doc(hidden)]
#[macro_export]
macro_rules! bus_cases {
    ($attributes:tt $harness:ty: $($case:ident)+) => {
        $($crate::bus_case! { $attributes $harness, $case })+
    };
}

/// One test.
#[doc(hidden)]
#[macro_export]
macro_rules! bus_case {
    ([$(#[$attribute:meta])*] $harness:ty, $case:ident) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        $(#[$attribute])*
        async fn $case() {
            let buses = <$harness as $crate::testkit::bus::BusHarness>::start().await;
            $crate::testkit::bus::$case(&buses).await;
        }
    };
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_case_is_listed() {
        let source = include_str!("bus.rs");
        super::super::suite::assert_listed(source, "*] $harness:\n", source);
    }
}
