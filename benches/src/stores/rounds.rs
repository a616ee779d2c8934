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

/// Microseconds per call of each side: time of a round by calls of all tasks together. `cpu_one` and `cpu_two` are what processors
/// spent on it, in this process and in the server's if it is on this machine: on a busy machine it says more than the time.
pub(super) struct Comparison {
    pub(super) one: f64,
    pub(super) two: f64,
    pub(super) ratio: f64,
    pub(super) cpu_one: f64,
    pub(super) cpu_two: f64,
}

/// Measures both sides with so many tasks; each call gets the number of its task, and a key of its own.
pub(super) async fn compare(
    tasks: usize,
    processes: &impl Processes,
    one: impl Call,
    two: impl Call,
) -> Result<Comparison, Failed> {
    let (mut ones, mut twos, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let (mut cpu_ones, mut cpu_twos) = (Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let processes = processes.processes().await?;
        let first = side(tasks, &processes, &one).await?;
        let second = side(tasks, &processes, &two).await?;
        // The first round opens connections.
        if round > 0 {
            ones.push(first.0);
            twos.push(second.0);
            ratios.push(second.0 / first.0);
            cpu_ones.push(first.1);
            cpu_twos.push(second.1);
        }
    }
    Ok(Comparison {
        one: median(ones),
        two: median(twos),
        ratio: median(ratios),
        cpu_one: median(cpu_ones),
        cpu_two: median(cpu_twos),
    })
}

/// Processes that work for both sides, beside this one.
pub(super) trait Processes {
    /// Their ids.
    fn processes(&self) -> impl Future<Output = Result<Vec<i32>, Failed>> + Send;
}

/// Nanoseconds that processors have spent on this process and on others, as far as the system tells.
fn spent(others: &[i32]) -> u64 {
    let of = |path: &std::path::Path| {
        let text = std::fs::read_to_string(path.join("schedstat")).unwrap_or_default();
        text.split(' ').next().and_then(|first| first.parse::<u64>().ok()).unwrap_or(0)
    };
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let own: u64 = threads.map(|thread| of(&thread.path())).sum();
    own + others.iter().map(|id| of(std::path::Path::new(&format!("/proc/{id}")))).sum::<u64>()
}

/// One side.
pub(super) trait Call:
    Fn(usize, String) -> BoxFuture<Result<(), Failed>> + Clone + Send + 'static
{
}

impl<F: Fn(usize, String) -> BoxFuture<Result<(), Failed>> + Clone + Send + 'static> Call for F {}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52 calls")]
async fn side(tasks: usize, processes: &[i32], call: &impl Call) -> Result<(f64, f64), Failed> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let (begun, before) = (Instant::now(), spent(processes));
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
    let (time, cpu) = (begun.elapsed(), spent(processes).saturating_sub(before));
    let done = done.max(1) as f64;
    Ok((time.as_secs_f64() * 1e6 / done, cpu as f64 / 1e3 / done))
}

fn median(mut rounds: Vec<f64>) -> f64 {
    rounds.sort_unstable_by(f64::total_cmp);
    rounds.get(rounds.len() / 2).copied().unwrap_or(f64::NAN)
}
