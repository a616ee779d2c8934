//! A store that can be taken away.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use entitlements_core::audit::{AuditEntry, AuditExport, AuditHead, AuditRecord};
use entitlements_core::facts::{AddOnQuantity, Facts, Override, Revision};
use entitlements_core::gauge::{AcquireOutcome, Holder, LevelOutcome};
use entitlements_core::grant::Grant;
use entitlements_core::id::{
    CompanyId, FeatureKey, GrantId, HolderId, IdempotencyKey, PolicyId, ReceiptId, SubscriptionId,
};
use entitlements_core::policy::Policy;
use entitlements_core::reservation::{CommitOutcome, Reservation, ReserveOutcome};
use entitlements_core::store::{
    AuditStore, ErasureStore, GaugeStore, GrantStore, Inserted, Page, PageRequest, Policies, PolicyStore,
    ReservationStore, SnapshotStore, StoreError, StoreErrorKind, SubscriptionStore, UsageStore,
};
use entitlements_core::subscription::Subscription;
use entitlements_core::testkit::fixtures::company;
use entitlements_core::usage::{Debit, DebitOutcome, Receipt, RecordOutcome, UsageAlert};
use entitlements_core::{Amount, Consume, Consumption, Entitlements, MemoryStore, Subject};
use tokio::sync::Notify;

/// How the store fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Weather {
    /// Not at all.
    #[default]
    Fair,
    /// Nothing is done.
    Down(StoreErrorKind),
    /// Debits are made, and the answer is lost.
    DebitsLost,
    /// The next debit is the last thing that is answered.
    DownAfterDebit,
    /// Debits never come back, made or not.
    DebitsHang { made: bool },
}

/// A store in memory that can be taken away.
#[derive(Clone, Debug, Default)]
pub(crate) struct FlakyStore {
    pub(crate) memory: Arc<MemoryStore>,
    weather: Arc<Mutex<Weather>>,
    hanging: Arc<Notify>,
    greedy: Arc<Mutex<Option<Entitlements>>>,
}

impl FlakyStore {
    pub(crate) fn set(&self, weather: Weather) {
        *self.weather.lock().unwrap() = weather;
    }

    /// From now on somebody waits for tokens of `starter-co`, and takes whatever is given back at once.
    pub(crate) fn let_others_wait(&self, entitlements: &Entitlements) {
        *self.greedy.lock().unwrap() = Some(entitlements.clone());
    }

    async fn given_back(&self) {
        let Some(entitlements) = self.greedy.lock().unwrap().clone() else { return };
        let other = Subject::company(company("starter-co"));
        while let Ok(Consumption::Recorded { .. }) =
            entitlements.consume(&Consume::new(&other, "tokens", Amount::ONE)).await
        {}
    }

    /// What becomes of an answer about units that were taken.
    async fn answer<T>(&self, outcome: T) -> Result<T, StoreError> {
        match self.weather() {
            Weather::DebitsLost => Err(StoreError::new(StoreErrorKind::Unavailable, "hear of a debit")),
            Weather::DebitsHang { .. } => self.hang().await,
            Weather::DownAfterDebit => {
                self.set(Weather::Down(StoreErrorKind::Unavailable));
                Ok(outcome)
            }
            _ => Ok(outcome),
        }
    }

    /// Waits until a debit hangs.
    pub(crate) async fn until_a_debit_hangs(&self) {
        self.hanging.notified().await;
    }

    async fn hang<T>(&self) -> T {
        self.hanging.notify_one();
        std::future::pending().await
    }

    fn weather(&self) -> Weather {
        *self.weather.lock().unwrap()
    }

    fn up(&self) -> Result<&MemoryStore, StoreError> {
        match self.weather() {
            Weather::Down(kind) => Err(StoreError::new(kind, "reach the store")),
            _ => Ok(&self.memory),
        }
    }
}

macro_rules! forward {
    ($trait:ident { $(fn $method:ident(&self $(, $argument:ident: $kind:ty)*) -> $output:ty;)+ }) => {
        #[async_trait]
        impl $trait for FlakyStore {
            $(async fn $method(&self $(, $argument: $kind)*) -> Result<$output, StoreError> {
                self.up()?.$method($($argument),*).await
            })+
        }
    };
}

forward!(SnapshotStore {
    fn load(&self, company: &CompanyId, now: DateTime<Utc>) -> Facts;
    fn policies(&self) -> Policies;
});

forward!(SubscriptionStore {
    fn put_subscription(&self, subscription: &Subscription, at: DateTime<Utc>) -> Revision;
    fn subscription(&self, id: &SubscriptionId) -> Option<Subscription>;
    fn subscription_history(&self, id: &SubscriptionId) -> Vec<(DateTime<Utc>, Subscription)>;
    fn put_addon(&self, company: &CompanyId, addon: &AddOnQuantity) -> Revision;
    fn put_override(&self, company: &CompanyId, value: &Override) -> Revision;
    fn remove_override(&self, company: &CompanyId, feature: &FeatureKey) -> Option<Revision>;
});

forward!(GrantStore {
    fn insert_grant(&self, grant: &Grant) -> Inserted;
    fn find_grant(&self, id: &GrantId) -> Option<Grant>;
    fn void_grant(&self, id: &GrantId, at: DateTime<Utc>) -> Option<Revision>;
    fn list_grants(&self, company: &CompanyId, page: &PageRequest) -> Page<Grant>;
});

forward!(PolicyStore {
    fn insert_policy(&self, policy: &Policy) -> Inserted;
    fn replace_policy(&self, policy: &Policy) -> Option<Revision>;
    fn remove_policy(&self, id: &PolicyId) -> Option<Revision>;
    fn find_policy(&self, id: &PolicyId) -> Option<Policy>;
    fn list_policies(&self, page: &PageRequest) -> Page<Policy>;
});

forward!(AuditStore {
    fn append(&self, records: &[AuditRecord]) -> ();
    fn audit_page(&self, company: &CompanyId, page: &PageRequest) -> Page<AuditEntry>;
    fn expire_audit(&self, before: DateTime<Utc>) -> AuditHead;
    fn audit_rows(&self, after: u64, limit: usize) -> AuditExport;
});

forward!(ErasureStore {
    fn erase(&self, company: &CompanyId, at: DateTime<Utc>) -> Option<Revision>;
    fn expire(&self, before: DateTime<Utc>) -> u64;
});

#[async_trait]
impl ReservationStore for FlakyStore {
    async fn reserve(&self, debit: &Debit, expires_at: DateTime<Utc>) -> Result<ReserveOutcome, StoreError> {
        if self.weather() == (Weather::DebitsHang { made: false }) {
            return self.hang().await;
        }
        let outcome = self.up()?.reserve(debit, expires_at).await?;
        self.answer(outcome).await
    }

    async fn commit(
        &self,
        company: &CompanyId,
        reservation: &ReceiptId,
        actual: Amount,
        at: DateTime<Utc>,
    ) -> Result<Option<CommitOutcome>, StoreError> {
        let outcome = self.up()?.commit(company, reservation, actual, at).await?;
        self.given_back().await;
        Ok(outcome)
    }

    async fn release_reservation(
        &self,
        company: &CompanyId,
        reservation: &ReceiptId,
        at: DateTime<Utc>,
    ) -> Result<Option<Reservation>, StoreError> {
        let released = self.up()?.release_reservation(company, reservation, at).await?;
        self.given_back().await;
        Ok(released)
    }

    async fn reservation(
        &self,
        company: &CompanyId,
        key: &IdempotencyKey,
    ) -> Result<Option<Reservation>, StoreError> {
        self.up()?.reservation(company, key).await
    }
}

forward!(GaugeStore {
    fn acquire(
        &self, company: &CompanyId, gauge: &FeatureKey, holder: &HolderId, limit: Option<Amount>, at: DateTime<Utc>
    ) -> AcquireOutcome;
    fn release(&self, company: &CompanyId, gauge: &FeatureKey, holder: &HolderId) -> bool;
    fn set_level(
        &self, company: &CompanyId, gauge: &FeatureKey, level: Amount, limit: Option<Amount>
    ) -> LevelOutcome;
    fn list_holders(&self, company: &CompanyId, gauge: &FeatureKey, page: &PageRequest) -> Page<Holder>;
});

#[async_trait]
impl UsageStore for FlakyStore {
    async fn debit(&self, debit: &Debit) -> Result<DebitOutcome, StoreError> {
        if self.weather() == (Weather::DebitsHang { made: false }) {
            return self.hang().await;
        }
        let outcome = self.up()?.debit(debit).await?;
        self.answer(outcome).await
    }

    async fn record(&self, company: &CompanyId, events: &[Debit]) -> Result<Vec<RecordOutcome>, StoreError> {
        self.up()?.record(company, events).await
    }

    async fn refund(
        &self,
        company: &CompanyId,
        receipt: &ReceiptId,
        at: DateTime<Utc>,
    ) -> Result<Option<Receipt>, StoreError> {
        let refunded = self.up()?.refund(company, receipt, at).await?;
        self.given_back().await;
        Ok(refunded)
    }

    async fn receipt(
        &self,
        company: &CompanyId,
        key: &IdempotencyKey,
    ) -> Result<Option<Receipt>, StoreError> {
        self.up()?.receipt(company, key).await
    }

    async fn pending_alerts(&self, limit: usize) -> Result<Vec<UsageAlert>, StoreError> {
        self.up()?.pending_alerts(limit).await
    }

    async fn claim_alerts(
        &self,
        until: DateTime<Utc>,
        now: DateTime<Utc>,
        limit: usize,
    ) -> Result<Vec<UsageAlert>, StoreError> {
        self.up()?.claim_alerts(until, now, limit).await
    }

    async fn acknowledge_alert(&self, alert: &UsageAlert) -> Result<(), StoreError> {
        self.up()?.acknowledge_alert(alert).await
    }
}
