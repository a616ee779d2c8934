//! The handle, warm: `check_warm` against `evaluate`, allocations, and two threads against one.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use allocation_counter::measure;
use entitlements_core::store::{PolicyStore, SubscriptionStore};
use entitlements_core::{CacheConfig, Entitlements, ManualClock, MemoryStore, evaluate};

use crate::Failure;
use crate::timing::in_turn;
use crate::world::{World, catalog};

const ROUNDS: usize = 41;
const SEED: u64 = 20_261_124;
const POLICIES: usize = 1_000;
/// How often each thread asks all questions, for the throughput.
const LAPS: usize = 200;

/// Prints the figures.
pub(crate) fn run() -> Result<(), Failure> {
    let world = World::new(POLICIES, SEED)?;
    let handle = handle(&world)?;
    let prepared: Vec<_> = world
        .questions
        .iter()
        .filter_map(|question| Some((world.request(question)?, world.snapshots.get(question.company)?)))
        .collect();
    let mut allocations = 0;
    for (request, snapshot) in &prepared {
        let mut warm = None;
        let counted = measure(|| warm = handle.check_warm(request));
        let expected = evaluate(request, snapshot, &world.catalog, world.now);
        let Some(warm) = warm else { return Err("a company is not in memory".into()) };
        if (warm.reason, &warm.source) != (expected.reason, &expected.source) {
            return Err(format!("the sides disagree: {warm:?}, {expected:?}").into());
        }
        if warm.is_allowed() {
            allocations += counted.count_total;
        }
    }
    let (checked, evaluated) = in_turn(
        ROUNDS,
        &prepared,
        |(request, _)| handle.check_warm(request),
        |(request, snapshot)| evaluate(request, snapshot, &world.catalog, world.now),
    );
    let (check, decision) = (checked.median(), evaluated.median());
    crate::say(&format!("handle, warm: {POLICIES} policies, {ROUNDS} rounds in turn, seed {SEED}, medians"));
    crate::say("| evaluate ns | check_warm ns | ratio | allocations on allow |");
    crate::say("|---|---|---|---|");
    crate::say(&format!("| {decision:.1} | {check:.1} | {:.2} | {allocations} |", check / decision));
    let mut best = (0.0_f64, 0.0_f64);
    for _ in 0..5 {
        best = (best.0.max(throughput(&handle, &world, 1)), best.1.max(throughput(&handle, &world, 2)));
    }
    crate::say("| threads | checks per second | against one |");
    crate::say("|---|---|---|");
    crate::say(&format!("| 1 | {:.0} | 1.00 |", best.0));
    crate::say(&format!("| 2 | {:.0} | {:.2} |", best.1, best.1 / best.0));
    Ok(())
}

/// A handle that has every company in memory.
fn handle(world: &World) -> Result<Entitlements, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let store = Arc::new(MemoryStore::default());
    runtime.block_on(async {
        for policy in &world.policies {
            store.insert_policy(policy).await?;
        }
        for snapshot in &world.snapshots {
            for subscription in &snapshot.facts().subscriptions {
                store.put_subscription(subscription, world.now).await?;
            }
        }
        let handle = Entitlements::builder(catalog()?)
            .store(store)
            .clock(ManualClock::at(world.now))
            .cache(CacheConfig::default())
            .build();
        for question in &world.questions {
            if let Some(request) = world.request(question) {
                handle.check(&request).await?;
            }
        }
        Ok(handle)
    })
}

/// Checks per second of `threads` threads together.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52 checks")]
fn throughput(handle: &Entitlements, world: &World, threads: usize) -> f64 {
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let offset = thread * world.questions.len() / threads;
            scope.spawn(move || {
                for _ in 0..LAPS {
                    let (before, after) = world.questions.split_at(offset);
                    for question in after.iter().chain(before) {
                        if let Some(request) = world.request(question) {
                            black_box(&handle.check_warm(&request));
                        }
                    }
                }
            });
        }
    });
    (threads * LAPS * world.questions.len()) as f64 / begun.elapsed().as_secs_f64()
}
