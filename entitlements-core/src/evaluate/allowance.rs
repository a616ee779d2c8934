//! Allowances: how many units of a meter may still be taken, and from where.
//!
//! A meter's units come out of buckets, in burn order: amount grants first (earliest end, oldest, smallest id), then the
//! plan's allowance. The plan's allowance has one counter per quota; it has room only as far as each of them has.

use chrono::{DateTime, Utc};

use super::{Horizon, View, proration};
use crate::Amount;
use crate::bucket::Bucket;
use crate::catalog::{Entry, EntryKind, Feature, OnPlanChange, Plan, Quota};
use crate::decision::{QuotaStatus, Source};
use crate::id::PlanKey;
use crate::period::Period;
use crate::snapshot::{GrantView, Instead, burn_order};

/// What a plan, with add-ons and overrides, gives of one feature.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Given<'a> {
    pub(crate) entry: &'a Entry,
    /// What add-ons add to its limits.
    pub(crate) add: Amount,
}

impl<'a> View<'a> {
    /// The meter whose quota counts: the pool of the requested one, if it shares one.
    pub(crate) fn meter(&self) -> &'a Feature {
        let pool = self.feature.pool.and_then(|index| self.catalog.features.get(index.get()));
        pool.unwrap_or(self.feature)
    }

    /// What `plan` would give this company of the requested feature and action.
    pub(crate) fn given(&self, plan: &'a Plan) -> Option<Given<'a>> {
        let action = self.request.action;
        self.given_of(plan, self.meter())
            .filter(|given| given.entry.actions.contains(action) || self.addon_has_action())
    }

    fn addon_has_action(&self) -> bool {
        let meter = self.meter().index;
        matches!(self.snapshot.instead(meter), Instead::AsPlanned)
            && self.snapshot.addons(meter).is_some_and(|sum| sum.alone.actions.contains(self.request.action))
    }

    /// What `plan` would give this company of `feature`, for whichever action.
    pub(crate) fn given_of(&self, plan: &'a Plan, feature: &Feature) -> Option<Given<'a>> {
        if !self.snapshot.differs() {
            return plan.entry(feature.index).map(|entry| Given { entry, add: Amount::ZERO });
        }
        match self.snapshot.instead(feature.index) {
            Instead::AsPlanned => {}
            Instead::TakenAway => return None,
            Instead::Given(entry) => return Some(Given { entry, add: Amount::ZERO }),
        }
        match (plan.entry(feature.index), self.snapshot.addons(feature.index)) {
            (Some(entry), Some(sum)) => Some(Given { entry, add: sum.add }),
            (Some(entry), None) => Some(Given { entry, add: Amount::ZERO }),
            (None, Some(sum)) => Some(Given { entry: &sum.alone, add: Amount::ZERO }),
            (None, None) => None,
        }
    }

    /// Whether a grant covers the request: active, for this user, this action and this resource.
    pub(crate) fn covers(&self, view: &GrantView<'_>, horizon: &mut Horizon) -> bool {
        let grant = view.grant;
        let applies = grant.user.as_ref().is_none_or(|user| Some(user) == self.request.subject.user.as_ref())
            && grant.actions.contains(self.request.action)
            && grant.resource.as_ref().is_none_or(|pattern| pattern.matches(self.request.resource))
            && grant.voided_at.is_none();
        if !applies {
            return false;
        }
        horizon.at(grant.starts_at);
        if let Some(end) = grant.ends_at {
            horizon.at(end);
        }
        grant.is_active(self.now)
    }

    /// The grants of the requested feature and of its pool, in burn order.
    pub(crate) fn grants(&self) -> impl Iterator<Item = GrantView<'a>> {
        let mut own = self.snapshot.grants(self.feature.index).peekable();
        let pool = self.feature.pool;
        let mut shared = pool.into_iter().flat_map(|pool| self.snapshot.grants(pool)).peekable();
        std::iter::from_fn(move || match (own.peek(), shared.peek()) {
            (Some(a), Some(b)) if burn_order(b.grant) < burn_order(a.grant) => shared.next(),
            (Some(_), _) => own.next(),
            (None, _) => shared.next(),
        })
    }

    /// The amount grants that the request may spend, in burn order.
    pub(crate) fn amount_grants(
        &self,
        horizon: &mut Horizon,
    ) -> impl Iterator<Item = (GrantView<'a>, Amount)> {
        let view = *self;
        self.grants().filter_map(move |grant| {
            let amount = grant.grant.amount?;
            view.covers(&grant, horizon).then_some((grant, amount))
        })
    }
}

/// One quota of the plan in the present period.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QuotaNow<'a> {
    pub(crate) quota: &'a Quota,
    pub(crate) period: Period,
    /// The limit with add-ons and what was rolled over; `None` is unlimited.
    pub(crate) limit: Option<Amount>,
    pub(crate) used: Amount,
}

impl<'a> QuotaNow<'a> {
    pub(crate) fn of(view: &View<'a>, plan: &'a Plan, quota: &'a Quota, add: Amount) -> Self {
        let period = view.effect.period(quota, view.now);
        let used = counted(view, plan, quota, period.start);
        let limit = quota.limit.map(|limit| {
            let own = proration::limit(view, plan, quota, limit, period).saturating_add(add);
            own.saturating_add(rolled_over(view, plan, quota, own, period))
        });
        Self { quota, period, limit, used }
    }

    /// Units that may still be taken; `None` is any number.
    pub(crate) fn room(&self) -> Option<Amount> {
        let limit = if self.quota.is_soft() { None } else { self.limit };
        match limit {
            Some(limit) => Some(limit.saturating_sub(self.used)),
            // Even an unlimited counter must be able to hold the number.
            None => (self.used > Amount::ZERO).then(|| Amount::MAX.saturating_sub(self.used)),
        }
    }

    pub(crate) fn left(&self) -> Option<Amount> {
        self.limit.map(|limit| limit.saturating_sub(self.used))
    }
}

fn counted(view: &View<'_>, plan: &Plan, quota: &Quota, start: DateTime<Utc>) -> Amount {
    let meter = view.meter();
    let scope = (meter.on_plan_change() == OnPlanChange::Reset).then(|| plan.key());
    view.snapshot.used(meter.index, start, |bucket| match bucket {
        Bucket::Plan { every, anchor, plan } => {
            *every == quota.every && *anchor == quota.anchor && plan.as_ref().map(PlanKey::as_str) == scope
        }
        _ => false,
    })
}

/// Unused units of the period before, as far as the quota lets them roll over.
fn rolled_over(view: &View<'_>, plan: &Plan, quota: &Quota, limit: Amount, period: Period) -> Amount {
    if quota.rollover.is_zero() {
        return Amount::ZERO;
    }
    let before = view.effect.period_before(quota, period);
    let unused = before.map(|before| limit.saturating_sub(counted(view, plan, quota, before.start)));
    unused.map_or(Amount::ZERO, |unused| unused.min(quota.rollover))
}

/// The quotas of a plan's entry in their present periods; empty if the entry is no meter's.
pub(crate) fn quotas_now<'a>(
    view: &View<'a>,
    plan: &'a Plan,
    given: Given<'a>,
) -> impl Iterator<Item = QuotaNow<'a>> + Clone {
    let quotas = match &given.entry.kind {
        EntryKind::Meter(quotas) => quotas.as_slice(),
        _ => &[],
    };
    let view = *view;
    quotas.iter().map(move |quota| QuotaNow::of(&view, plan, quota, given.add))
}

/// How a meter stands for one request.
#[derive(Clone, Debug)]
pub(crate) struct Allowance {
    /// Whether there is anything to take units from at all.
    pub(crate) included: bool,
    /// Units that may be taken; `None` is any number.
    pub(crate) room: Option<Amount>,
    /// The first source in burn order that has units left.
    pub(crate) source: Option<Source>,
    /// The first grant in burn order.
    pub(crate) first: Option<Source>,
    /// What is shown.
    pub(crate) status: QuotaStatus,
}

impl Allowance {
    /// The allowance of the request's meter under `plan`.
    pub(crate) fn under<'a>(view: &View<'a>, plan: Option<&'a Plan>, horizon: &mut Horizon) -> Self {
        let mut sum = Self {
            included: false,
            room: Some(Amount::ZERO),
            source: None,
            first: None,
            status: QuotaStatus {
                meter: view.meter().key(),
                limit: Some(Amount::ZERO),
                used: Amount::ZERO,
                remaining: Some(Amount::ZERO),
                overage: Amount::ZERO,
                resets_at: None,
                soft: false,
            },
        };
        if let Some(end) = view.snapshot.facts().reserved_until {
            horizon.at(end);
        }
        for (grant, amount) in view.amount_grants(horizon) {
            sum.included = true;
            let left = amount.saturating_sub(grant.used);
            let source = || Source::Grant(grant.grant.id.clone());
            sum.first.get_or_insert_with(source);
            if !left.is_zero() {
                sum.source.get_or_insert_with(source);
            }
            sum.room = add(sum.room, Some(left));
            sum.status.limit = add(sum.status.limit, Some(amount));
            sum.status.used = sum.status.used.saturating_add(grant.used);
            sum.status.remaining = add(sum.status.remaining, Some(left));
        }
        if let Some(plan) = plan
            && let Some(given) = view.given(plan)
        {
            sum.take_plan(view, plan, given, horizon);
        }
        sum
    }

    fn take_plan<'a>(&mut self, view: &View<'a>, plan: &'a Plan, given: Given<'a>, horizon: &mut Horizon) {
        let quotas = quotas_now(view, plan, given);
        let Some(shown) = quotas.clone().min_by(tighter) else { return };
        let mut room = None;
        for quota in quotas {
            room = least(room, quota.room());
            if let Some(end) = quota.period.end {
                horizon.at(end);
            }
        }
        self.included = true;
        if self.source.is_none() && room.is_none_or(|room| !room.is_zero()) {
            self.source = Some(Source::Plan(plan.key()));
        }
        self.room = add(self.room, room);
        self.status.limit = add(self.status.limit, shown.limit);
        self.status.used = self.status.used.saturating_add(shown.used);
        self.status.remaining = add(self.status.remaining, shown.left());
        self.status.overage = shown.limit.map_or(Amount::ZERO, |limit| shown.used.saturating_sub(limit));
        self.status.resets_at = shown.period.end;
        self.status.soft = shown.quota.is_soft();
    }

    /// Whether `amount` units may be taken. Zero asks only for inclusion.
    pub(crate) fn fits(&self, amount: Amount) -> bool {
        self.room.is_none_or(|room| amount <= room)
    }
}

/// The quota to show: the one with the least left, and of those the one that resets last.
fn tighter(a: &QuotaNow<'_>, b: &QuotaNow<'_>) -> std::cmp::Ordering {
    // Unlimited is more than any number.
    let left = |quota: &QuotaNow<'_>| (quota.limit.is_none(), quota.left());
    let end = |quota: &QuotaNow<'_>| quota.period.end.unwrap_or(DateTime::<Utc>::MAX_UTC);
    left(a).cmp(&left(b)).then_with(|| end(b).cmp(&end(a)))
}

/// The sum, where `None` is unlimited.
pub(crate) fn add(a: Option<Amount>, b: Option<Amount>) -> Option<Amount> {
    Some(a?.saturating_add(b?))
}

/// The smaller, where `None` is unlimited.
pub(crate) fn least(a: Option<Amount>, b: Option<Amount>) -> Option<Amount> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
