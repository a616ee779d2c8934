//! Forgetting all decisions of a company in the shared cache, beside looking for its keys and deleting them.

use std::time::{Duration, Instant};

use entitlements_core::decision_cache::{CachedDecision, DecisionCache as _, DecisionKey, FactsMark, Scope};
use entitlements_core::facts::Revision;
use entitlements_core::id::CompanyId;
use entitlements_core::{Action, Request, Subject, evaluate};
use entitlements_redis::RedisDecisionCache;
use redis::aio::MultiplexedConnection;

use crate::Failure;
use crate::frame::{Claim, Pace, Section, Spread, Table, Target, duration, float, number};
use crate::servers::{NO_REDIS, Proxy, cache, clear, raw, redis_url};
use crate::world::World;

/// Decisions of one company.
const DECISIONS: usize = 100_000;
/// How many of them are looked at, before and after.
const SAMPLE: usize = 500;
const TTL: Duration = Duration::from_mins(10);

pub(crate) fn run(pace: Pace) -> Result<Section, Failure> {
    let mut section = Section::new("Invalidation");
    let Some(url) = redis_url() else {
        section.say(NO_REDIS);
        return Ok(section);
    };
    section.say(format!(
        "{} decisions of one company are in Redis. Ours changes the mark of the company, so that none of them counts any more; \
         they go when their time is over. The usual way looks for the keys with SCAN and deletes them.",
        number(float(DECISIONS))
    ));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(measure(pace, &url, &mut section))?;
    Ok(section)
}

async fn measure(pace: Pace, url: &str, section: &mut Section) -> Result<(), Failure> {
    let prefix = format!("bench-{}-many:", std::process::id());
    let proxy = Proxy::before(url).await?;
    let (cache, mut connection) = (cache(proxy.url(), &prefix).await?, raw(url).await?);
    let company = Scope::Company(CompanyId::new("company-0")?);
    let keys = fill(&cache, url, &prefix, &mut connection).await?;
    if living(&cache, &keys).await != SAMPLE {
        return Err("decisions that were put are not found".into());
    }
    let before = proxy.turns();
    cache.invalidate(&company).await;
    let commands = proxy.turns() - before;
    if living(&cache, &keys).await != 0 {
        return Err("decisions are found after the company was invalidated".into());
    }
    let mut ours = Vec::new();
    for _ in 0..pace.of(201) {
        let begun = Instant::now();
        cache.invalidate(&company).await;
        ours.push(nanos(begun));
    }
    let mut scanned = Vec::new();
    let mut sent = 0;
    for _ in 0..pace.of(4) {
        copy(&mut connection, &keys).await?;
        let begun = Instant::now();
        let (commands, deleted) = scan_and_delete(&mut connection).await?;
        scanned.push(nanos(begun));
        sent = commands;
        if deleted < keys.len() {
            return Err(format!("SCAN and DEL found {deleted} of {} keys", keys.len()).into());
        }
    }
    let (one, other) = (Spread::of(&ours), Spread::of(&scanned));
    let mut table = Table::new(&["way", "takes", "quartiles", "commands"]);
    let spread = |spread: Spread| format!("{}–{}", duration(spread.low), duration(spread.high));
    table.row(["entitlements-redis".to_owned(), duration(one.median), spread(one), commands.to_string()]);
    table.row(["SCAN and DEL".to_owned(), duration(other.median), spread(other), sent.to_string()]);
    section.show(&table);
    section.claims.push(Claim::count(
        "invalidation",
        "commands for 100,000 decisions of a company",
        Target::AtMost(1.0),
        "",
        float(commands),
        "",
    ));
    clear(&mut connection, &prefix).await
}

/// Puts decisions about as many resources, and answers with their keys as asked.
async fn fill(
    cache: &RedisDecisionCache,
    url: &str,
    prefix: &str,
    connection: &mut MultiplexedConnection,
) -> Result<Vec<DecisionKey>, Failure> {
    let world = World::new(0, 1)?;
    let (subject, snapshot) = world.subjects.first().zip(world.snapshots.first()).ok_or("no company")?;
    let mark = FactsMark { revision: Revision(1), policies: Revision(1), asked_at: world.now };
    let decision = |resource: &str| {
        let request = request(subject, resource);
        let decision = evaluate(&request, snapshot, &world.catalog, world.now);
        let key = DecisionKey::of(&request, &[])?;
        CachedDecision::of(key, mark, &decision, &world.catalog)
    };
    let first = decision("report:0").ok_or("the decision is not kept")?;
    // The first question finds no mark of all companies, and makes it.
    cache.get(&first.key).await;
    let fence = cache.get(&first.key).await.fence;
    cache.put(&first, &fence, TTL).await;
    let fence = cache.get(&first.key).await.fence;
    let mut keys = vec![first.key];
    // Putting goes past the proxy, many at a time.
    let direct = std::sync::Arc::new(crate::servers::cache(url, prefix).await?);
    let mut tasks = tokio::task::JoinSet::new();
    for number in 1..DECISIONS {
        let decision = decision(&format!("report:{number}")).ok_or("the decision is not kept")?;
        keys.push(decision.key.clone());
        let (direct, fence) = (std::sync::Arc::clone(&direct), fence.clone());
        tasks.spawn(async move { direct.put(&decision, &fence, TTL).await });
        if tasks.len() >= 256 {
            tasks.join_next().await;
        }
    }
    while tasks.join_next().await.is_some() {}
    let keys_there: usize = redis::cmd("DBSIZE").query_async(connection).await?;
    if keys_there < DECISIONS {
        Err(format!("there are {keys_there} keys in Redis").into())
    } else {
        Ok(keys)
    }
}

fn request<'a>(subject: &'a Subject, resource: &'a str) -> Request<'a> {
    Request::new(subject, "feature_00", Action::View).with_resource(resource)
}

/// How many of a sample the cache finds.
async fn living(cache: &RedisDecisionCache, keys: &[DecisionKey]) -> usize {
    let mut found = 0;
    for key in keys.iter().step_by(keys.len() / SAMPLE) {
        found += usize::from(cache.get(key).await.found.is_some());
    }
    found
}

/// The same keys under another prefix, for the usual way.
async fn copy(connection: &mut MultiplexedConnection, keys: &[DecisionKey]) -> Result<(), Failure> {
    for some in keys.chunks(5_000) {
        let mut pipeline = redis::pipe();
        for key in some {
            let resource = key.resource.as_deref().unwrap_or_default();
            pipeline
                .set(format!("usual:company-0:user-1:feature_00:view:{resource}"), "x".repeat(300))
                .ignore();
        }
        pipeline.query_async::<()>(connection).await?;
    }
    Ok(())
}

/// Commands sent, and keys deleted.
async fn scan_and_delete(connection: &mut MultiplexedConnection) -> Result<(usize, usize), Failure> {
    let (mut commands, mut deleted, mut cursor) = (0, 0, 0_u64);
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg("usual:company-0:*").arg("COUNT").arg(1_000);
        let (next, keys): (u64, Vec<String>) = scan.query_async(connection).await?;
        commands += 1;
        if !keys.is_empty() {
            deleted += redis::cmd("DEL").arg(&keys).query_async::<usize>(connection).await?;
            commands += 1;
        }
        cursor = next;
        if cursor == 0 {
            return Ok((commands, deleted));
        }
    }
}

fn nanos(begun: Instant) -> f64 {
    float(begun.elapsed().as_nanos())
}
