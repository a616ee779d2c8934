//! Freshness: what is forgotten when something changes, here and elsewhere.

use std::sync::{Arc, Weak};
use std::time::Duration;

use chrono::TimeDelta;

use super::{Entitlements, Newest, Shared};
use crate::bus::{Bus, Change, HEARTBEAT, Message, Subscription};
use crate::cache::{CacheStats, Forgetting};
use crate::decision::Decision;
use crate::decision_cache::{DecisionCacheStats, Scope};
use crate::error::Error;
use crate::facts::Revision;
use crate::id::CompanyId;
use crate::observer::Event;
use crate::request::Request;

/// A bus that was not heard for so many heartbeats is silent.
const SILENT: i32 = 3;

impl Entitlements {
    /// Decides a request from facts that show every write up to `revision`: the token that a write returned, or the
    /// `as_of` of a decision. So whoever wrote reads what was written, whichever process answers.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check).
    pub async fn check_at_least(&self, request: &Request<'_>, revision: Revision) -> Result<Decision, Error> {
        if let Some(decision) =
            self.warm(request, Some(&Newest { at_least: revision, max_age: TimeDelta::MAX }))
        {
            return Ok(decision);
        }
        self.0.snapshots.expire(&request.subject.company);
        self.check_cold(request, revision).await
    }

    /// Decides a request from facts that are younger than `max_staleness`. Zero asks the store.
    ///
    /// Only while the store cannot be reached are they older, as for every check; then the decision says so.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check).
    pub async fn check_within(
        &self,
        request: &Request<'_>,
        max_staleness: Duration,
    ) -> Result<Decision, Error> {
        let max_age = TimeDelta::from_std(max_staleness).unwrap_or(TimeDelta::MAX);
        if let Some(decision) = self.warm(request, Some(&Newest { at_least: Revision::default(), max_age })) {
            return Ok(decision);
        }
        self.0.snapshots.expire(&request.subject.company);
        self.check_store(request, Revision::default(), None, self.deadline(), true).await
    }

    /// Forgets what is known about a company, so that the next call asks the store; with a [`Runtime`](crate::Runtime)
    /// also in the shared cache and in other processes, in the background. Calls of this handle that change something do
    /// it themselves.
    pub fn invalidate(&self, company: &CompanyId) {
        self.heard(&Change::Company { company: company.clone(), revision: None });
        self.tell_later(Scope::Company(company.clone()));
    }

    /// Forgets what is known about every company, as [`invalidate`](Self::invalidate) does about one.
    pub fn invalidate_all(&self) {
        self.heard(&Change::Everything);
        self.tell_later(Scope::Everything);
    }

    /// Forgets here, in the shared cache and in every other process. For changes that were made behind the back of all
    /// handles.
    pub async fn invalidate_everywhere(&self, scope: &Scope) {
        let change = Change::of(scope);
        self.heard(&change);
        self.tell(scope.clone(), change).await;
    }

    /// How the cache of this process does.
    #[must_use]
    pub fn cache_stats(&self) -> CacheStats {
        self.0.snapshots.stats()
    }

    /// How the shared cache does; `None` if there is none, or it cannot be reached.
    pub async fn shared_cache_stats(&self) -> Option<DecisionCacheStats> {
        self.0.decisions.as_ref()?.cache.stats().await
    }

    /// Whether the bus was heard of late; `None` without one. Without it changes are seen as soon as what is in memory is
    /// too old.
    #[must_use]
    pub fn hears_the_bus(&self) -> Option<bool> {
        self.0.bus.as_ref()?;
        let heard = self.0.heard_at.load_full();
        let silence = TimeDelta::from_std(HEARTBEAT).unwrap_or_default() * SILENT;
        Some(heard.is_some_and(|heard| self.now().signed_duration_since(*heard).abs() < silence))
    }

    /// Begins a write that changes what a company may do: whatever becomes of it, what is known of the company is
    /// forgotten when it ends.
    pub(super) fn writing<'a>(&'a self, company: &'a CompanyId) -> Writing<'a> {
        let forgetting = self.0.snapshots.forgetting(company);
        Writing { handle: self, company, told: false, _forgetting: forgetting }
    }

    /// What a write to the policies leads to.
    pub(super) async fn policies_changed(&self, revision: Option<Revision>) {
        let Some(revision) = revision else { return };
        let change = Change::Policies { revision };
        self.heard(&change);
        self.tell(Scope::Everything, change).await;
    }

    /// Tells the others, without making anybody wait; without a runtime nobody is told.
    fn tell_later(&self, scope: Scope) {
        let Some(runtime) = &self.0.runtime else { return };
        if self.0.decisions.is_none() && self.0.bus.is_none() {
            return;
        }
        let handle = self.clone();
        runtime.spawn(Box::pin(async move {
            let change = Change::of(&scope);
            handle.tell(scope, change).await;
        }));
    }

    /// Tells the others.
    async fn tell(&self, scope: Scope, change: Change) {
        if let Some(shared) = &self.0.decisions {
            shared.cache.invalidate(&scope).await;
        }
        if let Some(bus) = &self.0.bus {
            bus.announce(&change).await;
        }
    }

    /// Forgets what a change makes wrong.
    fn heard(&self, change: &Change) {
        match change {
            Change::Company { company, revision: Some(revision) } => {
                self.knows(company, *revision);
                self.0.snapshots.invalidate_before(company, *revision);
            }
            Change::Company { company, revision: None } => self.0.snapshots.invalidate(company),
            Change::Policies { revision } => self.0.snapshots.policies_changed(*revision),
            Change::Everything => self.0.snapshots.invalidate_all(),
        }
        self.observe(&Event::Invalidated { change });
    }

    /// The shared cache may not have heard of that revision of a company.
    fn knows(&self, company: &CompanyId, revision: Revision) {
        if let Some(shared) = &self.0.decisions {
            shared.knows(company, revision);
        }
    }

    /// Hears what other processes announce, until the handle is dropped. A handle with a runtime does it by itself.
    pub fn listen(&self) -> impl Future<Output = ()> + Send + 'static {
        listen(Arc::downgrade(&self.0))
    }
}

async fn listen(shared: Weak<Shared>) {
    let subscribe = || async {
        let bus = shared.upgrade()?.bus.clone()?;
        Some(bus.subscribe().await)
    };
    let Some(mut subscription) = subscribe().await else { return };
    // What was announced before is not known.
    let mut message = Some(Message::Lost);
    while let Some(heard) = message {
        let Some(shared) = shared.upgrade() else { return };
        let handle = Entitlements(shared);
        handle.0.heard_at.store(Some(Arc::new(handle.now())));
        match &heard {
            Message::Changed(change) => handle.heard(change),
            Message::Heartbeat => {}
            Message::Lost => handle.0.snapshots.expire_all(),
        }
        drop(handle);
        message = next(&mut subscription).await;
    }
}

async fn next(subscription: &mut Box<dyn Subscription>) -> Option<Message> {
    subscription.next().await
}

/// A write under way.
#[derive(Debug)]
#[must_use]
pub(super) struct Writing<'a> {
    handle: &'a Entitlements,
    company: &'a CompanyId,
    told: bool,
    _forgetting: Forgetting<'a>,
}

impl Writing<'_> {
    /// The write has ended: forgets what was known of the company here, and tells the others, with the revision that
    /// shows the write, if it is known.
    pub(super) async fn end(mut self, revision: Option<Revision>) {
        let change = self.change(revision);
        if let Some(revision) = revision {
            self.handle.knows(self.company, revision);
        }
        self.told = true;
        let (handle, scope) = (self.handle, Scope::Company(self.company.clone()));
        // Here first, whatever happens while the others are told.
        drop(self);
        handle.tell(scope, change).await;
    }

    fn change(&self, revision: Option<Revision>) -> Change {
        Change::Company { company: self.company.clone(), revision }
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        let change = self.change(None);
        self.handle.observe(&Event::Invalidated { change: &change });
        if !self.told {
            // It was given up half-way, and may have been done.
            self.handle.tell_later(Scope::Company(self.company.clone()));
        }
    }
}
