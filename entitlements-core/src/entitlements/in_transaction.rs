//! Consuming, refunding and granting inside the caller's own transaction: what is counted and what the caller stores beside
//! it happen together, or not at all.
//!
//! Nothing that a transaction has seen is kept in memory: it may never have happened. What is known of the company is
//! forgotten when the call ends, but others may load it again before the commit; so it is best forgotten once more
//! [after it](Entitlements::invalidate).

use std::sync::Arc;

use chrono::{DateTime, Utc};

use super::consume::ROUNDS;
use super::{Consume, Consumption, Entitlements, NewGrant};
use crate::catalog::Catalog;
use crate::decision::{Decision, Reason};
use crate::error::Error;
use crate::evaluate::{evaluate, plan_debit};
use crate::facts::Revision;
use crate::grant::Grant;
use crate::id::{CompanyId, GrantId, ReceiptId};
use crate::observer::{Event, Tier};
use crate::policy::PolicySet;
use crate::request::Request;
use crate::snapshot::Snapshot;
use crate::store::{Inserted, StoreError, TransactionStore};
use crate::usage::{DebitOutcome, Receipt};

impl Entitlements {
    /// Decides a request from what the transaction sees, its own changes included.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Internal`](crate::ErrorKind::Internal) when the store fails.
    pub async fn check_in(
        &self,
        transaction: &mut (dyn TransactionStore + '_),
        request: &Request<'_>,
    ) -> Result<Decision, Error> {
        let begun = self.begin();
        let (catalog, now) = (self.0.catalog.load_full(), self.now());
        let snapshot = self.seen_by(transaction, &request.subject.company, &catalog, now).await?;
        let decision = evaluate(request, &snapshot, &catalog, now);
        self.decided(request, &decision, Tier::Store, now, begun);
        Ok(decision)
    }

    /// Takes units from a meter as [`consume`](Self::consume) does, as a part of the caller's transaction: the units are
    /// taken if and when the caller commits. A refusal changes nothing, and leaves the transaction usable.
    ///
    /// The counters stay locked until the transaction ends, so it is best to consume last, and to commit soon. The handle
    /// keeps no deadline here: a statement that is given up leaves the transaction in no state to go on.
    /// Observers see the units as taken before it is known whether the caller commits.
    ///
    /// # Errors
    ///
    /// As [`consume`](Self::consume). After an error of the store the transaction is best rolled back.
    pub async fn consume_in(
        &self,
        transaction: &mut (dyn TransactionStore + '_),
        consume: &Consume<'_>,
    ) -> Result<Consumption, Error> {
        let begun = self.begin();
        let (receipt, key) = consume.named(self.now())?;
        let request = consume.request();
        let company = &consume.subject.company;
        let mut round = 1;
        loop {
            let catalog = self.0.catalog.load_full();
            consume.check(&catalog)?;
            let now = self.now();
            let snapshot = self.seen_by(transaction, company, &catalog, now).await?;
            let decision = evaluate(&request, &snapshot, &catalog, now);
            let Some(plan) = plan_debit(&request, &decision, &snapshot, &catalog, now) else {
                if consume.key.is_some()
                    && let Some(first) = transaction.receipt(company, &key).await?
                {
                    return consume.again(first);
                }
                self.decided(&request, &decision, Tier::Store, now, begun);
                return Ok(Consumption::Refused(decision));
            };
            let debit = consume.debit(&key, &receipt, plan, now)?;
            let forgetting = self.0.snapshots.expiring(company);
            let outcome = transaction.debit(&debit).await;
            drop(forgetting);
            let outcome = outcome?;
            self.observe(&Event::Debited { company, meter: consume.meter, outcome: &outcome });
            match outcome {
                DebitOutcome::Recorded(receipt) => {
                    self.decided(&request, &decision, Tier::Store, now, begun);
                    return Ok(Consumption::Recorded { decision, receipt });
                }
                DebitOutcome::Duplicate(receipt) => return Ok(Consumption::Duplicate(receipt)),
                DebitOutcome::Conflict => return Err(Error::conflict()),
                // Others have committed in between, and the transaction sees it.
                DebitOutcome::Refused if round < ROUNDS => round += 1,
                DebitOutcome::Refused => {
                    let denial = Decision { reason: Reason::QuotaExceeded, ..decision };
                    self.decided(&request, &denial, Tier::Store, now, begun);
                    return Ok(Consumption::Refused(denial));
                }
            }
        }
    }

    /// Gives back what a receipt took, as [`refund`](Self::refund) does, as a part of the caller's transaction.
    ///
    /// # Errors
    ///
    /// As [`refund`](Self::refund). After an error of the store the transaction is best rolled back.
    pub async fn refund_in(
        &self,
        transaction: &mut (dyn TransactionStore + '_),
        company: &CompanyId,
        receipt: &ReceiptId,
    ) -> Result<Option<Receipt>, Error> {
        let forgetting = self.0.snapshots.expiring(company);
        let refunded = transaction.refund(company, receipt, self.now()).await;
        drop(forgetting);
        let refunded = refunded?;
        if let Some(receipt) = &refunded {
            let (meter, amount) = (receipt.meter.as_str(), receipt.amount);
            self.observe(&Event::Refunded { company, meter, amount });
        }
        Ok(refunded)
    }

    /// Makes a grant as [`grant`](Self::grant) does, as a part of the caller's transaction. Call
    /// [`invalidate`](Self::invalidate) after the commit, and the grant counts everywhere at once.
    ///
    /// Until the transaction ends, other writes that change what a company may do wait for it.
    ///
    /// # Errors
    ///
    /// As [`grant`](Self::grant). After an error of the store the transaction is best rolled back.
    pub async fn grant_in(
        &self,
        transaction: &mut (dyn TransactionStore + '_),
        new: NewGrant,
    ) -> Result<Grant, Error> {
        let grant = self.checked(new)?;
        let forgetting = self.0.snapshots.expiring(&grant.company);
        let inserted = transaction.insert_grant(&grant).await;
        drop(forgetting);
        match inserted? {
            Inserted::Now(_) => Ok(grant),
            Inserted::Taken => Err(Error::taken("a grant's id")),
        }
    }

    /// Voids a grant as [`void`](Self::void) does, as a part of the caller's transaction. Call
    /// [`invalidate`](Self::invalidate) after the commit, and it is seen everywhere at once.
    ///
    /// # Errors
    ///
    /// As [`void`](Self::void). After an error of the store the transaction is best rolled back.
    pub async fn void_in(
        &self,
        transaction: &mut (dyn TransactionStore + '_),
        grant: &GrantId,
    ) -> Result<Option<Revision>, Error> {
        let Some(known) = transaction.find_grant(grant).await? else { return Ok(None) };
        let forgetting = self.0.snapshots.expiring(&known.company);
        let voided = transaction.void_grant(grant, self.now()).await;
        drop(forgetting);
        Ok(voided?)
    }

    /// What the transaction sees of a company. Policies that only it sees are not kept either.
    async fn seen_by(
        &self,
        transaction: &mut (dyn TransactionStore + '_),
        company: &CompanyId,
        catalog: &Catalog,
        now: DateTime<Utc>,
    ) -> Result<Snapshot, StoreError> {
        let facts = transaction.load(company, now).await?;
        let known = |set: &Arc<PolicySet>| {
            set.revision() == facts.policies_revision && set.catalog() == catalog.hash()
        };
        let policies = match self.0.policies.load_full().filter(known) {
            Some(policies) => policies,
            None => Arc::new(PolicySet::compile(&transaction.policies().await?, catalog)),
        };
        Ok(Snapshot::new(facts, policies, catalog))
    }
}
