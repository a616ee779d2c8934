//! Stores that are wrong in one way each: the store in memory, with a mistake in front of it.

#[path = "billing.rs"]
mod billing;
#[path = "gauges.rs"]
mod gauges;
#[path = "groups.rs"]
mod groups;
#[path = "log.rs"]
mod log;
#[path = "outbox.rs"]
mod outbox;
#[path = "reservations.rs"]
mod reservations;
#[path = "usage.rs"]
mod usage;

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use entitlements_core::facts::{AddOnQuantity, Facts, Override, Revision};
use entitlements_core::id::{CompanyId, FeatureKey, GrantId, IdempotencyKey, PolicyId, SubscriptionId};
use entitlements_core::policy::Policy;
use entitlements_core::store::{
    GrantStore, Inserted, Page, PageRequest, Policies, PolicyStore, SnapshotStore, StoreError,
    SubscriptionStore,
};
use entitlements_core::usage::{Receipt, UsageAlert};
use entitlements_core::{Amount, Grant, MemoryStore, Subscription};

/// How often a caller gives way before it goes on alone.
const PATIENCE: usize = 100_000;

type Result<T> = std::result::Result<T, StoreError>;

/// The mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    AddsPlanFeatures,
    AlertsAgain,
    AppendsAgain,
    BeginsAgain,
    ChecksOneQuota,
    ClaimsAgain,
    ClaimsAlertsAgain,
    CommitsAgain,
    CommitsWhatDoesNotFit,
    CountsHoldersAgain,
    DoesWhatItDisclaims,
    DoesWhatItRefuses,
    ErasesAgain,
    ErasesSilently,
    ExpiresLate,
    FinishesLate,
    FoldsCase,
    ForgetsTallies,
    GroupsByHalves,
    GroupsInReverse,
    IgnoresUsers,
    KeepsRefusedKeys,
    KeepsSalts,
    LeavesHoles,
    LeavesReceipts,
    ListsByPlace,
    LoadsEndedGrants,
    LooksUpThenWrites,
    MixesStates,
    NeverExpires,
    ReadsGaugesThenWrites,
    ReadsThenWrites,
    RecordsOneByOne,
    RecordsUpToTheLimit,
    RefundsTwice,
    RefusesHolders,
    RefusesLowerLevels,
    RefusesWhatItClaims,
    ReleasesAnybody,
    ReleasesCommitted,
    RepeatsItems,
    ReplacesCustomers,
    ReturnsToTheFirst,
    SharesKeys,
    SharesReceipts,
    ShowsNumbersOfNow,
    StopsAtTheFuture,
    StoresEventsAgain,
    SyncsWithoutTheLock,
    TakesLate,
    TurnsBuckets,
    VoidsSilently,
}

#[derive(Debug)]
pub(crate) struct Store {
    wrong: Wrong,
    memory: MemoryStore,
    notes: Mutex<Notes>,
    log: log::Notes,
    waiting: AtomicUsize,
}

#[derive(Debug, Default)]
struct Notes {
    refused: HashSet<IdempotencyKey>,
    seen: HashMap<IdempotencyKey, Receipt>,
    half_written: Option<Vec<AddOnQuantity>>,
    extra_refunds: HashMap<CompanyId, Amount>,
    repeated_alerts: Vec<UsageAlert>,
    /// Holders that were counted once more.
    again: u64,
}

impl Store {
    pub(crate) fn new(wrong: Wrong) -> Self {
        Self {
            wrong,
            memory: MemoryStore::default(),
            notes: Mutex::default(),
            log: log::Notes::default(),
            waiting: AtomicUsize::new(0),
        }
    }

    fn is(&self, wrong: Wrong) -> bool {
        self.wrong == wrong
    }

    /// Waits until many callers have got as far as this one, or there are none.
    async fn give_way(&self) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        for _ in 0..PATIENCE {
            if self.waiting.load(Ordering::SeqCst) >= 20 {
                return;
            }
            tokio::task::yield_now().await;
        }
    }
}

#[async_trait]
impl SnapshotStore for Store {
    async fn load(&self, company: &CompanyId, now: DateTime<Utc>) -> Result<Facts> {
        let mut facts = self.memory.load(company, now).await?;
        if self.is(Wrong::LoadsEndedGrants) {
            facts.grants = self.memory.load(company, DateTime::<Utc>::MIN_UTC).await?.grants;
        }
        if self.is(Wrong::VoidsSilently) && facts.grants.is_empty() {
            facts.revision = Revision(facts.revision.0.saturating_sub(1));
        }
        if let Some(before) = self.notes.lock().unwrap().half_written.clone() {
            facts.addons = before;
            self.waiting.fetch_add(1, Ordering::SeqCst);
        }
        if let Some(extra) = self.notes.lock().unwrap().extra_refunds.get(company) {
            for counter in &mut facts.usage {
                counter.used = counter.used.saturating_sub(*extra);
            }
        }
        for level in &mut facts.gauges {
            let again = Amount::new(self.notes.lock().unwrap().again).unwrap();
            level.used = level.used.saturating_add(again);
        }
        Ok(facts)
    }

    async fn policies(&self) -> Result<Policies> {
        self.memory.policies().await
    }
}

#[async_trait]
impl SubscriptionStore for Store {
    async fn put_subscription(&self, subscription: &Subscription, at: DateTime<Utc>) -> Result<Revision> {
        self.memory.put_subscription(subscription, at).await
    }

    async fn subscription(&self, id: &SubscriptionId) -> Result<Option<Subscription>> {
        self.memory.subscription(id).await
    }

    async fn subscription_history(&self, id: &SubscriptionId) -> Result<Vec<(DateTime<Utc>, Subscription)>> {
        self.memory.subscription_history(id).await
    }

    async fn put_addon(&self, company: &CompanyId, addon: &AddOnQuantity) -> Result<Revision> {
        if !self.is(Wrong::MixesStates) {
            return self.memory.put_addon(company, addon).await;
        }
        // The revision is written before the rest.
        let before = self.memory.load(company, DateTime::UNIX_EPOCH).await?.addons;
        self.notes.lock().unwrap().half_written = Some(before);
        let revision = self.memory.put_addon(company, addon).await;
        for _ in 0..PATIENCE {
            if self.waiting.load(Ordering::SeqCst) > 0 {
                break;
            }
            tokio::task::yield_now().await;
        }
        self.notes.lock().unwrap().half_written = None;
        revision
    }

    async fn put_override(&self, company: &CompanyId, value: &Override) -> Result<Revision> {
        self.memory.put_override(company, value).await
    }

    async fn remove_override(&self, company: &CompanyId, feature: &FeatureKey) -> Result<Option<Revision>> {
        self.memory.remove_override(company, feature).await
    }
}

#[async_trait]
impl GrantStore for Store {
    async fn insert_grant(&self, grant: &Grant) -> Result<Inserted> {
        self.memory.insert_grant(grant).await
    }

    async fn find_grant(&self, id: &GrantId) -> Result<Option<Grant>> {
        self.memory.find_grant(id).await
    }

    async fn void_grant(&self, id: &GrantId, at: DateTime<Utc>) -> Result<Option<Revision>> {
        self.memory.void_grant(id, at).await
    }

    async fn list_grants(&self, company: &CompanyId, page: &PageRequest) -> Result<Page<Grant>> {
        let mut answer = self.memory.list_grants(company, page).await?;
        if self.is(Wrong::RepeatsItems)
            && page.cursor.is_some()
            && let Some(first) = answer.items.first().cloned()
        {
            answer.items.insert(0, first);
            answer.items.truncate(page.limit.max(2));
        }
        Ok(answer)
    }
}

#[async_trait]
impl PolicyStore for Store {
    async fn insert_policy(&self, policy: &Policy) -> Result<Inserted> {
        let mut policy = policy.clone();
        if self.is(Wrong::FoldsCase) {
            policy.id = PolicyId::new(policy.id.as_str().to_lowercase()).unwrap();
        }
        self.memory.insert_policy(&policy).await
    }

    async fn replace_policy(&self, policy: &Policy) -> Result<Option<Revision>> {
        self.memory.replace_policy(policy).await
    }

    async fn remove_policy(&self, id: &PolicyId) -> Result<Option<Revision>> {
        self.memory.remove_policy(id).await
    }

    async fn find_policy(&self, id: &PolicyId) -> Result<Option<Policy>> {
        self.memory.find_policy(id).await
    }

    async fn list_policies(&self, page: &PageRequest) -> Result<Page<Policy>> {
        self.memory.list_policies(page).await
    }
}
