//! A counter that many threads raise without waiting for each other.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

const STRIPES: usize = 16;

/// One stripe, on cache lines of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Stripe(AtomicU64);

#[derive(Debug, Default)]
pub(crate) struct Counter([Stripe; STRIPES]);

static THREADS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static STRIPE: usize = THREADS.fetch_add(1, Ordering::Relaxed) % STRIPES;
}

impl Counter {
    /// Raises the counter, and says how often this thread (and those that share its stripe) had raised it before.
    #[inline]
    pub(crate) fn raise(&self) -> u64 {
        // A thread that ends has no stripe any more, and takes the first.
        let at = STRIPE.try_with(|stripe| *stripe).unwrap_or_default();
        self.0.get(at).map_or(0, |stripe| stripe.0.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.iter().map(|stripe| stripe.0.load(Ordering::Relaxed)).sum()
    }
}
