//! A counter that threads raise without waiting for each other.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// How many threads at a time have a part of every counter to themselves. Those beyond share one.
const PARTS: usize = 16;

/// A part of a counter, on cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Part(AtomicU64);

/// A counter that is raised on the way of every request, and read now and then.
///
/// A thread writes to a part that no other thread writes to, which costs as little as a number that is not shared at all.
/// It takes 2 KiB.
///
/// ```
/// use entitlements_core::PartedCounter;
///
/// let counter = PartedCounter::default();
/// assert_eq!((counter.raise(), counter.raise()), (0, 1));
/// std::thread::scope(|scope| scope.spawn(|| counter.raise()).join()).ok();
/// assert_eq!(counter.count(), 3);
/// ```
#[derive(Debug, Default)]
pub struct PartedCounter {
    owned: [Part; PARTS],
    shared: Part,
}

/// Which parts have no owner, a bit for each.
struct Parts(Mutex<u32>);

static PARTS_OF_ALL: Parts = Parts::all_free();

impl Parts {
    const fn all_free() -> Self {
        Self(Mutex::new((1 << PARTS) - 1))
    }

    fn take(&self) -> Option<usize> {
        let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = (0..PARTS).find(|part| *free & (1 << part) != 0)?;
        *free &= !(1 << first);
        Some(first)
    }

    /// Who takes the part next sees what was counted in it: the lock says so.
    fn give_back(&self, part: usize) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) |= 1 << part;
    }
}

/// The part that a thread has to itself in every counter, until it ends.
struct Own(Option<usize>);

impl Drop for Own {
    fn drop(&mut self) {
        if let Some(part) = self.0 {
            PARTS_OF_ALL.give_back(part);
        }
    }
}

thread_local! {
    static OWN: Own = Own(PARTS_OF_ALL.take());
}

impl PartedCounter {
    /// Raises the counter by one, and says how often its part had been raised before.
    #[inline]
    pub fn raise(&self) -> u64 {
        // A thread that ends owns nothing any more.
        let own = OWN.try_with(|own| own.0).ok().flatten();
        match own.and_then(|part| self.owned.get(part)) {
            Some(Part(part)) => {
                let before = part.load(Ordering::Relaxed);
                part.store(before.wrapping_add(1), Ordering::Relaxed);
                before
            }
            None => self.shared.0.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// How often it was raised by calls that have returned, and perhaps by some that have not.
    #[must_use]
    pub fn count(&self) -> u64 {
        let parts = self.owned.iter().chain([&self.shared]);
        parts.map(|part| part.0.load(Ordering::Relaxed)).fold(0, u64::wrapping_add)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use super::*;

    #[test]
    fn more_threads_than_there_are_parts_lose_nothing() {
        const THREADS: usize = PARTS + 8;
        let (counter, barrier) = (PartedCounter::default(), Barrier::new(THREADS));
        for round in 1..=3 {
            thread::scope(|scope| {
                for _ in 0..THREADS {
                    scope.spawn(|| {
                        // All of them at once, so that some have no part of their own.
                        OWN.with(|_| barrier.wait());
                        for _ in 0..10_000 {
                            counter.raise();
                        }
                        barrier.wait();
                    });
                }
            });
            assert_eq!(counter.count(), round * 10_000 * THREADS as u64);
        }
        assert!(counter.shared.0.load(Ordering::Relaxed) > 0, "some shared a part");
    }

    #[test]
    fn a_part_has_one_owner_until_it_is_given_back() {
        let parts = Parts::all_free();
        for part in 0..PARTS {
            assert_eq!(parts.take(), Some(part));
        }
        assert_eq!(parts.take(), None);
        parts.give_back(7);
        assert_eq!((parts.take(), parts.take()), (Some(7), None));
    }
}
