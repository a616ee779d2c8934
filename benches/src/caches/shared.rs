//! A `check` that the shared cache answers, beside a raw GET of the same keys.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use entitlements_core::decision_cache::DecisionCache as _;
use entitlements_core::store::{PolicyStore as _, SubscriptionStore as _};
use entitlements_core::{
    Action, CacheConfig, Clock, Entitlements, ManualClock, MemoryStore, Request, Resilience, Subject,
    TokioRuntime,
};
use entitlements_redis::RedisDecisionCache;
use redis::AsyncCommands as _;
use redis::aio::MultiplexedConnection;
use tokio::runtime::Runtime;

use crate::Failure;
use crate::frame::{Claim, Contender, Field, Pace, Section, Table, Target, float};
use crate::servers::{Proxy, cache, clear, raw};
use crate::world::{World, catalog};

const ROUNDS: usize = 41;
const SEED: u64 = 20_261_124;
const POLICIES: usize = 100;
const QUESTIONS: usize = 2_048;
const TTL: Duration = Duration::from_hours(1);
/// The row of the targets.
const PATH: &str = "`check`, Redis hit";
const GET: &str = "raw GET";
const CHECK: &str = "`check`, from the shared cache";

/// The clock of a process that is asked the same question only after the second in which it remembers answers.
#[derive(Clone, Debug)]
struct Stepping(Arc<ManualClock>);

impl Clock for Stepping {
    fn now(&self) -> chrono::DateTime<chrono::Utc> {
        self.0.now()
    }
}

pub(super) fn run(pace: Pace, url: &str, section: &mut Section) -> Result<(), Failure> {
    section.say(format!(
        "A process that knows nothing of {QUESTIONS} questions asks the shared cache, filled by another process, one question \
         after the other over one connection to Redis. Beside it GETs of the same keys over a connection of the same kind. A \
         `check` reads the decision, what it depends on, and the marks that say whether both still count, in one pipeline."
    ));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let world = World::new(POLICIES, SEED)?;
    let prefix = format!("bench-{}:", std::process::id());
    let filled = runtime.block_on(fill(&world, url, &prefix))?;
    let requests: Vec<Request<'_>> = requests(&world).collect();
    let asking = runtime.block_on(filled.process(cache(url, &prefix), true))?;
    let mut hits = 0;
    for request in &requests {
        let answer = runtime.block_on(asking.ask(request))?;
        let expected = runtime.block_on(filled.truth.check(request))?;
        if (answer.reason, &answer.source) != (expected.reason, &expected.source) {
            return Err(format!("the shared cache answers {answer:?}, the store {expected:?}").into());
        }
        hits += 1;
    }
    let found = asking.cache.stats();
    let found = runtime.block_on(found).ok_or("no statistics")?.hits;
    if found < hits {
        return Err(format!("the shared cache answered {found} of {hits} questions").into());
    }
    let mut connection = runtime.block_on(raw(url))?;
    let keys = runtime.block_on(keys(&mut connection, &prefix))?;
    let contenders = vec![
        getting(&runtime, connection, &keys),
        Contender::waiting(CHECK, &runtime, &requests, async |request| asking.ask(request).await.is_ok()),
    ];
    let field = Field::race(pace, ROUNDS, contenders);
    section.show(&Table::of(&field, GET));
    section.claims.push(Claim::ratio(
        PATH,
        "against a raw GET",
        Target::AtMost(1.3),
        field.of(CHECK)?.ratio_to(field.of(GET)?),
        "three commands instead of one are sent and answered, and the decision is read and checked, on one thread",
    ));
    let trips = runtime.block_on(round_trips(&filled, url, &prefix, &requests))?;
    section.claims.push(Claim::count(PATH, "round trips a `check`", Target::AtMost(1.0), "", trips, ""));
    runtime.block_on(async { clear(&mut raw(url).await?, &prefix).await })
}

fn getting<'a>(runtime: &'a Runtime, connection: MultiplexedConnection, keys: &'a [String]) -> Contender<'a> {
    Contender::waiting(GET, runtime, keys, async move |key: &String| {
        let mut connection = connection.clone();
        connection.get::<_, Vec<u8>>(key).await.is_ok_and(|value| !value.is_empty())
    })
}

fn requests(world: &World) -> impl Iterator<Item = Request<'_>> {
    world.questions.iter().take(QUESTIONS).filter_map(|question| world.request(question))
}

/// What is in the store and in the shared cache.
struct Filled {
    store: Arc<MemoryStore>,
    clock: Stepping,
    truth: Entitlements,
}

/// A process that keeps nothing in memory.
struct Process {
    handle: Entitlements,
    cache: Arc<RedisDecisionCache>,
    clock: Stepping,
}

impl Process {
    async fn ask(
        &self,
        request: &Request<'_>,
    ) -> Result<entitlements_core::Decision, entitlements_core::Error> {
        self.clock.0.advance(TimeDelta::milliseconds(1_001));
        self.handle.check(request).await
    }
}

impl Filled {
    async fn process(
        &self,
        cache: impl Future<Output = Result<RedisDecisionCache, Failure>>,
        with_runtime: bool,
    ) -> Result<Process, Failure> {
        let cache = Arc::new(cache.await?);
        let year = Duration::from_hours(365 * 24);
        let mut builder = Entitlements::builder(catalog()?)
            .shared_store(self.store.clone())
            .clock(self.clock.clone())
            .cache(CacheConfig::disabled().with_max_age(year))
            // A machine that is busy with a benchmark is no outage.
            .resilience(Resilience::default().with_deadline(Duration::from_secs(20)))
            .shared_cache(Arc::clone(&cache), TTL);
        if with_runtime {
            builder = builder.runtime(TokioRuntime::current().ok_or("no runtime")?);
        }
        let handle = builder.build();
        // The first question is for the store, which tells the policies.
        let nobody = Subject::company(entitlements_core::id::CompanyId::new("nobody")?);
        handle.check(&Request::new(&nobody, "feature_00", Action::View)).await?;
        Ok(Process { handle, cache, clock: self.clock.clone() })
    }
}

async fn fill(world: &World, url: &str, prefix: &str) -> Result<Filled, Failure> {
    let store = Arc::new(MemoryStore::default());
    for policy in &world.policies {
        store.insert_policy(policy).await?;
    }
    for snapshot in &world.snapshots {
        for subscription in &snapshot.facts().subscriptions {
            store.put_subscription(subscription, world.now).await?;
        }
    }
    let clock = Stepping(Arc::new(ManualClock::at(world.now)));
    let truth = Entitlements::builder(catalog()?)
        .shared_store(store.clone())
        .clock(ManualClock::at(world.now))
        .build();
    let filled = Filled { store, clock, truth };
    // Without a runtime a process waits until what it puts is there.
    let first = filled.process(cache(url, prefix), false).await?;
    for _ in 0..2 {
        for request in requests(world) {
            first.ask(&request).await?;
        }
    }
    Ok(filled)
}

/// The keys of all decisions.
async fn keys(connection: &mut MultiplexedConnection, prefix: &str) -> Result<Vec<String>, Failure> {
    let (mut keys, mut cursor) = (Vec::new(), 0_u64);
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(format!("{prefix}entitlement:*")).arg("COUNT").arg(1_000);
        let (next, mut found): (u64, Vec<String>) = scan.query_async(connection).await?;
        keys.append(&mut found);
        cursor = next;
        if cursor == 0 {
            break;
        }
    }
    // Fences are hashes, and are not what is asked for.
    let mut strings = Vec::new();
    for key in keys {
        let kind: String = redis::cmd("TYPE").arg(&key).query_async(connection).await?;
        strings.extend((kind == "string").then_some(key));
    }
    if strings.is_empty() { Err("there are no decisions in Redis".into()) } else { Ok(strings) }
}

/// Round trips of one `check` that the cache answers, counted on the wire.
async fn round_trips(
    filled: &Filled,
    url: &str,
    prefix: &str,
    requests: &[Request<'_>],
) -> Result<f64, Failure> {
    let proxy = Proxy::before(url).await?;
    let process = filled.process(cache(proxy.url(), prefix), true).await?;
    let (before, some) = (proxy.turns(), requests.get(..500).unwrap_or(requests));
    for request in some {
        process.ask(request).await?;
    }
    Ok(float(proxy.turns() - before) / float(some.len()))
}
