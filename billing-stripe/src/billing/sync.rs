//! Storing what Stripe says: under the lock of the company, what was asked last.

use std::future::Future;
use std::time::Duration;

use chrono::TimeDelta;
use entitlements_core::audit::PSEUDONYM;
use entitlements_core::billing::{BillingError, BillingErrorKind, BillingLock, Customer};
use entitlements_core::id::{CompanyId, CustomerId};
use entitlements_core::{Subscription, SubscriptionStatus};

use super::Shared;
use super::invoice::invoice;
use crate::client::StripeErrorKind;
use crate::translate::{COMPANY_KEY, translate};
use crate::wire;

/// How long a lock is held at most, should its holder die.
const LEASE: TimeDelta = TimeDelta::seconds(60);

/// How long work under a lock may take: less than its lease, so that its holder asks nothing of Stripe after somebody else
/// has taken it.
const HELD: Duration = Duration::from_secs(45);

/// The first wait for a lock; it doubles.
const FIRST_WAIT: Duration = Duration::from_millis(20);

/// What became of asking for an object and storing it.
#[derive(Debug)]
pub(crate) enum Synced<T> {
    /// This is stored.
    Stored(T),
    /// Stripe does not know the object.
    Unknown,
}

/// Whose a customer is.
#[derive(Debug)]
pub(crate) enum Owner {
    Company(CompanyId),
    /// Of a company that was erased: nobody's, whatever the provider says about it later.
    Erased,
    Unknown,
}

impl Owner {
    /// The same, or what `other` says if nobody knows it.
    pub(crate) fn or_else(self, other: impl FnOnce() -> Option<CompanyId>) -> Self {
        match self {
            Self::Unknown => other().map_or(Self::Unknown, Self::Company),
            known => known,
        }
    }
}

/// Somebody took the lock while we held it: what we know may be old.
fn overtaken() -> BillingError {
    BillingError::new(BillingErrorKind::Unavailable, "another change of the company's billing is under way")
}

impl Shared {
    /// Takes the lock of a company, and waits a little for it.
    async fn lock(&self, company: &CompanyId) -> Result<BillingLock, BillingError> {
        let mut waited = Duration::ZERO;
        let mut wait = FIRST_WAIT;
        loop {
            let now = self.clock.now();
            if let Some(lock) = self.store.lock(company, now + LEASE, now).await? {
                return Ok(lock);
            }
            if waited >= self.patience {
                return Err(overtaken());
            }
            tokio::time::sleep(wait).await;
            waited += wait;
            wait *= 2;
        }
    }

    /// Works under the lock of a company, and then gives it back. Should that fail, its lease ends it.
    pub(crate) async fn locked<T, F>(
        &self,
        company: &CompanyId,
        work: impl FnOnce(BillingLock) -> F,
    ) -> Result<T, BillingError>
    where
        F: Future<Output = Result<T, BillingError>>,
    {
        let lock = self.lock(company).await?;
        let Ok(outcome) = tokio::time::timeout(HELD, work(lock.clone())).await else {
            // What was asked last may still be on its way: nobody else begins before the lease ends.
            let message = "the billing provider takes too long";
            return Err(BillingError::new(BillingErrorKind::Unavailable, message));
        };
        let _ = self.store.unlock(&lock).await;
        outcome
    }

    /// Stores a subscription that Stripe has just shown to a call of our own, and makes it count.
    pub(crate) async fn put(
        &self,
        lock: &BillingLock,
        shown: &wire::Subscription,
    ) -> Result<Subscription, BillingError> {
        let (state, is_new) = self.put_shown(lock, shown).await?;
        if !is_new {
            // Another process may have stored it, and what is in memory here may be older.
            self.entitlements.invalidate(&lock.company);
        }
        Ok(state)
    }

    /// Stores a subscription that Stripe has just shown. What is stored already is left alone, and nothing is forgotten.
    async fn put_shown(
        &self,
        lock: &BillingLock,
        shown: &wire::Subscription,
    ) -> Result<(Subscription, bool), BillingError> {
        let id = shown.id.parse().map_err(unusable)?;
        let before = self.store.subscription(&id).await?;
        let state = self.meaning(shown, &lock.company, before.as_ref()).await?;
        let is_new = before.as_ref() != Some(&state);
        if is_new {
            self.put_state(lock, &state).await?;
        }
        Ok((state, is_new))
    }

    /// What a subscription that Stripe shows means. While payments fail, Stripe is asked since when.
    pub(super) async fn meaning(
        &self,
        shown: &wire::Subscription,
        company: &CompanyId,
        before: Option<&Subscription>,
    ) -> Result<Subscription, BillingError> {
        let catalog = self.entitlements.catalog();
        let mut state = translate(shown, company, &self.prices, &catalog, before).map_err(unusable)?;
        if state.status == SubscriptionStatus::PastDue {
            // The oldest invoice that is not paid says it whenever it is asked; the newest is that of a later period.
            let unpaid = self.client.open_invoices(&shown.id).await?;
            let since = unpaid.iter().map(|it| it.status_transitions.finalized_at.unwrap_or(it.created));
            state.past_due_since = since.min().or(state.past_due_since);
        }
        Ok(state)
    }

    async fn put_state(&self, lock: &BillingLock, state: &Subscription) -> Result<(), BillingError> {
        let now = self.entitlements.now();
        let stored = self.store.put_synced_subscription(lock, state, now).await;
        // Also after a failure: it may have been stored all the same.
        self.entitlements.invalidate(&lock.company);
        stored?.map(drop).ok_or_else(overtaken)
    }

    /// Asks for a subscription and stores it.
    pub(crate) async fn sync_subscription(
        &self,
        lock: &BillingLock,
        id: &str,
    ) -> Result<Synced<Subscription>, BillingError> {
        match self.client.subscription(id).await {
            Ok(shown) => self.put_shown(lock, &shown).await.map(|(state, _)| Synced::Stored(state)),
            Err(error) if error.kind() == StripeErrorKind::NotFound => Ok(Synced::Unknown),
            Err(error) => Err(error.into()),
        }
    }

    /// Asks for an invoice and stores it, and so the subscription that it is for.
    pub(crate) async fn sync_invoice(
        &self,
        lock: &BillingLock,
        id: &str,
    ) -> Result<Synced<wire::Invoice>, BillingError> {
        let shown = match self.client.invoice(id).await {
            Ok(shown) => shown,
            Err(error) if error.kind() == StripeErrorKind::NotFound => return Ok(Synced::Unknown),
            Err(error) => return Err(error.into()),
        };
        self.store.put_invoice(&invoice(&shown, &lock.company).map_err(unusable)?).await?;
        if let Some(subscription) = shown.subscription() {
            self.sync_subscription(lock, subscription).await?;
        }
        Ok(Synced::Stored(shown))
    }

    /// Asks for every subscription and invoice of a company, and stores them.
    pub(crate) async fn sync_company(
        &self,
        lock: &BillingLock,
        customer: &CustomerId,
    ) -> Result<Vec<Subscription>, BillingError> {
        if !self.customer_is_gone(lock, customer).await? {
            self.sync_subscriptions(lock, customer).await?;
        }
        let mut after = None;
        loop {
            let page = match self.client.invoices(customer.as_str(), after.as_deref()).await {
                Ok(page) => page,
                Err(error) if error.kind() == StripeErrorKind::NotFound => break,
                Err(error) => return Err(error.into()),
            };
            for shown in &page.data {
                self.store.put_invoice(&invoice(shown, &lock.company).map_err(unusable)?).await?;
            }
            after = page.data.last().map(|invoice| invoice.id.clone());
            if after.is_none() || !page.has_more {
                break;
            }
        }
        Ok(self.store.load(&lock.company, self.entitlements.now()).await?.subscriptions)
    }

    /// Asks for every subscription of a customer, and stores them.
    pub(super) async fn sync_subscriptions(
        &self,
        lock: &BillingLock,
        customer: &CustomerId,
    ) -> Result<Vec<wire::Subscription>, BillingError> {
        let shown = match self.client.subscriptions(customer.as_str()).await {
            Ok(shown) => shown,
            Err(error) if error.kind() == StripeErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        for subscription in &shown {
            self.put_shown(lock, subscription).await?;
        }
        self.sync_unlisted(lock, &shown).await?;
        Ok(shown)
    }

    /// Whether a customer was deleted at Stripe; then it is here as well, and its subscriptions are over.
    pub(crate) async fn customer_is_gone(
        &self,
        lock: &BillingLock,
        id: &CustomerId,
    ) -> Result<bool, BillingError> {
        let gone = match self.client.customer(id.as_str()).await {
            Ok(shown) => shown.deleted,
            Err(error) if error.kind() == StripeErrorKind::NotFound => true,
            Err(error) => return Err(error.into()),
        };
        if gone {
            // First what it leaves behind: after a crash in between, it is asked for again.
            self.sync_unlisted(lock, &[]).await?;
            self.store.delete_customer(id, self.entitlements.now()).await?;
        }
        Ok(gone)
    }

    /// What is stored and was not listed: asked for by its id, and over if Stripe does not know it.
    async fn sync_unlisted(
        &self,
        lock: &BillingLock,
        listed: &[wire::Subscription],
    ) -> Result<(), BillingError> {
        let now = self.entitlements.now();
        let facts = self.store.load(&lock.company, now).await?;
        for known in facts.subscriptions {
            let over =
                matches!(known.status, SubscriptionStatus::Canceled | SubscriptionStatus::IncompleteExpired);
            if over || listed.iter().any(|listed| listed.id == known.id.as_str()) {
                continue;
            }
            if let Synced::Unknown = self.sync_subscription(lock, known.id.as_str()).await? {
                let ended = Subscription {
                    status: SubscriptionStatus::Canceled,
                    cancel_at: Some(now),
                    past_due_since: None,
                    ..known
                };
                self.put_state(lock, &ended).await?;
            }
        }
        Ok(())
    }

    /// The company of a customer: as it is stored, or else as the customer at Stripe says.
    pub(crate) async fn owner_of(&self, customer: &str) -> Result<Owner, BillingError> {
        let Ok(id) = CustomerId::new(customer) else { return Ok(Owner::Unknown) };
        if let Some(known) = self.store.customer(&id).await? {
            let is_erased = known.company.as_str().starts_with(PSEUDONYM);
            return Ok(if is_erased { Owner::Erased } else { Owner::Company(known.company) });
        }
        let shown = match self.client.customer(customer).await {
            Ok(shown) => shown,
            Err(error) if error.kind() == StripeErrorKind::NotFound => return Ok(Owner::Unknown),
            Err(error) => return Err(error.into()),
        };
        let Some(company) = company_in(&shown.metadata) else { return Ok(Owner::Unknown) };
        if !shown.deleted {
            let customer = Customer {
                id,
                company: company.clone(),
                livemode: self.client.is_live(),
                created_at: shown.created.unwrap_or_else(|| self.entitlements.now()),
                deleted_at: None,
            };
            self.store.insert_customer(&customer).await?;
        }
        Ok(Owner::Company(company))
    }
}

/// The company that metadata names.
pub(crate) fn company_in(metadata: &wire::Metadata) -> Option<CompanyId> {
    metadata.get(COMPANY_KEY).and_then(|text| CompanyId::new(text).ok())
}

/// Stripe showed something that cannot be stored.
pub(crate) fn unusable(error: impl std::error::Error + Send + Sync + 'static) -> BillingError {
    BillingError::new(BillingErrorKind::Internal, "Stripe's answer cannot be used").with_source(error)
}
