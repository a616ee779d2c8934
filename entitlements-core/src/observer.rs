//! Observers: a synchronous hook that sees what the handle does, for metrics, traces and audit.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use crate::decision::Decision;
use crate::id::CompanyId;
use crate::request::Request;
use crate::store::StoreError;
use crate::usage::DebitOutcome;

/// Something the handle did.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// It decided.
    Decided {
        /// What was asked.
        request: &'a Request<'a>,
        /// The answer.
        decision: &'a Decision,
        /// How long it took, loading included.
        took: Duration,
    },
    /// It loaded the facts of a company.
    Loaded {
        /// The company.
        company: &'a CompanyId,
        /// How long it took.
        took: Duration,
        /// The failure, if it failed.
        error: Option<&'a StoreError>,
    },
    /// It asked the store for a debit.
    Debited {
        /// The company.
        company: &'a CompanyId,
        /// The meter.
        meter: &'a str,
        /// What became of it.
        outcome: &'a DebitOutcome,
    },
    /// It gave a debit back.
    Refunded {
        /// The company.
        company: &'a CompanyId,
        /// The meter.
        meter: &'a str,
        /// Units.
        amount: crate::Amount,
    },
}

/// Sees what the handle does.
///
/// # Contract
///
/// `observe` runs on the caller's task: it must neither block nor panic.
pub trait Observer: Debug + Send + Sync + 'static {
    /// Takes note of `event`.
    fn observe(&self, event: &Event<'_>);
}

impl<O: Observer + ?Sized> Observer for Arc<O> {
    fn observe(&self, event: &Event<'_>) {
        (**self).observe(event);
    }
}
