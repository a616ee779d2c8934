//! Redis is killed, stopped and cut off while checks go on: no answer is wrong, and it heals without a restart.

use std::time::Duration;

use entitlements_core::store::SubscriptionStore;
use entitlements_core::{Clock, SystemClock};

use crate::figures::{Times, setting};
use crate::fleet::{Member, Terms, start};
use crate::orders::{Loaded, Order, Reply};
use crate::proxy::Weather;
use crate::redis::Redis;
use crate::world::subscription;

const COMPANIES: u64 = 200;

/// How long a check may wait, and by how much it may be late in the proof.
const DEADLINE: Duration = Duration::from_millis(50);
const MARGIN: Duration = Duration::from_millis(5);

const BEGINS: &str = "begins";

#[derive(Clone, Copy, Debug)]
enum Outage {
    Killed,
    Stopped,
    BlackHole,
    Down,
}

async fn begin(outage: Outage, redis: &mut Redis, member: &Member) {
    match outage {
        Outage::Killed => redis.kill().await,
        Outage::Stopped => redis.signal("STOP").await,
        Outage::BlackHole => member.proxy.set(Weather::BlackHole),
        Outage::Down => member.proxy.set(Weather::Down),
    }
}

async fn end(outage: Outage, redis: &mut Redis, member: &Member) {
    match outage {
        Outage::Killed => redis.restart().await,
        Outage::Stopped => redis.signal("CONT").await,
        Outage::BlackHole | Outage::Down => member.proxy.set(Weather::Fair),
    }
}

/// Load for a while. Its answers must be right.
async fn load(member: &Member, what: &str, time: Duration) -> Loaded {
    let order = Order::Load { companies: COMPANIES, time, tasks: 8, pause: Duration::from_millis(4) };
    let Reply::Loaded(loaded) = member.order(&order).await else { panic!("no load") };
    let micros = loaded.took.iter().map(|took| Duration::from_micros(u64::from(*took)));
    let times = Times::new(micros.collect());
    println!(
        "  {what:<22} {times}; {} from Redis, {} degraded, {} errors, {} wrong",
        loaded.shared, loaded.degraded, loaded.errors, loaded.wrong
    );
    assert_eq!(loaded.wrong, 0, "{what}");
    // Before the first connections are made there is nothing to be fast with.
    if setting("PROCESSES_P99", 0) > 0 && what != BEGINS {
        assert!(times.of_thousand(990) <= DEADLINE + MARGIN, "{what}: {times}");
    }
    loaded
}

/// Load until decisions come from Redis again.
async fn recovers(member: &Member, what: &str) {
    for _ in 0..40 {
        let loaded = load(member, what, Duration::from_millis(500)).await;
        let health = member.order(&Order::Health).await;
        if loaded.shared > 0 && matches!(health, Reply::Health { connected: true, .. }) {
            return;
        }
    }
    panic!("{what}: Redis is not used again");
}

async fn failures(member: &Member) -> u64 {
    let Reply::Health { failures, .. } = member.order(&Order::Health).await else { panic!("no health") };
    failures
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL and Redis: scripts/test.sh starts them"]
async fn no_answer_is_wrong_while_redis_is_killed_or_hangs_and_it_heals_by_itself() {
    let time = Duration::from_millis(setting("PROCESSES_OUTAGE_MS", 1_000));
    let mut redis = Redis::start().await;
    // Most companies are not remembered, so most checks ask Redis.
    let (members, store) = start(1, &redis, Terms { remembered: 20, deadline: DEADLINE }).await;
    let member = members.first().unwrap();
    let now = SystemClock.now();
    for number in 0..COMPANIES {
        let subscription = subscription(&format!("c{number}"), number % 2 == 0, number % 4 == 1, now);
        store.put_subscription(&subscription, now).await.unwrap();
    }
    recovers(member, BEGINS).await;
    load(member, "healthy", time).await;
    for outage in [Outage::Killed, Outage::Stopped, Outage::BlackHole, Outage::Down] {
        let before = failures(member).await;
        begin(outage, &mut redis, member).await;
        load(member, &format!("{outage:?}"), time).await;
        assert!(failures(member).await > before, "{outage:?} was not noticed");
        end(outage, &mut redis, member).await;
        recovers(member, &format!("after {outage:?}")).await;
    }
    load(member, "healthy again", time).await;
}
