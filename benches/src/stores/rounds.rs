//! Two ways of doing the same, in turn.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use entitlements_core::BoxFuture;
use tokio::task::JoinSet;

use super::Failed;

/// Rounds of both sides in turn; the first one more warms up.
pub(super) const ROUNDS: usize = 15;
/// How long a side runs in a round.
pub(super) const ROUND: Duration = Duration::from_millis(150);

/// Microseconds per call of each side: time of a round by calls of all tasks together.
pub(super) struct Comparison {
    pub(super) one: f64,
    pub(super) two: f64,
    pub(super) ratio: f64,
}

/// Measures both sides with so many tasks; each call gets the number of its task, and a key of its own.
pub(super) async fn compare(tasks: usize, one: impl Call, two: impl Call) -> Result<Comparison, Failed> {
    let (mut ones, mut twos, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let first = side(tasks, &one).await?;
        let second = side(tasks, &two).await?;
        if round > 0 {
            ones.push(first);
            twos.push(second);
            ratios.push(second / first);
        }
    }
    Ok(Comparison { one: median(ones), two: median(twos), ratio: median(ratios) })
}

/// One side.
pub(super) trait Call:
    Fn(usize, String) -> BoxFuture<Result<(), Failed>> + Clone + Send + 'static
{
}

impl<F: Fn(usize, String) -> BoxFuture<Result<(), Failed>> + Clone + Send + 'static> Call for F {}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52 calls")]
async fn side(tasks: usize, call: &impl Call) -> Result<f64, Failed> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let begun = Instant::now();
    let mut working = JoinSet::new();
    for task in 0..tasks {
        let call = call.clone();
        working.spawn(async move {
            let mut done = 0_u64;
            while begun.elapsed() < ROUND {
                call(task, format!("key-{:09}", NUMBER.fetch_add(1, Ordering::Relaxed))).await?;
                done += 1;
            }
            Ok::<_, Failed>(done)
        });
    }
    let mut done = 0;
    while let Some(one) = working.join_next().await {
        done += one??;
    }
    Ok(begun.elapsed().as_secs_f64() * 1e6 / done.max(1) as f64)
}

fn median(mut rounds: Vec<f64>) -> f64 {
    rounds.sort_unstable_by(f64::total_cmp);
    rounds.get(rounds.len() / 2).copied().unwrap_or(f64::NAN)
}
