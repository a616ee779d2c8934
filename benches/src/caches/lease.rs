//! Consuming out of a lease: in memory, settled with the store now and then.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use entitlements_core::id::CompanyId;
use entitlements_core::{
    Amount, Catalog, Entitlements, LeaseTerms, Leased, LeasedMeter, MemoryStore, Subject, TokioRuntime,
};

use tokio::runtime::Runtime;

use crate::Failure;
use crate::frame::{Claim, Contender, Field, Pace, Section, Spread, Table, Target, float, number};

const ROUNDS: usize = 41;
/// Units in the test of the limit, far fewer than are asked for.
const LIMIT: u64 = 100_000;
/// The row of the targets.
const PATH: &str = "`consume`, leased";
const LIMITS: &str =
    "an atomic subtraction and a clock read, and several threads of one lease share the counter";

fn handle(limit: u64) -> Result<Entitlements, Failure> {
    let text = format!(
        "schema = 1\ndefault_plan = \"free\"\npast_due_grace = \"7d\"\n[features]\nreports = {{ type = \"meter\" }}\n\
         [plans.free.grants]\nreports = {{ limit = {limit}, every = \"month\", anchor = \"calendar\" }}\n"
    );
    let runtime = TokioRuntime::current().ok_or("no runtime")?;
    let builder = Entitlements::builder(Catalog::parse("bench.toml", &text)?).store(MemoryStore::default());
    Ok(builder.runtime(runtime).build())
}

pub(super) fn run(pace: Pace, section: &mut Section) -> Result<(), Failure> {
    section.say(
        "A leased meter takes units from the store in advance and serves them out of memory, on the clock of the machine; \
         what it serves is settled while the measurement runs. The store is the one in memory, so that the way is ours alone; \
         the hot row below has databases.",
    );
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let _inside = runtime.enter();
    let subject = Subject::company(CompanyId::new("acme")?);
    let large = handle(1 << 60)?.lease(&subject, "reports", LeaseTerms::new(Amount::from(1_000_000_000)))?;
    let once = [(); 4_096];
    let consume = Contender::waiting("`consume` out of a lease", &runtime, &once, async |()| {
        matches!(large.consume(Amount::ONE).await, Ok(Leased::Taken))
    });
    let field = Field::race(pace, ROUNDS, vec![consume]);
    let nanos = field.of("`consume` out of a lease")?.nanos();
    let mut table = Table::new(&["threads", "consumptions a second", "a core"]);
    let cores = std::thread::available_parallelism()?.get();
    let mut rates = Vec::new();
    for threads in [1, cores] {
        let rounds: Vec<f64> = (0..pace.of(12)).map(|_| throughput(&large, threads, &runtime)).collect();
        let rate = Spread::of(&rounds);
        let each = |rate: f64| rate / float(threads) / 1e6;
        let core = Spread { low: each(rate.low), median: each(rate.median), high: each(rate.high) };
        table.row([threads.to_string(), number(rate.median), format!("{} M", core.to_text())]);
        rates.push((threads, core));
    }
    section.show(&table);
    let claim = |what: &str, target, unit, measured| Claim {
        path: PATH,
        what: what.to_owned(),
        target,
        unit,
        measured,
        limit: LIMITS,
    };
    section.claims.push(claim("one consumption", Target::AtMost(100.0), " ns", nanos));
    if let Some((_, rate)) = rates.first() {
        section.claims.push(claim("throughput of a core", Target::AtLeast(5.0), " M/s", *rate));
    }
    let uncollected = runtime.block_on(large.close()).get();
    let oversold = float(runtime.block_on(oversold(&subject))? + uncollected);
    section.claims.push(claim("units oversold", Target::AtMost(0.0), "", Spread::exactly(oversold)));
    Ok(())
}

/// Units a second that threads take together.
fn throughput(lease: &LeasedMeter, threads: usize, runtime: &Runtime) -> f64 {
    const UNITS: u64 = 1_000_000;
    let refilled = || matches!(runtime.block_on(lease.consume(Amount::ONE)), Ok(Leased::Taken));
    let take = || (0..UNITS).map(|_| u64::from(lease.take(Amount::ONE) || refilled())).sum::<u64>();
    let begun = Instant::now();
    let taken: u64 = std::thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(take)).collect();
        all.into_iter().map(|thread| thread.join().unwrap_or_default()).sum()
    });
    float(taken) / begun.elapsed().as_secs_f64()
}

/// Units that eight tasks and two leases took beyond a limit that is far smaller than what they ask for.
async fn oversold(subject: &Subject) -> Result<u64, Failure> {
    let handle = handle(LIMIT)?;
    let terms = LeaseTerms::new(Amount::from(1_000));
    let leases = [handle.lease(subject, "reports", terms)?, handle.lease(subject, "reports", terms)?];
    let taken = Arc::new(AtomicU64::new(0));
    let tasks: Vec<_> = leases
        .iter()
        .cycle()
        .take(8)
        .map(|lease| {
            let (lease, taken) = (lease.clone(), Arc::clone(&taken));
            tokio::spawn(async move {
                for _ in 0..LIMIT / 4 {
                    if let Ok(Leased::Taken) = lease.consume(Amount::ONE).await {
                        taken.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await?;
    }
    for lease in &leases {
        lease.close().await;
    }
    let taken = taken.load(Ordering::Relaxed);
    if taken < LIMIT - 8_000 {
        Err(format!("only {taken} units of {LIMIT} were served").into())
    } else {
        Ok(taken.saturating_sub(LIMIT))
    }
}
