//! What the two must agree in.

use std::fmt::Debug;

use super::{COMPANIES, Model};
use crate::billing::UsageOutbox as _;
use crate::facts::{Facts, Revision};
use crate::store::{
    Inserted, SnapshotStore as _, Store, StoreError, StoreErrorKind, SubscriptionStore as _, UsageStore as _,
};
use crate::testkit::Part;
use crate::testkit::fixtures::{company, subscription_id};
use crate::testkit::random::FEW;
use crate::usage::UsageAlert;

impl<S: Store> Model<'_, S> {
    /// The alerts that wait, the same in both; those of one debit may come in any order.
    pub(super) async fn pending(&self) -> Vec<UsageAlert> {
        let expected = in_order(self.memory.pending_alerts(usize::MAX >> 1).await.unwrap());
        let actual = in_order(self.store.pending_alerts(usize::MAX >> 1).await.unwrap());
        assert_eq!(actual, expected, "{}", self.place);
        expected
    }

    /// Whether what decisions see of a company is the same.
    pub(super) async fn compare_facts(&mut self, name: &str) {
        let company = company(name);
        let expected = sorted(self.memory.load(&company, self.clock).await.unwrap());
        let mut actual = sorted(self.store.load(&company, self.clock).await.unwrap());
        self.align(expected.revision, actual.revision);
        self.align(expected.policies_revision, actual.policies_revision);
        actual.revision = expected.revision;
        actual.policies_revision = expected.policies_revision;
        assert_eq!(actual, expected, "{}: load", self.place);
    }

    pub(super) async fn compare_everything(&mut self) {
        for name in COMPANIES {
            self.compare_facts(name).await;
        }
        for id in FEW.map(subscription_id) {
            let expected = self.memory.subscription_history(&id).await;
            let actual = self.store.subscription_history(&id).await;
            self.same(expected, actual, &id);
            let expected = self.memory.subscription(&id).await;
            let actual = self.store.subscription(&id).await;
            self.same(expected, actual, &id);
        }
        let expected = self.memory.policies().await.unwrap();
        let actual = self.store.policies().await.unwrap();
        self.align(expected.revision, actual.revision);
        assert_eq!(actual.policies, expected.policies, "{}: policies", self.place);
        self.pending().await;
        if self.capabilities.has(Part::Audit) {
            self.compare_rows(0, usize::MAX >> 1).await;
        }
        if let Some(store) = self.outbox {
            let expected = self.memory.unsettled_usage().await;
            self.same(expected, store.unsettled_usage().await, &"unsettled usage");
        }
    }

    pub(super) fn same<T: Debug + PartialEq>(
        &self,
        expected: Result<T, StoreError>,
        actual: Result<T, StoreError>,
        what: &impl Debug,
    ) {
        assert_eq!(kinds(actual), kinds(expected), "{}: {what:?}", self.place);
    }

    pub(super) fn same_revision(
        &mut self,
        expected: Result<Revision, StoreError>,
        actual: Result<Revision, StoreError>,
        what: &impl Debug,
    ) {
        self.same_optional_revision(expected.map(Some), actual.map(Some), what);
    }

    pub(super) fn same_insertion(
        &mut self,
        expected: Result<Inserted, StoreError>,
        actual: Result<Inserted, StoreError>,
        what: &impl Debug,
    ) {
        let revision = |inserted| match inserted {
            Inserted::Now(revision) => Some(revision),
            Inserted::Taken => None,
        };
        self.same_optional_revision(expected.map(revision), actual.map(revision), what);
    }

    pub(super) fn same_optional_revision(
        &mut self,
        expected: Result<Option<Revision>, StoreError>,
        actual: Result<Option<Revision>, StoreError>,
        what: &impl Debug,
    ) {
        match (kinds(expected), kinds(actual)) {
            (Ok(Some(expected)), Ok(Some(actual))) => self.align(expected, actual),
            (expected, actual) => assert_eq!(actual, expected, "{}: {what:?}", self.place),
        }
    }

    /// The two revisions must mean the same point of the history.
    pub(super) fn align(&mut self, expected: Revision, actual: Revision) {
        let known = *self.revisions.entry(expected).or_insert(actual);
        assert_eq!(known, actual, "{}: revision {expected} was {known} before", self.place);
        let before = self.revisions.range(..expected).next_back().map(|(_, revision)| *revision);
        let after = self.revisions.range(Revision(expected.0 + 1)..).next().map(|(_, revision)| *revision);
        let ordered = before.is_none_or(|b| b < actual) && after.is_none_or(|a| actual < a);
        assert!(ordered, "{}: revision {actual} is out of order", self.place);
    }
}

/// Alerts in an order that does not depend on the store.
pub(super) fn in_order(mut alerts: Vec<UsageAlert>) -> Vec<UsageAlert> {
    alerts.sort_by_key(|a| {
        let counter = (a.meter.clone(), a.bucket.clone(), a.period_start);
        (a.at, a.company.clone(), counter, a.percent, a.threshold)
    });
    alerts
}

/// An error as what a caller acts upon.
fn kinds<T>(result: Result<T, StoreError>) -> Result<T, StoreErrorKind> {
    result.map_err(|error| error.kind())
}

/// Facts whose lists are in one order, without counters of zero.
fn sorted(mut facts: Facts) -> Facts {
    facts.subscriptions.sort_by(|a, b| a.id.cmp(&b.id));
    facts.addons.sort_by(|a, b| a.addon.cmp(&b.addon));
    facts.overrides.sort_by(|a, b| a.feature.cmp(&b.feature));
    facts.grants.sort_by(|a, b| a.id.cmp(&b.id));
    facts.gauges.retain(|level| !level.used.is_zero());
    facts.gauges.sort_by(|a, b| a.gauge.cmp(&b.gauge));
    facts.usage.retain(|counter| !counter.used.is_zero());
    facts
        .usage
        .sort_by(|a, b| (&a.meter, &a.bucket, a.period_start).cmp(&(&b.meter, &b.bucket, b.period_start)));
    facts
}
