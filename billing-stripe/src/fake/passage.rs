//! What the passage of time does: trials end, periods begin, payments are tried again.

use entitlements_core::SubscriptionStatus as Status;

use super::state::State;

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

/// Something that is due. At one instant, an end comes before a renewal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    End(String),
    Expire(String),
    ResumeCollection(String),
    Remind(String),
    TrialOver(String),
    Renew(String),
    Finalize(String),
    Retry(String),
}

impl State {
    /// Lets time pass until `target`, in the order of what is due.
    pub(super) fn advance_to(&mut self, target: i64) {
        self.cause = super::events::Cause::default();
        while let Some((at, due)) = self.next_due().filter(|(at, _)| *at <= target) {
            self.now = self.now.max(at);
            self.happen(&due);
        }
        self.now = self.now.max(target);
    }

    fn next_due(&self) -> Option<(i64, Due)> {
        let subscriptions = self.subscriptions.iter().filter(|it| it.is_live()).flat_map(|it| {
            let id = || it.id.clone();
            let cancel = it.cancel_at.map(|at| (at, Due::End(id())));
            let resume = it.pause_collection.as_ref().and_then(|pause| pause.resumes_at);
            let resume = resume.map(|at| (at, Due::ResumeCollection(id())));
            let turn = match it.status {
                Status::Trialing => it.trial_end.map(|at| (at, Due::TrialOver(id()))),
                Status::Active | Status::PastDue | Status::Unpaid => {
                    Some((it.period_end(), Due::Renew(id())))
                }
                Status::Incomplete => Some((it.created + 23 * HOUR, Due::Expire(id()))),
                _ => None,
            };
            let remind = it.trial_end.filter(|_| it.status == Status::Trialing && !it.reminded);
            let remind = remind.map(|at| (at - 3 * DAY, Due::Remind(id())));
            [cancel, resume, turn, remind].into_iter().flatten()
        });
        let invoices = self.invoices.iter().flat_map(|it| {
            let finalize = it.finalize_at.map(|at| (at, Due::Finalize(it.id.clone())));
            let retry = it.next_attempt.map(|at| (at, Due::Retry(it.id.clone())));
            [finalize, retry].into_iter().flatten()
        });
        subscriptions.chain(invoices).min()
    }

    fn happen(&mut self, due: &Due) {
        match due {
            Due::End(id) => self.end(id, "cancellation_requested"),
            Due::Expire(id) => self.expire(id),
            Due::ResumeCollection(id) => {
                if let Some(mut it) = self.subscriptions.get(id).cloned() {
                    it.pause_collection = None;
                    self.put_changed(it);
                }
            }
            Due::Remind(id) => self.remind_of_trial(id),
            Due::TrialOver(id) => self.trial_over(id, false),
            Due::Renew(id) => self.renew(id),
            Due::Finalize(id) => self.finalize_renewal(id),
            Due::Retry(id) => {
                self.collect(id, None, false);
            }
        }
    }

    /// Announces the end of a trial, three days before, or at once if it is shorter.
    pub(super) fn remind_of_trial(&mut self, id: &str) {
        let Some(mut it) = self.subscriptions.get(id).cloned() else { return };
        let near = it.trial_end.is_some_and(|end| end - 3 * DAY <= self.now);
        if it.status != Status::Trialing || it.reminded || !near {
            return;
        }
        it.reminded = true;
        let shown = self.show_subscription(&it);
        self.subscriptions.put(it);
        self.emit("customer.subscription.trial_will_end", shown, None);
    }

    /// Ends the trial; the first payment is tried `at_once`, or when the draft has lain for its time.
    pub(super) fn trial_over(&mut self, id: &str, at_once: bool) {
        let Some(mut it) = self.subscriptions.get(id).cloned() else { return };
        let due: i64 = it.items.iter().map(|item| self.amount(item)).sum();
        let stuck =
            due > 0 && self.method_of(&it).is_none() && it.collection_method == "charge_automatically";
        it.trial_end = Some(self.now);
        if stuck && it.on_missing_method == "cancel" {
            self.put_changed(it);
            self.end(id, "payment_failed");
            return;
        }
        if stuck && it.on_missing_method == "pause" {
            it.status = Status::Paused;
            it.paused = Some(("trial_end_without_payment_method".into(), self.now));
            let shown = self.show_subscription(&it);
            self.put_changed(it);
            self.emit("customer.subscription.paused", shown, None);
            return;
        }
        it.status = Status::Active;
        self.restart_period(&mut it);
        self.put_changed(it);
        self.bill_period(id, at_once);
    }

    fn renew(&mut self, id: &str) {
        let Some(mut it) = self.subscriptions.get(id).cloned() else { return };
        let anchor = it.anchor;
        for item in it.items.iter_mut().filter(|item| item.end <= self.now) {
            let every = self.prices.get(&item.price).and_then(|price| price.every.as_ref());
            item.start = item.end;
            item.end = every.map_or(i64::MAX, |every| every.boundary(anchor, item.start));
        }
        self.put_changed(it);
        self.bill_period(id, false);
    }

    fn bill_period(&mut self, id: &str, at_once: bool) {
        let unpaid = self.subscriptions.get(id).is_some_and(|it| it.status == Status::Unpaid);
        let invoice = self.draft_for(id, "subscription_cycle");
        if at_once {
            self.finalize_renewal(&invoice);
        } else if let Some(invoice) = self.invoices.get_mut(&invoice).filter(|_| !unpaid) {
            invoice.finalize_at = Some(invoice.created + self.rules.draft_seconds);
        }
    }

    fn finalize_renewal(&mut self, id: &str) {
        let Some(invoice) = self.invoices.get_mut(id) else { return };
        invoice.finalize_at = None;
        let subscription = invoice.subscription.clone();
        let it = subscription.and_then(|id| self.subscriptions.get(&id));
        let pause = it.and_then(|it| it.pause_collection.as_ref()).map(|pause| pause.behavior.clone());
        if pause.as_deref() == Some("keep_as_draft") {
            return;
        }
        self.finalize(id);
        match pause.as_deref() {
            Some("void") => self.void(id),
            Some("mark_uncollectible") => self.write_off(id),
            _ => {
                self.collect(id, None, false);
            }
        }
    }

    fn expire(&mut self, id: &str) {
        let Some(mut it) = self.subscriptions.get(id).cloned() else { return };
        it.status = Status::IncompleteExpired;
        it.ended_at = Some(self.now);
        self.stop_collecting(id);
        self.put_changed(it);
    }
}
