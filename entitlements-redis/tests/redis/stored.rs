//! What may be found on a server, and what may happen to it.

use std::time::{Duration, Instant};

use entitlements_core::Action;
use entitlements_core::decision_cache::{DecisionCache, DecisionKey, Scope};
use entitlements_core::testkit::decision_cache::{decision, key};
use entitlements_redis::{RedisConfig, RedisDecisionCache};

use crate::server::{finds, prefix, put, raw, url};

struct World {
    prefix: String,
    cache: RedisDecisionCache,
    raw: redis::aio::MultiplexedConnection,
}

impl World {
    async fn start() -> Self {
        let prefix = prefix();
        let config = RedisConfig::new(&url())
            .unwrap()
            .with_prefix(&prefix)
            .unwrap()
            .with_read_timeout(Duration::from_secs(2))
            .with_write_timeout(Duration::from_secs(2));
        Self { cache: RedisDecisionCache::connect(config).await.unwrap(), raw: raw().await, prefix }
    }

    /// The key of the decision on `key(company)`.
    fn place(&self, company: &str) -> String {
        format!("{}entitlement:{{{company}}}::export:view:", self.prefix)
    }

    fn fence(&self, company: &str) -> String {
        format!("{}entitlement:{{{company}}}#fence", self.prefix)
    }

    async fn command<T: redis::FromRedisValue>(&mut self, words: &[&str]) -> T {
        let (name, arguments) = words.split_first().unwrap();
        redis::cmd(name).arg(arguments).query_async(&mut self.raw).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server, see scripts/redis.sh"]
async fn decisions_are_where_the_documentation_says_and_have_an_end() {
    let mut world = World::start().await;
    put(&world.cache, &decision(&key("acme"), 1)).await;
    let (place, fence) = (world.place("acme"), world.fence("acme"));
    let left: i64 = world.command(&["PTTL", &place]).await;
    assert!((290_000..=300_000).contains(&left), "{left}");
    let left: i64 = world.command(&["PTTL", &fence]).await;
    assert!(left > 300_000, "{left}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server, see scripts/redis.sh"]
async fn another_keys_value_is_not_found() {
    let mut world = World::start().await;
    let (acme, bolt) = (decision(&key("acme"), 1), decision(&key("bolt"), 1));
    put(&world.cache, &acme).await;
    put(&world.cache, &bolt).await;
    let stolen: String = world.command(&["GET", &world.place("acme")]).await;
    let (place, fences) = (world.place("bolt"), [world.fence("acme"), world.fence("bolt")]);
    let () = world.command(&["SET", &place, &stolen]).await;
    assert!(!finds(&world.cache, &bolt.key).await);
    // Even if the fences were the same.
    let _: bool = world.command(&["COPY", &fences[0], &fences[1], "REPLACE"]).await;
    assert!(!finds(&world.cache, &bolt.key).await);
    assert!(finds(&world.cache, &acme.key).await);
    assert!(world.cache.health().failures.garbage > 0);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server, see scripts/redis.sh"]
async fn what_this_version_does_not_write_is_not_found_and_is_replaced() {
    let mut world = World::start().await;
    let decision = decision(&key("acme"), 1);
    put(&world.cache, &decision).await;
    let place = world.place("acme");
    let right: String = world.command(&["GET", &place]).await;
    for wrong in [
        String::new(),
        "{}".into(),
        "\n".into(),
        "\u{fffd}\n\u{fffd}".into(),
        right.replace("\"form\":1", "\"form\":0"),
        right.replace("\"form\":1", "\"form\":2"),
        right.replace("allowed_by_plan", "allowed_by_wish"),
        right.replace("\"key\"", "\"kez\""),
        right.get(..right.len() - 1).unwrap().into(),
        right.split_once('\n').unwrap().1.into(),
    ] {
        assert_ne!(wrong, right);
        let () = world.command(&["SET", &place, &wrong]).await;
        let found = world.cache.get(&decision.key).await.found;
        // What can be read is refused when it is bound.
        let bound = found
            .and_then(|found| found.decision.bind(&entitlements_core::testkit::decision_cache::catalog()));
        assert_eq!(bound, None, "{wrong}");
        put(&world.cache, &decision).await;
        assert!(finds(&world.cache, &decision.key).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server, see scripts/redis.sh"]
async fn keys_of_another_type_are_a_miss() {
    let mut world = World::start().await;
    let decision = decision(&key("acme"), 1);
    for broken in [world.place("acme"), world.fence("acme"), format!("{}entitlement#fence", world.prefix)] {
        put(&world.cache, &decision).await;
        let _: i64 = world.command(&["DEL", &broken]).await;
        let _: i64 = world.command(&["RPUSH", &broken, "what"]).await;
        for _ in 0..3 {
            put(&world.cache, &decision).await;
            assert!(!finds(&world.cache, &decision.key).await, "{broken}");
        }
        world.cache.invalidate(&Scope::Company(decision.key.company.clone())).await;
        let _: i64 = world.command(&["DEL", &broken]).await;
        put(&world.cache, &decision).await;
        assert!(finds(&world.cache, &decision.key).await, "{broken}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server, see scripts/redis.sh"]
async fn whatever_is_lost_brings_nothing_back() {
    let mut world = World::start().await;
    let decision = decision(&key("acme"), 1);
    let company = decision.key.company.clone();
    let everything = format!("{}entitlement#fence", world.prefix);
    for lost in [vec![world.fence("acme")], vec![everything.clone()], vec![everything, world.fence("acme")]] {
        for scope in [
            Scope::Company(company.clone()),
            Scope::Everything,
            Scope::Feature(None, decision.key.feature.clone()),
        ] {
            put(&world.cache, &decision).await;
            assert!(finds(&world.cache, &decision.key).await);
            world.cache.invalidate(&scope).await;
            assert!(!finds(&world.cache, &decision.key).await);
            for key in &lost {
                let _: i64 = world.command(&["DEL", key]).await;
            }
            for _ in 0..3 {
                assert!(!finds(&world.cache, &decision.key).await, "{scope:?} {lost:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server, see scripts/redis.sh"]
async fn a_hundred_thousand_decisions_of_a_company_go_with_one_command() {
    let mut world = World::start().await;
    let one = decision(&key("acme"), 1);
    put(&world.cache, &one).await;
    let value: String = world.command(&["GET", &world.place("acme")]).await;
    for thousand in 0..100 {
        let mut pipe = redis::pipe();
        for number in 0..1000 {
            let place = format!("{}entitlement:{{acme}}:u{thousand}-{number}:export:view:", world.prefix);
            pipe.cmd("SET").arg(place).arg(&value).arg("PX").arg(300_000).ignore();
        }
        let () = pipe.query_async(&mut world.raw).await.unwrap();
    }
    let before = calls(&mut world).await;
    let begun = Instant::now();
    world.cache.invalidate(&Scope::Company(one.key.company.clone())).await;
    let forgetting = begun.elapsed();
    // The command itself, and those inside of its script.
    let made = calls(&mut world).await - before;
    assert!(made <= 5, "{made} commands");
    assert!(!finds(&world.cache, &one.key).await);

    let begun = Instant::now();
    let mut cursor = "0".to_owned();
    let pattern = format!("{}*", world.prefix);
    loop {
        let (next, keys): (String, Vec<String>) =
            world.command(&["SCAN", &cursor, "MATCH", &pattern, "COUNT", "1000"]).await;
        if !keys.is_empty() {
            let _: i64 = redis::cmd("DEL").arg(keys).query_async(&mut world.raw).await.unwrap();
        }
        cursor = next;
        if cursor == "0" {
            break;
        }
    }
    println!("100,000 decisions forgotten in {forgetting:?}; SCAN and DEL took {:?}", begun.elapsed());
}

/// How many commands the server has executed that change something.
async fn calls(world: &mut World) -> i64 {
    let stats: String = world.command(&["INFO", "commandstats"]).await;
    let of = |name: &str| -> i64 {
        let line = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{name}:calls=")));
        line.and_then(|rest| rest.split_once(',')?.0.parse().ok()).unwrap_or_default()
    };
    ["scan", "unlink", "eval"].into_iter().map(of).sum::<i64>()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a server, see scripts/redis.sh"]
async fn many_forgotten_users_do_not_make_a_fence_large() {
    let mut world = World::start().await;
    for number in 0..3000 {
        let user = entitlements_core::id::UserId::new(format!("u{number}")).unwrap();
        let key = DecisionKey { user: Some(user.clone()), action: Action::View, ..key("acme") };
        world.cache.invalidate(&Scope::User(key.company.clone(), user)).await;
    }
    let fence = world.fence("acme");
    let fields: i64 = world.command(&["HLEN", &fence]).await;
    assert!(fields <= 1001, "{fields}");
}
