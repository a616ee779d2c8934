//! What a company has beside its usage: subscriptions, add-ons and overrides.

use super::Entitlements;
use crate::catalog::Entry;
use crate::error::Error;
use crate::facts::{AddOnQuantity, Override, Revision};
use crate::id::{CompanyId, FeatureKey};
use crate::subscription::Subscription;

impl Entitlements {
    /// Stores the state of a subscription, as the billing provider tells it. It counts at once.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Internal`](crate::ErrorKind::Internal) when the store fails.
    pub async fn put_subscription(&self, subscription: &Subscription) -> Result<Revision, Error> {
        let writing = self.writing(&subscription.company);
        let stored = self.0.store.put_subscription(subscription, self.now()).await;
        writing.end(stored.as_ref().ok().copied()).await;
        Ok(stored?)
    }

    /// Sets how many of an add-on a company has; 0 takes it away.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid) when the catalog does not know the add-on;
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Internal`](crate::ErrorKind::Internal) when the store fails.
    pub async fn put_addon(&self, company: &CompanyId, addon: &AddOnQuantity) -> Result<Revision, Error> {
        if self.catalog().addon(addon.addon.as_str()).is_none() {
            return Err(Error::invalid("addon", format!("unknown add-on `{}`", addon.addon)));
        }
        let writing = self.writing(company);
        let stored = self.0.store.put_addon(company, addon).await;
        writing.end(stored.as_ref().ok().copied()).await;
        Ok(stored?)
    }

    /// Sets what a company has of a feature instead of what its plan gives; `false` takes the feature away.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid) when the catalog does not know the feature, or the value is none that a
    /// plan could give; [`Unavailable`](crate::ErrorKind::Unavailable) or [`Internal`](crate::ErrorKind::Internal) when
    /// the store fails.
    pub async fn put_override(&self, company: &CompanyId, value: &Override) -> Result<Revision, Error> {
        let catalog = self.catalog();
        let Some(feature) = catalog.feature(value.feature.as_str()) else {
            return Err(Error::invalid("feature", format!("unknown feature `{}`", value.feature)));
        };
        Entry::from_json(feature, &value.value)
            .map_err(|error| Error::invalid("value", error.to_string()))?;
        let writing = self.writing(company);
        let stored = self.0.store.put_override(company, value).await;
        writing.end(stored.as_ref().ok().copied()).await;
        Ok(stored?)
    }

    /// Takes an override away; `None` if there was none.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Internal`](crate::ErrorKind::Internal) when the store fails.
    pub async fn remove_override(
        &self,
        company: &CompanyId,
        feature: &FeatureKey,
    ) -> Result<Option<Revision>, Error> {
        let writing = self.writing(company);
        let removed = self.0.store.remove_override(company, feature).await;
        writing.end(removed.as_ref().ok().copied().flatten()).await;
        Ok(removed?)
    }
}
