use std::pin::pin;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use entitlements_core::bus::{Bus, Change, HEARTBEAT, Message, Subscription};
use entitlements_core::facts::Revision;
use entitlements_redis::RedisBus;

use crate::server::{Proxy, Weather, config, config_at, until, url};

async fn bus(url: &str) -> RedisBus {
    let config = config_at(url)
        .with_prefix("bus:")
        .unwrap()
        .with_connect_timeout(Duration::from_millis(500))
        .with_write_timeout(Duration::from_millis(200));
    RedisBus::connect(config).await.unwrap()
}

/// Hears until a message is as it should be, for ten seconds at most.
async fn hear(subscription: &mut Box<dyn Subscription>, wanted: &Message) {
    let hearing = async { while subscription.next().await.unwrap() != *wanted {} };
    tokio::time::timeout(Duration::from_secs(10), hearing).await.unwrap();
}

/// After so many heartbeats in a row that nobody has heard, a subscription is away.
const HEARTBEATS_UNHEARD: u64 = 4;

fn failures(bus: &RedisBus) -> u64 {
    let failures = bus.health().failures;
    failures.connection + failures.timeouts
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server, see scripts/redis.sh"]
async fn a_quiet_bus_is_heard_every_second() {
    let buses = [RedisBus::connect(config()).await.unwrap(), RedisBus::connect(config()).await.unwrap()];
    for bus in &buses {
        let mut subscription = bus.subscribe().await;
        for _ in 0..3 {
            let begun = Instant::now();
            assert_eq!(subscription.next().await, Some(Message::Heartbeat));
            assert!(begun.elapsed() < HEARTBEAT, "{:?}", begun.elapsed());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server, see scripts/redis.sh"]
async fn a_subscription_comes_back_and_tells_that_it_was_away() {
    for weather in [Weather::Down, Weather::Hung] {
        let proxy = Proxy::start(Weather::Fair).await;
        let (near, far) = (bus(&url()).await, bus(&proxy.url).await);
        let mut subscription = far.subscribe().await;
        let change = |number| Change::Policies { revision: Revision(number) };
        near.announce(&change(1)).await;
        hear(&mut subscription, &Message::Changed(change(1))).await;
        let before = failures(&far);
        proxy.set(weather);
        // Until the subscription has found out: more has failed than its heartbeats can, each of which it tells to a connection
        // of its own that breaks and is not made again. Only a subscription that is away tries on.
        for failed in 1..=2 * HEARTBEATS_UNHEARD + 1 {
            until(|| async { failures(&far) >= before + failed }).await;
        }
        near.announce(&change(2)).await;
        proxy.set(Weather::Fair);
        hear(&mut subscription, &Message::Lost).await;
        near.announce(&change(3)).await;
        hear(&mut subscription, &Message::Changed(change(3))).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server, see scripts/redis.sh"]
async fn a_bus_that_is_not_there_fails_nobody() {
    let proxy = Proxy::start(Weather::Down).await;
    let bus = bus(&proxy.url).await;
    let begun = Instant::now();
    let mut subscription = bus.subscribe().await;
    bus.announce(&Change::Everything).await;
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    proxy.set(Weather::Fair);
    hear(&mut subscription, &Message::Lost).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server, see scripts/redis.sh"]
async fn a_wrong_password_fails_nobody() {
    let real = url();
    let address = real.rsplit_once('@').map_or(real.as_str(), |(_, address)| address);
    let bus = bus(&format!("redis://:wrong-one@{address}")).await;
    let mut subscription = bus.subscribe().await;
    bus.announce(&Change::Everything).await;
    assert!(bus.health().failures.refused > 0, "{:?}", bus.health());
    // It has tried again, and still nothing is heard, and nothing made up.
    let before = bus.health().failures.refused;
    until(|| async { bus.health().failures.refused > before }).await;
    let heard = pin!(subscription.next()).poll(&mut Context::from_waker(Waker::noop()));
    assert!(heard.is_pending(), "{heard:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server, see scripts/redis.sh"]
async fn a_subscriber_that_is_slow_is_told_that_it_has_lost_messages() {
    let bus = RedisBus::connect(config()).await.unwrap();
    let mut subscription = bus.subscribe().await;
    for number in 0..6000 {
        bus.announce(&Change::Policies { revision: Revision(number) }).await;
    }
    hear(&mut subscription, &Message::Lost).await;
}
