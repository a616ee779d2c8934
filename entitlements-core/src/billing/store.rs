//! What an adapter for a billing provider keeps.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::{
    Begun, BillingEvent, Claim, Customer, EventOutcome, Invoice, NewEvent, Operation, OperationResult,
    PlanFeature, Received,
};
use crate::facts::Revision;
use crate::id::{CompanyId, CustomerId, EventId, OperationId};
use crate::store::{Page, PageRequest, StoreError};
use crate::subscription::Subscription;

/// The right to write what the billing provider says about a company, until the lease ends or somebody takes it over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BillingLock {
    /// The company.
    pub company: CompanyId,
    /// Grows with every lock of the company: who holds an older one may not write any more.
    pub fence: u64,
}

/// Keeps what leads from a billing provider to subscriptions.
///
/// # Contract
///
/// **Customers.** `insert_customer` stores a customer unless the company has one that is not deleted, and returns the
/// one it then has: of many at once, all get the same. The id of another company's customer is
/// [`Unsupported`](crate::store::StoreErrorKind::Unsupported). Deleting is done once.
///
/// **Locks.** At most one caller holds a company's lock whose lease has not ended. Fences of a company grow strictly.
/// `put_synced_subscription` does what
/// [`put_subscription`](crate::store::SubscriptionStore::put_subscription) does, in one step with the proof that nobody
/// has taken the lock since; otherwise it answers `None` and changes nothing. (A lease that ended harms nobody as long
/// as nobody else has taken the lock.) So what was asked of the provider earlier never replaces what was asked later.
///
/// **Operations.** A company has at most one open operation of a kind. One that ended never opens again.
///
/// **Events.** An event is stored once, as it arrived first. At most one claim of an event is in force at a time; a
/// claim whose lease has ended, a failed attempt whose time has come, and an event nobody has begun can be claimed.
/// `finish_event` counts only for the claim in force: a late one is `false` and changes nothing. What is finished stays
/// so.
///
/// **Invoices** are inserted or replaced by id, and never move to another company
/// ([`Unsupported`](crate::store::StoreErrorKind::Unsupported)). They are listed newest first.
///
/// **Plan features** are replaced as a whole.
///
/// Instants are kept to the microsecond. A cursor that no page gave is
/// [`Unsupported`](crate::store::StoreErrorKind::Unsupported).
#[async_trait]
pub trait BillingStore: Debug + Send + Sync + 'static {
    /// Stores the customer of a company, or finds the one it has.
    async fn insert_customer(&self, customer: &Customer) -> Result<Customer, StoreError>;

    /// The customer of a company that is not deleted.
    async fn customer_of(&self, company: &CompanyId) -> Result<Option<Customer>, StoreError>;

    /// The customer of that id, deleted or not.
    async fn customer(&self, id: &CustomerId) -> Result<Option<Customer>, StoreError>;

    /// Marks a customer as deleted; `false` if it is unknown or was deleted before.
    async fn delete_customer(&self, id: &CustomerId, at: DateTime<Utc>) -> Result<bool, StoreError>;

    /// Takes the lock of a company until an instant; `None` if somebody holds it.
    async fn lock(
        &self,
        company: &CompanyId,
        until: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Option<BillingLock>, StoreError>;

    /// Gives a lock back, if it is still the caller's.
    async fn unlock(&self, lock: &BillingLock) -> Result<(), StoreError>;

    /// Stores the state of a subscription that was asked of the provider under `lock`; `None` if the lock was taken
    /// since.
    async fn put_synced_subscription(
        &self,
        lock: &BillingLock,
        subscription: &Subscription,
        at: DateTime<Utc>,
    ) -> Result<Option<Revision>, StoreError>;

    /// Stores an operation before the provider is asked.
    async fn begin_operation(&self, operation: &Operation) -> Result<Begun, StoreError>;

    /// Closes an operation; `false` if it is unknown or was closed before.
    async fn finish_operation(
        &self,
        id: &OperationId,
        result: &OperationResult,
        at: DateTime<Utc>,
    ) -> Result<bool, StoreError>;

    /// Stores an event, once.
    async fn receive_event(&self, event: &NewEvent, at: DateTime<Utc>) -> Result<Received, StoreError>;

    /// Begins an attempt to work on an event, until an instant.
    async fn claim_event(
        &self,
        id: &EventId,
        until: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Result<Claim, StoreError>;

    /// Ends the attempt of that number; `false` if it is not in force any more.
    async fn finish_event(
        &self,
        id: &EventId,
        attempt: u32,
        outcome: &EventOutcome,
        at: DateTime<Utc>,
    ) -> Result<bool, StoreError>;

    /// The event of that id.
    async fn event(&self, id: &EventId) -> Result<Option<BillingEvent>, StoreError>;

    /// Up to `limit` ids of events that can be claimed and arrived before an instant, in the order of their arrival.
    async fn due_events(
        &self,
        received_before: DateTime<Utc>,
        now: DateTime<Utc>,
        limit: usize,
    ) -> Result<Vec<EventId>, StoreError>;

    /// Inserts or replaces an invoice.
    async fn put_invoice(&self, invoice: &Invoice) -> Result<(), StoreError>;

    /// The invoices of a company, in descending order of (`created_at`, id).
    async fn list_invoices(
        &self,
        company: &CompanyId,
        page: &PageRequest,
    ) -> Result<Page<Invoice>, StoreError>;

    /// Replaces what is written down about plans.
    async fn replace_plan_features(&self, features: &[PlanFeature]) -> Result<(), StoreError>;

    /// What is written down about plans, in ascending order of (plan, feature).
    async fn plan_features(&self) -> Result<Vec<PlanFeature>, StoreError>;
}

macro_rules! forward {
    ($(fn $method:ident(&self $(, $argument:ident: $kind:ty)*) -> $output:ty;)+) => {
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<S: BillingStore + ?Sized> BillingStore for Arc<S> {
            $(async fn $method(&self $(, $argument: $kind)*) -> Result<$output, StoreError> {
                (**self).$method($($argument),*).await
            })+
        }
    };
}

forward! {
    fn insert_customer(&self, customer: &Customer) -> Customer;
    fn customer_of(&self, company: &CompanyId) -> Option<Customer>;
    fn customer(&self, id: &CustomerId) -> Option<Customer>;
    fn delete_customer(&self, id: &CustomerId, at: DateTime<Utc>) -> bool;
    fn lock(&self, company: &CompanyId, until: DateTime<Utc>, now: DateTime<Utc>) -> Option<BillingLock>;
    fn unlock(&self, lock: &BillingLock) -> ();
    fn put_synced_subscription(
        &self, lock: &BillingLock, subscription: &Subscription, at: DateTime<Utc>
    ) -> Option<Revision>;
    fn begin_operation(&self, operation: &Operation) -> Begun;
    fn finish_operation(&self, id: &OperationId, result: &OperationResult, at: DateTime<Utc>) -> bool;
    fn receive_event(&self, event: &NewEvent, at: DateTime<Utc>) -> Received;
    fn claim_event(&self, id: &EventId, until: DateTime<Utc>, now: DateTime<Utc>) -> Claim;
    fn finish_event(&self, id: &EventId, attempt: u32, outcome: &EventOutcome, at: DateTime<Utc>) -> bool;
    fn event(&self, id: &EventId) -> Option<BillingEvent>;
    fn due_events(&self, received_before: DateTime<Utc>, now: DateTime<Utc>, limit: usize) -> Vec<EventId>;
    fn put_invoice(&self, invoice: &Invoice) -> ();
    fn list_invoices(&self, company: &CompanyId, page: &PageRequest) -> Page<Invoice>;
    fn replace_plan_features(&self, features: &[PlanFeature]) -> ();
    fn plan_features(&self) -> Vec<PlanFeature>;
}
