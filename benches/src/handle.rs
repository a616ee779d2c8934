//! The handle, warm: `check` and `check_warm` against `evaluate`, allocations, and two threads against one.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use allocation_counter::measure;
use entitlements_core::store::{PolicyStore, SubscriptionStore};
use entitlements_core::{CacheConfig, Entitlements, MemoryStore, Request, Snapshot, evaluate};

use crate::Failure;
use crate::frame::{Claim, Contender, Field, Pace, Section, Spread, Table, Target, duration, float, number};
use crate::world::{COMPANIES, World, catalog};

const ROUNDS: usize = 61;
const SEED: u64 = 20_261_124;
/// The row of the targets.
const PATH: &str = "`check`, warm";

pub(crate) fn run(pace: Pace) -> Result<Section, Failure> {
    let mut section = Section::new("The handle, warm");
    section.say(
        "`check` has the facts of the company in memory: it asks the clock of the machine, finds the snapshot among 1,000, \
         and evaluates. Beside it the same evaluation with the snapshot at hand.",
    );
    let mut table =
        Table::new(&["policies", "`evaluate`", "`check_warm`", "`check`", "ratio of `check` (quartiles)"]);
    for policies in [10, 1_000] {
        one(pace, policies, &mut table, &mut section)?;
    }
    section.show(&table);
    threads(pace, &mut section)?;
    Ok(section)
}

/// A request, and the facts that it is decided from.
type Asked<'a> = (Request<'a>, &'a Snapshot);

fn asked(world: &World) -> Vec<Asked<'_>> {
    let all = world.questions.iter();
    all.filter_map(|question| Some((world.request(question)?, world.snapshots.get(question.company)?)))
        .collect()
}

fn one(pace: Pace, policies: usize, table: &mut Table, section: &mut Section) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let world = World::new(policies, SEED)?;
    let handle = handle(&world)?;
    let questions = asked(&world);
    let mut allocations = 0;
    for (request, snapshot) in &questions {
        let mut warm = None;
        let counted = measure(|| warm = handle.check_warm(request));
        let expected = evaluate(request, snapshot, &world.catalog, world.now);
        let warm = warm.ok_or("a company is not in memory")?;
        if (warm.reason, &warm.source) != (expected.reason, &expected.source) {
            return Err(format!("the sides disagree: {warm:?}, {expected:?}").into());
        }
        if warm.is_allowed() {
            allocations += counted.count_total;
        }
    }
    let field = Field::race(
        pace,
        ROUNDS,
        vec![
            Contender::new("evaluate", &questions, |(request, snapshot)| {
                evaluate(request, snapshot, &world.catalog, world.now)
            }),
            Contender::new("check_warm", &questions, |(request, _)| handle.check_warm(request)),
            Contender::waiting("check", &runtime, &questions, async |(request, _)| {
                handle.check(request).await
            }),
        ],
    );
    let (evaluated, warm, checked) = (field.of("evaluate")?, field.of("check_warm")?, field.of("check")?);
    let ratio = checked.ratio_to(evaluated);
    let (many, allocations) = (float(policies), float(allocations));
    let text = |nanos: Spread| duration(nanos.median);
    table.row([
        number(many),
        text(evaluated.nanos()),
        text(warm.nanos()),
        text(checked.nanos()),
        ratio.to_text(),
    ]);
    section.claims.push(Claim::ratio(
        PATH,
        format!("against `evaluate`, {} policies", number(many)),
        Target::AtMost(3.0),
        ratio,
        "the clock of the machine and the look-up of the company cost more than a short decision",
    ));
    section.claims.push(Claim::count(
        PATH,
        format!("allocations, all allowed requests, {} policies", number(many)),
        Target::AtMost(0.0),
        "",
        allocations,
        "",
    ));
    Ok(())
}

/// A handle on the clock of the machine that has every company in memory, and keeps it there.
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
        let an_hour = std::time::Duration::from_hours(1);
        let handle = Entitlements::builder(catalog()?)
            .store(store)
            .cache(CacheConfig::default().with_companies(COMPANIES * 2).with_max_age(an_hour))
            .build();
        for question in &world.questions {
            if let Some(request) = world.request(question) {
                handle.check(&request).await?;
            }
        }
        Ok(handle)
    })
}

/// Checks per second of one thread, and of all cores.
fn threads(pace: Pace, section: &mut Section) -> Result<(), Failure> {
    let world = World::new(1_000, SEED)?;
    let (handle, questions) = (handle(&world)?, asked(&world));
    let cores = std::thread::available_parallelism()?.get();
    let mut counts = vec![1];
    counts.extend((1..).map(|power| 1 << power).take_while(|threads| *threads < cores));
    counts.extend((cores > 1).then_some(cores));
    let mut rates = vec![Vec::new(); counts.len()];
    // What shares nothing that is written shows what the cores of the machine are worth together.
    let mut alone = rates.clone();
    for _ in 0..pace.of(12) {
        for ((threads, rates), alone) in counts.iter().zip(&mut rates).zip(&mut alone) {
            rates.push(throughput(&questions, *threads, |(request, _)| {
                black_box(&handle.check_warm(request));
            }));
            alone.push(throughput(&questions, *threads, |(request, snapshot)| {
                black_box(&evaluate(request, snapshot, &world.catalog, world.now));
            }));
        }
    }
    let first = |rates: &[Vec<f64>]| rates.first().cloned().unwrap_or_default();
    let (one, one_alone) = (first(&rates), first(&alone));
    let mut table = Table::new(&[
        "threads",
        "checks a second",
        "against one (quartiles)",
        "`evaluate` against one (quartiles)",
    ]);
    for ((threads, rates), alone) in counts.iter().zip(&rates).zip(&alone) {
        let scaling = Spread::of_ratios(rates, &one);
        let limit = Spread::of_ratios(alone, &one_alone).to_text();
        table.row([threads.to_string(), number(Spread::of(rates).median), scaling.to_text(), limit]);
        if *threads == 2 {
            section.claims.push(Claim::ratio(
                PATH,
                "two threads against one",
                Target::AtLeast(1.8),
                scaling,
                "a policy that decides is named in the answer, and both threads count its users; the table shows what `evaluate` gains, which does that as well",
            ));
        }
    }
    section.show(&table);
    Ok(())
}

/// Questions per second of `threads` threads together.
fn throughput(questions: &[Asked<'_>], threads: usize, ask: impl Fn(&Asked<'_>) + Copy + Send + Sync) -> f64 {
    const LAPS: usize = 60;
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (before, after) = questions.split_at(thread * questions.len() / threads);
            scope.spawn(move || {
                for _ in 0..LAPS {
                    for question in after.iter().chain(before) {
                        ask(question);
                    }
                }
            });
        }
    });
    float(threads * LAPS * questions.len()) / begun.elapsed().as_secs_f64()
}
