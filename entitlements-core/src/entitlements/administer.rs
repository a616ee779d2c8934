//! Administering: grants and policies, checked against the catalog before they are stored.

use chrono::{DateTime, Datelike, Utc};

use super::{Entitlements, new_id};
use crate::catalog::FeatureKind;
use crate::error::Error;
use crate::facts::Revision;
use crate::grant::{Grant, GrantKind, ResourcePattern};
use crate::id::{CompanyId, FeatureKey, GrantId, PolicyId, UserId};
use crate::policy::Policy;
use crate::store::{Inserted, Page, PageRequest};
use crate::{ActionSet, Amount};

/// A grant to be made.
///
/// ```
/// use entitlements_core::NewGrant;
/// use entitlements_core::id::{CompanyId, FeatureKey};
///
/// let grant = NewGrant::new(CompanyId::new("acme")?, FeatureKey::new("forecast")?);
/// assert_eq!(grant.amount, None);
/// # Ok::<(), entitlements_core::id::InvalidId>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewGrant {
    /// The grant's id; generated if absent.
    pub id: Option<GrantId>,
    /// Who is entitled.
    pub company: CompanyId,
    /// Only this user of the company.
    pub user: Option<UserId>,
    /// The feature.
    pub feature: FeatureKey,
    /// The actions.
    pub actions: ActionSet,
    /// Which resources; `None` is every request.
    pub resource: Option<ResourcePattern>,
    /// Units of a meter; `None` is unlimited. Only meters take an amount.
    pub amount: Option<Amount>,
    /// Why it is made.
    pub kind: GrantKind,
    /// The first instant at which it counts; now if absent.
    pub starts_at: Option<DateTime<Utc>>,
    /// The first instant at which it no longer counts; never if absent.
    pub ends_at: Option<DateTime<Utc>>,
    /// A note for people.
    pub reason: Option<String>,
}

impl NewGrant {
    /// A manual grant of every action of `feature` to `company`, from now on, without an end.
    #[must_use]
    pub const fn new(company: CompanyId, feature: FeatureKey) -> Self {
        Self {
            id: None,
            company,
            user: None,
            feature,
            actions: ActionSet::ALL,
            resource: None,
            amount: None,
            kind: GrantKind::Manual,
            starts_at: None,
            ends_at: None,
            reason: None,
        }
    }
}

impl Entitlements {
    /// Makes a grant.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid) naming the field when the catalog does not know the feature, an amount is
    /// 0 or given for something that is no meter, or the end is not after the start and in the future;
    /// [`Taken`](crate::ErrorKind::Taken) when the id exists;
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Internal`](crate::ErrorKind::Internal) when the store fails.
    pub async fn grant(&self, new: NewGrant) -> Result<Grant, Error> {
        let grant = self.checked(new)?;
        let writing = self.writing(&grant.company);
        let inserted = self.0.store.insert_grant(&grant).await;
        writing
            .end(match &inserted {
                Ok(Inserted::Now(revision)) => Some(*revision),
                Ok(Inserted::Taken) | Err(_) => None,
            })
            .await;
        match inserted? {
            Inserted::Now(_) => Ok(grant),
            Inserted::Taken => Err(Error::taken("a grant's id")),
        }
    }

    /// The grant that is asked for, if the catalog and the calendar have nothing against it.
    pub(super) fn checked(&self, new: NewGrant) -> Result<Grant, Error> {
        let now = whole_micros(self.now());
        let catalog = self.0.catalog.load();
        let Some(feature) = catalog.feature(new.feature.as_str()) else {
            return Err(Error::invalid("feature", format!("unknown feature `{}`", new.feature)));
        };
        if new.actions.is_empty() {
            return Err(Error::invalid("actions", "must not be empty"));
        }
        if let Some(amount) = new.amount {
            if feature.kind() != FeatureKind::Meter {
                let message =
                    format!("`{}` is a {}, and only meters take an amount", feature.key(), feature.kind());
                return Err(Error::invalid("amount", message));
            }
            if amount.is_zero() {
                return Err(Error::invalid("amount", "must be at least 1"));
            }
            if new.actions != ActionSet::ALL {
                return Err(Error::invalid("actions", "a grant with an amount covers every action"));
            }
            if new.resource.is_some() {
                return Err(Error::invalid("resource", "a grant with an amount covers every resource"));
            }
        }
        for (field, instant) in [("startsAt", new.starts_at), ("endsAt", new.ends_at)] {
            if instant.is_some_and(|instant| !(0..=9999).contains(&instant.year())) {
                return Err(Error::invalid(field, "must lie in the years 0000 to 9999"));
            }
        }
        let starts_at = new.starts_at.map_or(now, whole_micros);
        let ends_at = new.ends_at.map(whole_micros);
        if let Some(end) = ends_at {
            if end <= starts_at {
                return Err(Error::invalid("endsAt", "must be after `startsAt`"));
            }
            if end <= now {
                return Err(Error::invalid("endsAt", "must be in the future"));
            }
        }
        let id = match new.id {
            Some(id) => id,
            None => GrantId::new(new_id(now)).map_err(|error| Error::invalid("id", error.to_string()))?,
        };
        Ok(Grant {
            id,
            company: new.company,
            user: new.user,
            feature: new.feature,
            actions: new.actions,
            resource: new.resource,
            amount: new.amount,
            kind: new.kind,
            starts_at,
            ends_at,
            reason: new.reason,
            created_at: now,
            voided_at: None,
        })
    }

    /// Voids a grant, at once; `None` if there is none, or it was voided before.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Internal`](crate::ErrorKind::Internal) when the store fails.
    pub async fn void(&self, grant: &GrantId) -> Result<Option<Revision>, Error> {
        let Some(known) = self.0.store.find_grant(grant).await? else { return Ok(None) };
        let writing = self.writing(&known.company);
        let voided = self.0.store.void_grant(grant, self.now()).await;
        writing.end(voided.as_ref().ok().copied().flatten()).await;
        Ok(voided?)
    }

    /// The grants of a company, voided ones included.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Internal`](crate::ErrorKind::Internal) when the store fails.
    pub async fn grants(&self, company: &CompanyId, page: &PageRequest) -> Result<Page<Grant>, Error> {
        Ok(self.0.store.list_grants(company, page).await?)
    }

    /// Stores a new policy.
    ///
    /// # Errors
    ///
    /// [`Invalid`](crate::ErrorKind::Invalid) naming the field when the target names an unknown feature;
    /// [`Taken`](crate::ErrorKind::Taken) when the id exists;
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Internal`](crate::ErrorKind::Internal) when the store fails.
    pub async fn insert_policy(&self, policy: &Policy) -> Result<Revision, Error> {
        self.check_policy(policy)?;
        match self.0.store.insert_policy(policy).await? {
            Inserted::Now(revision) => {
                self.policies_changed(Some(revision)).await;
                Ok(revision)
            }
            Inserted::Taken => Err(Error::taken("a policy's id")),
        }
    }

    /// Replaces the policy of the same id; `None` if there is none.
    ///
    /// # Errors
    ///
    /// As [`insert_policy`](Self::insert_policy), save that a known id is what it asks for.
    pub async fn replace_policy(&self, policy: &Policy) -> Result<Option<Revision>, Error> {
        self.check_policy(policy)?;
        let replaced = self.0.store.replace_policy(policy).await?;
        self.policies_changed(replaced).await;
        Ok(replaced)
    }

    /// Removes a policy; `None` if there is none.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Internal`](crate::ErrorKind::Internal) when the store fails.
    pub async fn remove_policy(&self, id: &PolicyId) -> Result<Option<Revision>, Error> {
        let removed = self.0.store.remove_policy(id).await?;
        self.policies_changed(removed).await;
        Ok(removed)
    }

    /// The policy of that id.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Internal`](crate::ErrorKind::Internal) when the store fails.
    pub async fn policy(&self, id: &PolicyId) -> Result<Option<Policy>, Error> {
        Ok(self.0.store.find_policy(id).await?)
    }

    /// Policies in ascending order of ids.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Internal`](crate::ErrorKind::Internal) when the store fails.
    pub async fn policies(&self, page: &PageRequest) -> Result<Page<Policy>, Error> {
        Ok(self.0.store.list_policies(page).await?)
    }

    fn check_policy(&self, policy: &Policy) -> Result<(), Error> {
        let catalog = self.0.catalog.load();
        for feature in policy.target.features.iter().flatten() {
            if catalog.feature(feature.as_str()).is_none() {
                return Err(Error::invalid("target.features", format!("unknown feature `{feature}`")));
            }
        }
        Ok(())
    }
}

/// An instant as stores keep it: in whole microseconds, cut.
fn whole_micros(instant: DateTime<Utc>) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(instant.timestamp_micros()).unwrap_or(instant)
}
