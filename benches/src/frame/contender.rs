//! Contenders, and the rounds in which they take turns.

use std::hint::black_box;
use std::time::{Duration, Instant};

use allocation_counter::{measure, opt_out};
use tokio::runtime::Runtime;

use super::{Pace, Spread, float};
use crate::Failure;

/// How long a contender runs in one round, about.
const TURN: Duration = Duration::from_millis(3);
/// A turn has at least this many calls, however slow they are.
const LEAST: usize = 4;

/// One way to do the work.
pub(crate) struct Contender<'a> {
    name: String,
    /// Calls in a whole pass over the work.
    pass: usize,
    run: Box<dyn FnMut(usize) + 'a>,
}

impl<'a> Contender<'a> {
    /// Does `work` on each item in turn.
    pub(crate) fn new<T, R>(
        name: impl Into<String>,
        items: &'a [T],
        mut work: impl FnMut(&'a T) -> R + 'a,
    ) -> Self {
        let mut place = 0;
        let run = move |calls| {
            for slice in around(items, &mut place, calls) {
                for item in slice {
                    black_box(&work(black_box(item)));
                }
            }
        };
        Self { name: name.into(), pass: items.len(), run: Box::new(run) }
    }

    /// Does asynchronous work on each item in turn, one at a time.
    pub(crate) fn waiting<T, R>(
        name: impl Into<String>,
        runtime: &'a Runtime,
        items: &'a [T],
        mut work: impl AsyncFnMut(&'a T) -> R + 'a,
    ) -> Self {
        let mut place = 0;
        let run = move |calls| {
            runtime.block_on(async {
                for slice in around(items, &mut place, calls) {
                    for item in slice {
                        black_box(&work(black_box(item)).await);
                    }
                }
            });
        };
        Self { name: name.into(), pass: items.len(), run: Box::new(run) }
    }

    /// How long one call takes, about; warms up as well.
    fn probe(&mut self) -> Duration {
        let mut calls = LEAST;
        loop {
            let begun = Instant::now();
            (self.run)(calls);
            let took = begun.elapsed();
            if took >= TURN / 2 || calls >= 1 << 20 {
                return took.max(Duration::from_nanos(1)) / u32::try_from(calls).unwrap_or(u32::MAX);
            }
            calls *= 4;
        }
    }

    /// Calls in a turn: whole passes if there is time for one, so that all do the same work.
    fn turn(&mut self) -> usize {
        let one = self.probe().as_nanos().max(1);
        let fitting = usize::try_from(TURN.as_nanos() / one).unwrap_or(usize::MAX);
        if fitting >= self.pass / 4 { (fitting / self.pass).max(1) * self.pass } else { fitting.max(LEAST) }
    }
}

/// Nanoseconds a call. Allocations are counted before, and not meanwhile, which would take time.
fn timed(contender: &mut Contender<'_>, calls: usize) -> f64 {
    let mut took = Duration::ZERO;
    opt_out(|| {
        let begun = Instant::now();
        (contender.run)(calls);
        took = begun.elapsed();
    });
    float(took.as_nanos()) / float(calls)
}

/// Slices that go around `items` from where the last turn ended.
fn around<'a, T>(items: &'a [T], place: &mut usize, calls: usize) -> impl Iterator<Item = &'a [T]> {
    let mut left = if items.is_empty() { 0 } else { calls };
    std::iter::from_fn(move || {
        if left == 0 {
            return None;
        }
        if *place >= items.len() {
            *place = 0;
        }
        let slice = items.get(*place..)?;
        let slice = slice.get(..left.min(slice.len()))?;
        *place += slice.len();
        left -= slice.len();
        Some(slice)
    })
}

/// What a contender showed.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    pub(crate) name: String,
    /// Nanoseconds a call, one number a round.
    pub(crate) rounds: Vec<f64>,
    /// Allocations a call on the thread that asks.
    pub(crate) allocations: f64,
}

impl Measured {
    /// Nanoseconds a call.
    pub(crate) fn nanos(&self) -> Spread {
        Spread::of(&self.rounds)
    }

    /// By how many nanoseconds a call it took longer than `base`.
    pub(crate) fn over(&self, base: &Self) -> Spread {
        let rounds: Vec<f64> = self.rounds.iter().zip(&base.rounds).map(|(one, base)| one - base).collect();
        Spread::of(&rounds)
    }

    /// How many times as long as `base` it took.
    pub(crate) fn ratio_to(&self, base: &Self) -> Spread {
        Spread::of_ratios(&self.rounds, &base.rounds)
    }
}

/// All that a comparison showed, in the order of the contenders.
#[derive(Clone, Debug)]
pub(crate) struct Field(Vec<Measured>);

impl Field {
    /// Lets contenders take turns for so many rounds, after some to warm up. Who is first, and who comes after whom, changes
    /// from round to round, so that nobody always finds memory as the same other one left it.
    pub(crate) fn race(pace: Pace, rounds: usize, mut contenders: Vec<Contender<'_>>) -> Self {
        let turns: Vec<usize> = contenders.iter_mut().map(Contender::turn).collect();
        let mut measured: Vec<Measured> = contenders
            .iter_mut()
            .zip(&turns)
            .map(|(contender, calls)| {
                let counted = measure(|| (contender.run)(*calls));
                let allocations = float(counted.count_total) / float(*calls);
                Measured { name: contender.name.clone(), rounds: Vec::new(), allocations }
            })
            .collect();
        let many = contenders.len();
        for round in 0..pace.of(rounds) {
            for turn in 0..many {
                let who = (round / 2 + turn) % many;
                let who = if round % 2 == 0 { who } else { many - 1 - who };
                if let (Some(contender), Some(calls), Some(measured)) =
                    (contenders.get_mut(who), turns.get(who), measured.get_mut(who))
                {
                    measured.rounds.push(timed(contender, *calls));
                }
            }
        }
        Self(measured)
    }

    /// The contender of that name.
    pub(crate) fn of(&self, name: &str) -> Result<&Measured, Failure> {
        let found = self.0.iter().find(|measured| measured.name == name);
        found.ok_or_else(|| format!("no contender is called `{name}`").into())
    }

    /// All of them.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Measured> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn turns_go_around_the_work_and_go_on_where_they_ended() {
        let (items, mut place) = ([1, 2, 3], 0);
        let first: Vec<i32> = around(&items, &mut place, 2).flatten().copied().collect();
        let second: Vec<i32> = around(&items, &mut place, 5).flatten().copied().collect();
        assert_eq!((first, second), (vec![1, 2], vec![3, 1, 2, 3, 1]));
        assert_eq!(around::<i32>(&[], &mut place, 5).count(), 0);
    }

    #[test]
    fn contenders_alternate_and_their_allocations_are_counted() {
        let order = RefCell::new(Vec::new());
        let items = [0_u8; 1 << 14];
        let note = |who| {
            let mut order = order.borrow_mut();
            if order.last() != Some(&who) {
                order.push(who);
            }
        };
        let contenders = vec![
            Contender::new("plain", &items, |item| {
                note('p');
                *item
            }),
            Contender::new("boxed", &items, |item| {
                note('b');
                Box::new(*item)
            }),
        ];
        let field = Field::race(Pace::Quick, 12, contenders);
        let (plain, boxed) = (field.of("plain").unwrap(), field.of("boxed").unwrap());
        assert_eq!((plain.rounds.len(), boxed.rounds.len()), (3, 3));
        assert!(plain.allocations < 0.1 && boxed.allocations >= 1.0, "{field:?}");
        // Probing and counting, then the rounds: p b, b p, b p.
        assert_eq!(order.borrow().iter().collect::<String>(), "pbpbpbpbp");
        assert!(field.of("nobody").is_err());
    }
}
