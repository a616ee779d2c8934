//! The traits of storage: few, dyn-safe, each with its contract.
//!
//! | trait | keeps |
//! |---|---|
//! | [`SnapshotStore`] | reads all facts of a company in one round trip |
//! | [`SubscriptionStore`] | subscriptions, and their history |
//! | [`GrantStore`] | grants |
//! | [`PolicyStore`] | policies |
//! | [`UsageStore`] | debits, receipts, alerts |
//! | [`AuditStore`] | the audit log |
//! | [`ErasureStore`] | forgets what must not be kept |
//! | [`ReservationStore`] | units that are set aside |
//! | [`GaugeStore`] | holders and levels of gauges |
//!
//! [`Store`] is all of them. Every write that changes what a company may do takes the next number of one sequence as the
//! company's revision, in the same transaction as the change; a write to a policy does the same for all policies.
//! Usage takes no revision: it is loaded with the facts, and counted by the store itself.
//!
//! Instants are kept to the microsecond.

mod audit;
mod error;
mod forward;
mod grouped;
mod page;
mod transaction;

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

pub use audit::{AuditStore, ErasureStore};
pub use error::{StoreError, StoreErrorKind};
pub use grouped::{GroupStore, Grouped};
pub use page::{MAX_PAGE, Page, PageRequest};
pub use transaction::TransactionStore;

use crate::Amount;
use crate::facts::{AddOnQuantity, Facts, Override, Revision};
use crate::gauge::{AcquireOutcome, Holder, LevelOutcome};
use crate::grant::Grant;
use crate::id::{
    CompanyId, FeatureKey, GrantId, HolderId, IdempotencyKey, PolicyId, ReceiptId, SubscriptionId,
};
use crate::policy::Policy;
use crate::reservation::{CommitOutcome, Reservation, ReserveOutcome};
use crate::subscription::Subscription;
use crate::usage::{Debit, DebitOutcome, Receipt, RecordOutcome, UsageAlert};

/// Every policy, with the revision of the last write to any of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Policies {
    /// The revision of the last write.
    pub revision: Revision,
    /// The policies, in ascending order of ids.
    pub policies: Vec<Policy>,
}

/// Reads what is known.
///
/// # Contract
///
/// * `load` is one round trip and one consistent view: it never mixes the states before and after a write.
/// * A company that was never written to has [empty](Facts::empty) facts with the current revision of the policies.
/// * `now` only leaves out what is over: usage of ended periods, ended and voided grants. What starts later is included.
/// * `policies` returns every policy, also disabled ones; a policy whose stored condition cannot be read is
///   [broken](crate::policy::When::Broken), not an error.
#[async_trait]
pub trait SnapshotStore: Debug + Send + Sync + 'static {
    /// Everything known about `company`.
    async fn load(&self, company: &CompanyId, now: DateTime<Utc>) -> Result<Facts, StoreError>;

    /// Every policy.
    async fn policies(&self) -> Result<Policies, StoreError>;
}

/// What became of an insertion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// It is stored; the revision is the one that shows it.
    Now(Revision),
    /// Its id was taken; nothing changed.
    Taken,
}

/// Keeps subscriptions, add-ons and overrides.
///
/// # Contract
///
/// * `put_subscription` inserts or replaces by id, and appends the new state to the history when it differs from the
///   last. Putting the stored state again changes nothing, not even the revision.
/// * `put_addon` and `put_override` take a revision whether or not they change something.
/// * When the plan of a stored subscription becomes another one, that is one more of the company's
///   [plan changes](Facts::plan_changes), in the order of their instants.
/// * An id that belongs to another company is refused as [`StoreErrorKind::Unsupported`]; a subscription never moves.
#[async_trait]
pub trait SubscriptionStore: Debug + Send + Sync + 'static {
    /// Stores the state of a subscription.
    async fn put_subscription(
        &self,
        subscription: &Subscription,
        at: DateTime<Utc>,
    ) -> Result<Revision, StoreError>;

    /// The subscription of that id.
    async fn subscription(&self, id: &SubscriptionId) -> Result<Option<Subscription>, StoreError>;

    /// Every state a subscription has had, oldest first, with the instant it was stored.
    async fn subscription_history(
        &self,
        id: &SubscriptionId,
    ) -> Result<Vec<(DateTime<Utc>, Subscription)>, StoreError>;

    /// Sets how many of an add-on a company has; 0 takes it away.
    async fn put_addon(&self, company: &CompanyId, addon: &AddOnQuantity) -> Result<Revision, StoreError>;

    /// Sets what a company has of a feature instead of what its plan gives.
    async fn put_override(&self, company: &CompanyId, value: &Override) -> Result<Revision, StoreError>;

    /// Takes an override away; `None` if there was none.
    async fn remove_override(
        &self,
        company: &CompanyId,
        feature: &FeatureKey,
    ) -> Result<Option<Revision>, StoreError>;
}

/// Keeps grants.
///
/// # Contract
///
/// * A stored grant never changes, except that `void_grant` sets its `voided_at` once.
/// * Voiding leaves spent units spent.
/// * A cursor that no page gave is refused as [`StoreErrorKind::Unsupported`].
#[async_trait]
pub trait GrantStore: Debug + Send + Sync + 'static {
    /// Stores a new grant.
    async fn insert_grant(&self, grant: &Grant) -> Result<Inserted, StoreError>;

    /// The grant of that id, voided or not.
    async fn find_grant(&self, id: &GrantId) -> Result<Option<Grant>, StoreError>;

    /// Voids a grant; `None` if there is none, or it was voided before.
    async fn void_grant(&self, id: &GrantId, at: DateTime<Utc>) -> Result<Option<Revision>, StoreError>;

    /// The grants of a company, voided ones included, in ascending order of (`created_at`, id).
    async fn list_grants(&self, company: &CompanyId, page: &PageRequest) -> Result<Page<Grant>, StoreError>;
}

/// Keeps policies.
///
/// # Contract
///
/// * Every change takes the next revision for the policies as a whole.
#[async_trait]
pub trait PolicyStore: Debug + Send + Sync + 'static {
    /// Stores a new policy.
    async fn insert_policy(&self, policy: &Policy) -> Result<Inserted, StoreError>;

    /// Replaces the policy of the same id; `None` if there is none.
    async fn replace_policy(&self, policy: &Policy) -> Result<Option<Revision>, StoreError>;

    /// Removes a policy; `None` if there is none.
    async fn remove_policy(&self, id: &PolicyId) -> Result<Option<Revision>, StoreError>;

    /// The policy of that id.
    async fn find_policy(&self, id: &PolicyId) -> Result<Option<Policy>, StoreError>;

    /// Policies in ascending order of ids.
    async fn list_policies(&self, page: &PageRequest) -> Result<Page<Policy>, StoreError>;
}

/// Counts what companies use.
///
/// # Contract
///
/// * `debit` is one atomic step: no set of concurrent debits that together pass a limit all succeed.
/// * The key is looked up first: a debit with a known key returns the *first* receipt when meter, amount and user are the
///   same, and [`DebitOutcome::Conflict`] otherwise; nothing changes.
/// * A new debit takes units from its buckets in order. A bucket gives as many units as every one of its counters has
///   room for, `limit − used`, or all that are asked for if none has a limit. Every counter of the bucket receives the
///   units the bucket gives. If all buckets together give less than the amount, or a counter would pass
///   [`Amount::MAX`](crate::Amount::MAX), the debit is refused: nothing changes, and the key stays free.
/// * A debit that is not [well formed](Debit::is_well_formed) is [`StoreErrorKind::Unsupported`], whatever is known of its key.
///   So is one that comes after the period of one of its counters: it would be taken from a counter that retention may remove.
/// * Every tally receives the whole amount. Tallies without buckets do not make a debit possible.
/// * The receipt lists what each counter received (tallies included, zeros left out), and shows as `used` the sum of the
///   first counters of all buckets after the debit.
/// * A counter that crosses one of its alert thresholds from below gets one alert, in the same step. A counter crosses a
///   threshold at most once: a refund and a new debit raise no second alert.
/// * `claim_alerts` is one atomic step: no two claims get the same alert while the first lasts. A claim is over at its
///   `until`, that instant included; what was not acknowledged by then can be claimed again. What nobody has claimed so far
///   comes before it, oldest first; of the rest, what has been free the longest.
/// * `refund` takes back what the receipt lists, once; a second refund changes nothing. An unknown receipt is `None`. The
///   key of a refunded receipt stays used.
/// * A new key with the receipt id of another operation of the company is an error, unless it is refused, and nothing changes.
/// * The end of a counter's period is that of the last debit.
/// * `record` is one atomic step for all events of a company: all of them are counted, in their order, or it is an error and
///   nothing changes. Each is a debit [in full](Debit::in_full), so that none is refused for want of room, with receipt, alerts
///   and keys as debits have them. An event that makes [no sense](Debit::is_event_of) is [`StoreErrorKind::Unsupported`], and
///   one with which a counter would pass [`Amount::MAX`](crate::Amount::MAX) is an error.
#[async_trait]
pub trait UsageStore: Debug + Send + Sync + 'static {
    /// Takes units, or refuses.
    async fn debit(&self, debit: &Debit) -> Result<DebitOutcome, StoreError>;

    /// Counts what has happened, whatever the limits are; the outcomes are in the order of the events.
    async fn record(&self, company: &CompanyId, events: &[Debit]) -> Result<Vec<RecordOutcome>, StoreError>;

    /// Gives back what a receipt took; returns the receipt as it then is.
    async fn refund(
        &self,
        company: &CompanyId,
        receipt: &ReceiptId,
        at: DateTime<Utc>,
    ) -> Result<Option<Receipt>, StoreError>;

    /// The receipt of an operation, if it was made.
    async fn receipt(&self, company: &CompanyId, key: &IdempotencyKey)
    -> Result<Option<Receipt>, StoreError>;

    /// Up to `limit` alerts that were not acknowledged yet, oldest first, claimed or not.
    async fn pending_alerts(&self, limit: usize) -> Result<Vec<UsageAlert>, StoreError>;

    /// Up to `limit` alerts that wait to be sent, oldest first; nobody else gets them until `until`.
    async fn claim_alerts(
        &self,
        until: DateTime<Utc>,
        now: DateTime<Utc>,
        limit: usize,
    ) -> Result<Vec<UsageAlert>, StoreError>;

    /// Marks an alert as sent, whoever has claimed it.
    async fn acknowledge_alert(&self, alert: &UsageAlert) -> Result<(), StoreError>;
}

/// Sets units aside until it is known how many of them were used.
///
/// # Contract
///
/// * `reserve` is a [`debit`](UsageStore::debit) in everything: one atomic step, buckets, tallies, alerts, what is well formed
///   and what is an error. An expiry that is not after `at` is [`StoreErrorKind::Unsupported`].
/// * Its key and its id are one of each with those of debits. `reserve` with the key of a reservation is a
///   [`Duplicate`](ReserveOutcome::Duplicate) when meter, amount and user are the same, also when the reservation has ended,
///   and a conflict otherwise, as it is with the key of a debit. A debit with the key of a reservation is a
///   [`Conflict`](crate::usage::DebitOutcome::Conflict), unless a commit has made a receipt of it: then that receipt counts
///   as the first. Before the commit there is no receipt, and nothing to refund.
/// * From `expires_at` on, that instant included, the units are free: for `load` at that time, for debits, reservations and
///   commits; [`Facts::reserved_until`] tells the next such instant. Nobody needs to do anything for it. Once a write has
///   seen them as free they are free, whatever another clock says; whether a debit that is not made counts as one is up to the
///   store.
/// * `commit` is one atomic step, and ends the reservation for good. Units that are set aside are kept in burn order, so what
///   was not used goes back to the buckets that would have been emptied last. If more was used, or the units are free again,
///   what is missing is taken from the buckets of the reservation in burn order, under the limits of the reservation, **as
///   far as it fits**; the rest is [uncollected](crate::reservation::Settlement::uncollected). Every tally receives what was
///   taken. A commit raises alerts as a debit does.
/// * The receipt of a commit has id, key, meter, user, limit and reset of the reservation, and amount, split, `used` and
///   instant of the commit. A commit of nothing, or of which nothing fits, has none.
/// * Again: the same number of units is a duplicate, another one a conflict. After a release nothing is committed.
/// * `release_reservation` gives the units back, once, unless it is committed; it returns the reservation as it then is, and
///   `None` if there is none.
#[async_trait]
pub trait ReservationStore: Debug + Send + Sync + 'static {
    /// Sets the units of a debit aside, or refuses.
    async fn reserve(&self, debit: &Debit, expires_at: DateTime<Utc>) -> Result<ReserveOutcome, StoreError>;

    /// Ends a reservation of which so many units were used; `None` if there is no such reservation.
    async fn commit(
        &self,
        company: &CompanyId,
        reservation: &ReceiptId,
        actual: Amount,
        at: DateTime<Utc>,
    ) -> Result<Option<CommitOutcome>, StoreError>;

    /// Ends a reservation of which nothing was used.
    async fn release_reservation(
        &self,
        company: &CompanyId,
        reservation: &ReceiptId,
        at: DateTime<Utc>,
    ) -> Result<Option<Reservation>, StoreError>;

    /// The reservation of an operation, as it is now.
    async fn reservation(
        &self,
        company: &CompanyId,
        key: &IdempotencyKey,
    ) -> Result<Option<Reservation>, StoreError>;
}

/// Keeps what is held of gauges.
///
/// # Contract
///
/// * A gauge is used by its holders, one unit each, and by its level, together. [Facts](Facts::gauges) show the sum; a
///   gauge of which nothing is used may be left out.
/// * `acquire` is one atomic step, and idempotent by holder: who holds a unit is answered so, whatever the limit is, and
///   keeps the instant of the first time. A new holder fits if the sum with it is at most the limit, and at most
///   [`Amount::MAX`](crate::Amount::MAX); otherwise nothing changes. No set of concurrent acquisitions passes the limit.
/// * `release` gives the unit of a holder back, and says whether it had one.
/// * `set_level` is one atomic step. A level that is not higher than the one before is always taken; a higher one fits as
///   a new holder does.
/// * Gauges are usage: no revision is taken.
/// * A cursor is the id of the last holder of the page before.
#[async_trait]
pub trait GaugeStore: Debug + Send + Sync + 'static {
    /// Gives a unit of a gauge to a holder, or refuses. Without a limit any number fits.
    async fn acquire(
        &self,
        company: &CompanyId,
        gauge: &FeatureKey,
        holder: &HolderId,
        limit: Option<Amount>,
        at: DateTime<Utc>,
    ) -> Result<AcquireOutcome, StoreError>;

    /// Takes the unit of a holder back; whether it had one.
    async fn release(
        &self,
        company: &CompanyId,
        gauge: &FeatureKey,
        holder: &HolderId,
    ) -> Result<bool, StoreError>;

    /// Sets the level of a gauge, or refuses.
    async fn set_level(
        &self,
        company: &CompanyId,
        gauge: &FeatureKey,
        level: Amount,
        limit: Option<Amount>,
    ) -> Result<LevelOutcome, StoreError>;

    /// The holders of a gauge, in ascending order of their ids.
    async fn list_holders(
        &self,
        company: &CompanyId,
        gauge: &FeatureKey,
        page: &PageRequest,
    ) -> Result<Page<Holder>, StoreError>;
}

/// Everything a complete store can do.
pub trait Store:
    SnapshotStore
    + SubscriptionStore
    + GrantStore
    + PolicyStore
    + UsageStore
    + GaugeStore
    + AuditStore
    + ErasureStore
    + ReservationStore
{
}

impl<S> Store for S where
    S: SnapshotStore
        + SubscriptionStore
        + GrantStore
        + PolicyStore
        + UsageStore
        + GaugeStore
        + AuditStore
        + ErasureStore
        + ReservationStore
        + ?Sized
{
}

/// A store that many share.
pub type SharedStore = Arc<dyn Store>;
