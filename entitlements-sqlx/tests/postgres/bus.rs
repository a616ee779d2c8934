//! The bus on LISTEN and NOTIFY.

use std::time::{Duration, Instant};

use entitlements_core::bus::{Bus, Change, HEARTBEAT, Message, Subscription};
use entitlements_core::facts::Revision;
use entitlements_core::testkit::bus::BusHarness;
use entitlements_sqlx::{PostgresBus, PostgresStore};

use crate::proxy::{Proxy, Weather};
use crate::server::{in_schema, new_schema};

struct InSchema;

impl BusHarness for InSchema {
    type Bus = PostgresBus;

    async fn start() -> [PostgresBus; 2] {
        let schema = new_schema();
        [PostgresBus::new(&in_schema(&schema).await), PostgresBus::new(&in_schema(&schema).await)]
    }
}

entitlements_core::bus_suite!(
    #[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
    InSchema
);

/// Hears until a message is as it should be, for fifteen seconds at most.
async fn hear(subscription: &mut Box<dyn Subscription>, wanted: &Message) {
    let hearing = async { while subscription.next().await.unwrap() != *wanted {} };
    tokio::time::timeout(Duration::from_secs(15), hearing).await.unwrap();
}

fn change(number: u64) -> Change {
    Change::Policies { revision: Revision(number) }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn a_quiet_bus_is_heard_every_second() {
    let [bus, _] = InSchema::start().await;
    let mut subscription = bus.subscribe().await;
    for _ in 0..3 {
        let begun = Instant::now();
        assert_eq!(subscription.next().await, Some(Message::Heartbeat));
        assert!(begun.elapsed() < HEARTBEAT, "{:?}", begun.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn a_subscription_comes_back_and_tells_that_it_was_away() {
    for weather in [Weather::Down, Weather::Hung] {
        let schema = new_schema();
        let near = PostgresBus::new(&in_schema(&schema).await);
        let proxy = Proxy::start().await;
        let far = PostgresBus::new(&PostgresStore::connect(&proxy.config(&schema)).await.unwrap());
        let mut subscription = far.subscribe().await;
        near.announce(&change(1)).await;
        hear(&mut subscription, &Message::Changed(change(1))).await;
        proxy.set(weather);
        while far.lost_connections() == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        near.announce(&change(2)).await;
        proxy.set(Weather::Fair);
        hear(&mut subscription, &Message::Lost).await;
        near.announce(&change(3)).await;
        hear(&mut subscription, &Message::Changed(change(3))).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn announcing_to_a_server_that_hangs_is_given_up() {
    let proxy = Proxy::start().await;
    let bus = PostgresBus::new(&PostgresStore::connect(&proxy.config(&new_schema())).await.unwrap());
    bus.announce(&change(1)).await;
    proxy.set(Weather::Hung);
    let begun = Instant::now();
    bus.announce(&change(2)).await;
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn schemas_of_one_database_do_not_hear_each_other() {
    let ([here, _], [there, _]) = (InSchema::start().await, InSchema::start().await);
    let mut subscription = here.subscribe().await;
    there.announce(&change(1)).await;
    here.announce(&change(2)).await;
    let heard = loop {
        match subscription.next().await.unwrap() {
            Message::Changed(change) => break change,
            Message::Heartbeat | Message::Lost => {}
        }
    };
    assert_eq!(heard, change(2));
}
