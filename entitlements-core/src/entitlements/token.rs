//! Freshness tokens: the revision of a write, shown by whoever wants to read it.

use super::Entitlements;
use crate::error::Error;
use crate::facts::Revision;
use crate::id::CompanyId;

impl Entitlements {
    /// Loads the company, if what is in memory does not show every write up to `revision`, and says up to which revision
    /// it does now. Afterwards calls about it are answered as [`check_at_least`](Self::check_at_least) would.
    ///
    /// A revision that does not exist yet costs one load, and what is returned is less.
    ///
    /// ```
    /// use entitlements_core::id::CompanyId;
    /// use entitlements_core::facts::{AddOnQuantity, Revision};
    /// use entitlements_core::{Amount, Catalog, Entitlements, MemoryStore};
    ///
    /// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
    /// let catalog: Catalog = "schema = 1\npast_due_grace = \"7d\"\n[features]\nexport = { type = \"flag\" }".parse()?;
    /// let entitlements = Entitlements::builder(catalog).store(MemoryStore::default()).build();
    /// let acme = CompanyId::new("acme")?;
    /// assert!(entitlements.catch_up(&acme, Revision(7)).await? < Revision(7));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Internal`](crate::ErrorKind::Internal) when the facts cannot
    /// be loaded, and the last known do not show the revision either.
    pub async fn catch_up(&self, company: &CompanyId, revision: Revision) -> Result<Revision, Error> {
        if let Some(seen) = self.shows(company, revision) {
            return Ok(seen);
        }
        let before = self.0.snapshots.loads();
        let mut seen = Revision::default();
        // What is found first may have been loaded, or somebody may be loading it, since before the write.
        for _ in 0..3 {
            let kept = match self.live(company, self.now()).await {
                Ok(kept) => kept,
                Err(error) => {
                    let last = self.0.snapshots.last(company, self.now());
                    let seen = last.map(|(kept, _)| kept.snapshot.seen());
                    return seen.filter(|seen| revision <= *seen).ok_or(error);
                }
            };
            seen = kept.snapshot.seen();
            if revision <= seen || before < kept.number {
                break;
            }
            self.0.snapshots.expire_kept(company, &kept);
        }
        Ok(seen)
    }

    /// The revision up to which what is in memory shows every write, if that is `revision` or later: whether
    /// [`catch_up`](Self::catch_up) has nothing to do.
    #[must_use]
    pub fn shows(&self, company: &CompanyId, revision: Revision) -> Option<Revision> {
        let seen = self.0.snapshots.young(company, self.now())?.snapshot.seen();
        (revision <= seen).then_some(seen)
    }

    /// The revision up to which the facts of a company show every write: a token for [`check_at_least`](Self::check_at_least)
    /// in any process, after a write that returned none. From memory, or else from the store.
    ///
    /// # Errors
    ///
    /// [`Unavailable`](crate::ErrorKind::Unavailable) or [`Internal`](crate::ErrorKind::Internal) when the facts cannot
    /// be loaded.
    pub async fn revision(&self, company: &CompanyId) -> Result<Revision, Error> {
        Ok(self.live(company, self.now()).await?.snapshot.seen())
    }
}
