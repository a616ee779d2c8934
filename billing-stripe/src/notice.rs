//! What people should be told of.

use std::fmt::Debug;

use chrono::{DateTime, Utc};
use entitlements_core::id::{CompanyId, InvoiceId, SubscriptionId};

/// Something that a customer or an operator should be told of.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// A payment failed.
    PaymentFailed {
        /// Who pays.
        company: CompanyId,
        /// What is not paid.
        invoice: InvoiceId,
        /// What it is for.
        subscription: Option<SubscriptionId>,
        /// How often it was tried.
        attempts: u32,
        /// When it is tried next.
        next_attempt: Option<DateTime<Utc>>,
    },
    /// A trial ends soon.
    TrialWillEnd {
        /// Who tries.
        company: CompanyId,
        /// What is tried.
        subscription: SubscriptionId,
        /// When the trial ends.
        trial_end: Option<DateTime<Utc>>,
    },
    /// Usage that was reported could not be counted.
    UsageNotCounted {
        /// The meter at Stripe, if there is one.
        meter: Option<String>,
        /// How many records.
        records: u64,
        /// Why, in Stripe's words.
        why: Option<String>,
    },
}

/// Tells people.
///
/// # Contract
///
/// `notice` must neither block nor panic. A notice comes once for each time that its event is processed: as a rule once,
/// again after a crash.
pub trait Notices: Debug + Send + Sync + 'static {
    /// Takes note of `notice`.
    fn notice(&self, notice: &Notice);
}

/// Tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoNotices;

impl Notices for NoNotices {
    fn notice(&self, _: &Notice) {}
}
