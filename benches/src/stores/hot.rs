//! One counter, many tasks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use entitlements_core::id::CompanyId;
use entitlements_core::store::{GroupStore, Grouped, Store};
use entitlements_core::{
    Amount, BoxFuture, Catalog, Entitlements, LeaseTerms, Leased, LeasedMeter, Subject, TokioRuntime,
};

use super::Failed;
use super::raw::Raw;
use super::world;

const TASKS: usize = 64;
/// How long a side runs in a round.
const HOT: Duration = Duration::from_millis(400);
const ROUNDS: usize = 7;

const CATALOG: &str = r#"
    schema = 1
    default_plan = "free"
    past_due_grace = "7d"
    [features]
    reports = { type = "meter" }
    [plans.free.grants]
    reports = { limit = 1000000000000, every = "month" }
"#;

pub(super) async fn compare(
    name: &str,
    store: impl Store + GroupStore + Clone,
    raw: impl Raw,
) -> Result<(), Failed> {
    crate::say(&format!(
        "{name}: hot row, {TASKS} tasks, medians of {ROUNDS} rounds of {} ms in turn",
        HOT.as_millis()
    ));
    let grouped = Grouped::new(store.clone());
    let runtime = TokioRuntime::current().ok_or("no runtime")?;
    let handle = Entitlements::builder(Catalog::parse("catalog.toml", CATALOG)?)
        .store(store.clone())
        .runtime(runtime)
        .build();
    let subject = Subject::company(CompanyId::new("leased")?);
    let lease = handle.lease(&subject, "reports", LeaseTerms::new(Amount::from(1_000_000)))?;
    let mut rates: [Vec<f64>; 4] = Default::default();
    let served = Arc::new(AtomicU64::new(0));
    for round in 0..=ROUNDS {
        let side = raw.clone();
        let measured = [
            throughput(move |key| {
                let side = side.clone();
                Box::pin(async move { side.debit("hot".into(), key).await.is_ok() })
            })
            .await,
            throughput(debiting(store.clone())).await,
            throughput(debiting(grouped.clone())).await,
            leased(&lease, &served).await,
        ];
        if round > 0 {
            rates.iter_mut().zip(measured).for_each(|(rates, rate)| rates.push(rate));
        }
    }
    let uncollected = lease.close().await;
    crate::say("| way | consumptions per second | against raw |");
    crate::say("|---|---|---|");
    let median = |values: &mut Vec<f64>| {
        values.sort_unstable_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    };
    let ways = ["raw UPDATE with a key", "debit", "Grouped", "LeasedMeter"];
    let against: Vec<f64> = rates
        .iter()
        .map(|way| median(&mut way.iter().zip(&rates[0]).map(|(rate, raw)| rate / raw).collect()))
        .collect();
    for ((way, mut rates), against) in ways.into_iter().zip(rates).zip(against) {
        crate::say(&format!("| {way} | {:.0} | {against:.2} |", median(&mut rates)));
    }
    let used = handle.usage(&subject).await?.first().map(|usage| usage.quota.used.get());
    let served = served.load(Ordering::Relaxed);
    crate::say(&format!("served by the lease: {served}, counted: {used:?}, not counted: {uncollected}"));
    if used == Some(served) { Ok(()) } else { Err("the lease served other units than it counted".into()) }
}

fn debiting<S: Store + Clone>(store: S) -> impl Fn(String) -> BoxFuture<bool> + Clone + Send {
    move |key| {
        let store = store.clone();
        Box::pin(async move { world::debit(&store, "hot".into(), key).await.is_ok() })
    }
}

/// Successes per second of all tasks together.
async fn throughput(call: impl Fn(String) -> BoxFuture<bool> + Clone + Send + 'static) -> f64 {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let (begun, done) = (Instant::now(), Arc::new(AtomicU64::new(0)));
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let (call, done) = (call.clone(), Arc::clone(&done));
            tokio::spawn(async move {
                while begun.elapsed() < HOT {
                    let key = format!("hot-{:09}", NUMBER.fetch_add(1, Ordering::Relaxed));
                    if call(key).await {
                        done.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        drop(task.await);
    }
    rate(done.load(Ordering::Relaxed), begun)
}

async fn leased(lease: &LeasedMeter, served: &Arc<AtomicU64>) -> f64 {
    let (begun, before) = (Instant::now(), served.load(Ordering::Relaxed));
    let tasks: Vec<_> = (0..TASKS)
        .map(|_| {
            let (lease, served) = (lease.clone(), Arc::clone(served));
            tokio::spawn(async move {
                while begun.elapsed() < HOT {
                    let mut taken = 0;
                    for _ in 0..1_000 {
                        let leased = lease.take(Amount::ONE)
                            || matches!(lease.consume(Amount::ONE).await, Ok(Leased::Taken));
                        taken += u64::from(leased);
                    }
                    served.fetch_add(taken, Ordering::Relaxed);
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for task in tasks {
        drop(task.await);
    }
    rate(served.load(Ordering::Relaxed) - before, begun)
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52 calls")]
fn rate(done: u64, begun: Instant) -> f64 {
    done as f64 / begun.elapsed().as_secs_f64()
}
