//! Stores that are wrong in one way each: the store in memory, with a mistake in front of it.

#[path = "billing.rs"]
mod billing;
#[path = "gauges.rs"]
mod gauges;
#[path = "groups.rs"]
mod groups;
#[path = "log.rs"]
mod log;
#[path = "reservations.rs"]
mod reservations;

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use entitlements_core::facts::{AddOnQuantity, Facts, Override, Revision};
use entitlements_core::id::{
    CompanyId, FeatureKey, GrantId, IdempotencyKey, PolicyId, ReceiptId, SubscriptionId,
};
use entitlements_core::policy::Policy;
use entitlements_core::store::{
    GrantStore, Inserted, Page, PageRequest, Policies, PolicyStore, SnapshotStore, StoreError,
    SubscriptionStore, UsageStore,
};
use entitlements_core::usage::{Debit, DebitOutcome, Receipt, RecordOutcome, UsageAlert};
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
    CommitsAgain,
    CommitsWhatDoesNotFit,
    CountsHoldersAgain,
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
    ReleasesAnybody,
    ReleasesCommitted,
    RepeatsItems,
    ReplacesCustomers,
    ReturnsToTheFirst,
    SharesKeys,
    SharesReceipts,
    ShowsNumbersOfNow,
    StoresEventsAgain,
    SyncsWithoutTheLock,
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

#[async_trait]
impl UsageStore for Store {
    async fn debit(&self, debit: &Debit) -> Result<DebitOutcome> {
        let mut debit = debit.clone();
        match self.wrong {
            Wrong::ReadsThenWrites => return self.read_then_write(debit).await,
            Wrong::LooksUpThenWrites => return self.look_up_then_write(debit).await,
            Wrong::TurnsBuckets => debit.buckets.reverse(),
            Wrong::ForgetsTallies => debit.tallies.clear(),
            Wrong::ChecksOneQuota => {
                for bucket in &mut debit.buckets {
                    bucket.counters.iter_mut().skip(1).for_each(|counter| counter.limit = None);
                }
            }
            Wrong::KeepsRefusedKeys if self.notes.lock().unwrap().refused.contains(&debit.key) => {
                return Ok(DebitOutcome::Conflict);
            }
            Wrong::SharesKeys => {
                if let Some(first) = self.notes.lock().unwrap().seen.get(&debit.key) {
                    let same = first.is_same_call(&debit.meter, debit.amount, debit.user.as_ref());
                    let first = first.clone();
                    return Ok(if same { DebitOutcome::Duplicate(first) } else { DebitOutcome::Conflict });
                }
            }
            Wrong::IgnoresUsers => {
                if let Some(first) = self.memory.receipt(&debit.company, &debit.key).await? {
                    debit.user = first.user;
                }
            }
            _ => {}
        }
        let mut outcome = self.memory.debit(&debit).await?;
        self.note(&debit, &mut outcome).await?;
        Ok(outcome)
    }

    async fn record(&self, company: &CompanyId, events: &[Debit]) -> Result<Vec<RecordOutcome>> {
        if self.is(Wrong::RecordsOneByOne) || self.is(Wrong::RecordsUpToTheLimit) {
            let mut outcomes = Vec::new();
            for event in events {
                let limited = self.is(Wrong::RecordsUpToTheLimit);
                let event = if limited { event.clone() } else { event.clone().in_full() };
                outcomes.push(match self.memory.debit(&event).await? {
                    DebitOutcome::Duplicate(_) => RecordOutcome::Duplicate,
                    DebitOutcome::Conflict => RecordOutcome::Conflict,
                    DebitOutcome::Recorded(_) | DebitOutcome::Refused => RecordOutcome::Recorded,
                });
            }
            return Ok(outcomes);
        }
        self.memory.record(company, events).await
    }

    async fn refund(
        &self,
        company: &CompanyId,
        receipt: &ReceiptId,
        at: DateTime<Utc>,
    ) -> Result<Option<Receipt>> {
        let answer = self.memory.refund(company, receipt, at).await?;
        let again = answer.as_ref().is_some_and(|receipt| receipt.refunded_at != Some(at));
        if let Some(receipt) = answer.as_ref().filter(|_| again && self.is(Wrong::RefundsTwice)) {
            let mut notes = self.notes.lock().unwrap();
            let extra = notes.extra_refunds.entry(company.clone()).or_default();
            *extra = extra.saturating_add(receipt.amount);
        }
        Ok(answer)
    }

    async fn receipt(&self, company: &CompanyId, key: &IdempotencyKey) -> Result<Option<Receipt>> {
        let known = self.memory.receipt(company, key).await?;
        let left =
            self.notes.lock().unwrap().seen.get(key).filter(|_| self.is(Wrong::LeavesReceipts)).cloned();
        Ok(known.or(left))
    }

    async fn pending_alerts(&self, limit: usize) -> Result<Vec<UsageAlert>> {
        let mut alerts = self.memory.pending_alerts(limit).await?;
        alerts.extend(self.notes.lock().unwrap().repeated_alerts.iter().cloned());
        Ok(alerts)
    }

    async fn acknowledge_alert(&self, alert: &UsageAlert) -> Result<()> {
        self.memory.acknowledge_alert(alert).await
    }
}

impl Store {
    /// Asks whether there is room, and takes the units later.
    async fn read_then_write(&self, mut debit: Debit) -> Result<DebitOutcome> {
        let facts = self.memory.load(&debit.company, debit.at).await?;
        for counter in debit.buckets.iter_mut().flat_map(|bucket| &mut bucket.counters) {
            let known = facts.usage.iter().find(|c| c.meter == counter.meter && c.bucket == counter.bucket);
            let used = known.map_or(Amount::ZERO, |known| known.used);
            if counter.limit.is_some_and(|limit| limit.saturating_sub(used) < debit.amount) {
                return Ok(DebitOutcome::Refused);
            }
            counter.limit = None;
        }
        self.give_way().await;
        self.memory.debit(&debit).await
    }

    /// Asks whether the key is known, and takes the units later, under a key of its own.
    async fn look_up_then_write(&self, mut debit: Debit) -> Result<DebitOutcome> {
        if let Some(first) = self.notes.lock().unwrap().seen.get(&debit.key) {
            return Ok(DebitOutcome::Duplicate(first.clone()));
        }
        self.give_way().await;
        let key = debit.key.clone();
        debit.key = IdempotencyKey::new(debit.receipt.as_str()).unwrap();
        let outcome = self.memory.debit(&debit).await?;
        if let DebitOutcome::Recorded(receipt) = &outcome {
            self.notes.lock().unwrap().seen.insert(key, receipt.clone());
        }
        Ok(outcome)
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

    async fn note(&self, debit: &Debit, outcome: &mut DebitOutcome) -> Result<()> {
        match outcome {
            DebitOutcome::Refused => {
                self.notes.lock().unwrap().refused.insert(debit.key.clone());
            }
            DebitOutcome::Recorded(receipt) => {
                let mut notes = self.notes.lock().unwrap();
                notes.seen.insert(debit.key.clone(), receipt.clone());
                if self.is(Wrong::AlertsAgain) {
                    notes.repeated_alerts.extend(crossed_again(debit, receipt));
                }
            }
            DebitOutcome::Duplicate(receipt) if self.is(Wrong::ShowsNumbersOfNow) => {
                let facts = self.memory.load(&debit.company, debit.at).await?;
                receipt.used = facts.usage.first().map_or(Amount::ZERO, |counter| counter.used);
            }
            _ => {}
        }
        Ok(())
    }
}

/// The alerts that a debit crosses when nobody remembers which were raised before: all but the first time.
fn crossed_again(debit: &Debit, receipt: &Receipt) -> Vec<UsageAlert> {
    let first_time = debit.key.as_str() == "k0";
    let counters = debit.buckets.iter().flat_map(|bucket| &bucket.counters);
    let alerts = counters.flat_map(|counter| counter.alerts.iter().map(move |alert| (counter, *alert)));
    alerts
        .filter(|(_, (_, threshold))| !first_time && *threshold <= receipt.used)
        .map(|(counter, (percent, threshold))| UsageAlert {
            company: debit.company.clone(),
            meter: counter.meter.clone(),
            bucket: counter.bucket.clone(),
            period_start: counter.period.start,
            percent,
            threshold,
            used: receipt.used,
            at: debit.at,
        })
        .collect()
}
