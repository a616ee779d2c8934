//! Operations that change what a company may do.

use chrono::TimeDelta;
use serde_json::json;

use super::{COMPANIES, Model};
use crate::Grant;
use crate::policy::{Effect, Policy, Target};
use crate::store::{GrantStore as _, Page, PageRequest, PolicyStore as _, Store, SubscriptionStore as _};
use crate::subscription::{Subscription, SubscriptionStatus};
use crate::testkit::fixtures::{
    addon, company, condition, feature, grant, grant_id, overriding, plan, policy, policy_id, subscription,
    units, user,
};
use crate::testkit::random::FEW;

impl<S: Store> Model<'_, S> {
    pub(super) async fn put_subscription(&mut self) {
        let random = &mut self.random;
        let statuses =
            [SubscriptionStatus::Active, SubscriptionStatus::PastDue, SubscriptionStatus::Canceled];
        // An id mostly stays with one company, so that most writes are legal.
        let id = random.pick(&FEW);
        let owner = if random.one_in(8) { random.pick(&COMPANIES) } else { COMPANIES[usize::from(id > "b")] };
        let subscription = Subscription {
            plan: plan(random.pick(&["starter", "pro"])),
            status: statuses[random.index(statuses.len())].clone(),
            seats: random.one_in(2).then(|| units(random.below(3))),
            cancel_at_period_end: random.one_in(4),
            ..subscription(id, owner)
        };
        let expected = self.memory.put_subscription(&subscription, self.clock).await;
        let actual = self.store.put_subscription(&subscription, self.clock).await;
        self.same_revision(expected, actual, &subscription);
    }

    pub(super) async fn addon(&mut self) {
        let company = company(self.random.pick(&COMPANIES));
        let addon = addon(self.random.pick(&FEW), u32::try_from(self.random.below(3)).unwrap());
        let expected = self.memory.put_addon(&company, &addon).await;
        let actual = self.store.put_addon(&company, &addon).await;
        self.same_revision(expected, actual, &addon);
    }

    pub(super) async fn override_(&mut self) {
        let company = company(self.random.pick(&COMPANIES));
        let name = self.random.pick(&FEW);
        if self.random.one_in(3) {
            let expected = self.memory.remove_override(&company, &feature(name)).await;
            let actual = self.store.remove_override(&company, &feature(name)).await;
            self.same_optional_revision(expected, actual, &name);
        } else {
            let value = overriding(name, self.random.below(5));
            let expected = self.memory.put_override(&company, &value).await;
            let actual = self.store.put_override(&company, &value).await;
            self.same_revision(expected, actual, &value);
        }
    }

    pub(super) async fn insert_grant(&mut self) {
        let random = &mut self.random;
        let grant = Grant {
            user: random.one_in(3).then(|| user(random.pick(&FEW))),
            amount: random.one_in(2).then(|| units(random.below(10))),
            starts_at: self.clock + TimeDelta::hours(random.below(50).cast_signed() - 25),
            ends_at: random.one_in(2).then(|| self.clock + TimeDelta::hours(random.below(200).cast_signed())),
            created_at: self.clock - TimeDelta::hours(random.below(50).cast_signed()),
            ..grant(&format!("g{}", random.below(40)), random.pick(&COMPANIES))
        };
        let expected = self.memory.insert_grant(&grant).await;
        let actual = self.store.insert_grant(&grant).await;
        self.same_insertion(expected, actual, &grant);
    }

    pub(super) async fn void_grant(&mut self) {
        let id = grant_id(&format!("g{}", self.random.below(40)));
        let expected = self.memory.void_grant(&id, self.clock).await;
        let actual = self.store.void_grant(&id, self.clock).await;
        self.same_optional_revision(expected, actual, &id);
        let expected = self.memory.find_grant(&id).await;
        let actual = self.store.find_grant(&id).await;
        self.same(expected, actual, &id);
    }

    pub(super) async fn list_grants(&mut self) {
        let company = company(self.random.pick(&COMPANIES));
        let mut request = PageRequest::first(self.random.index(5) + 1);
        loop {
            let expected = self.memory.list_grants(&company, &request).await.unwrap();
            let actual = self.store.list_grants(&company, &request).await.unwrap();
            assert_eq!(actual.items, expected.items, "{}: list_grants {request:?}", self.place);
            let Some(cursor) = self.same_cursor(&expected, &actual) else { break };
            // Each store reads its own cursors; the pages before were equal, so one's are as good as the other's.
            request.cursor = Some(cursor);
        }
    }

    pub(super) async fn insert_policy(&mut self) {
        let policy = self.random_policy();
        let expected = self.memory.insert_policy(&policy).await;
        let actual = self.store.insert_policy(&policy).await;
        self.same_insertion(expected, actual, &policy);
    }

    pub(super) async fn replace_policy(&mut self) {
        let policy = self.random_policy();
        let expected = self.memory.replace_policy(&policy).await;
        let actual = self.store.replace_policy(&policy).await;
        self.same_optional_revision(expected, actual, &policy);
    }

    pub(super) async fn remove_policy(&mut self) {
        let id = policy_id(&format!("p{}", self.random.below(10)));
        let expected = self.memory.remove_policy(&id).await;
        let actual = self.store.remove_policy(&id).await;
        self.same_optional_revision(expected, actual, &id);
    }

    pub(super) fn random_policy(&mut self) -> Policy {
        let random = &mut self.random;
        let plain = policy(&format!("p{}", random.below(10)));
        Policy {
            priority: random.below(5).cast_signed(),
            effect: if random.one_in(2) { Effect::Allow } else { Effect::Deny },
            enabled: random.one_in(2),
            target: Target {
                companies: random.one_in(2).then(|| vec![company(random.pick(&COMPANIES))]),
                ..Target::default()
            },
            when: if random.one_in(2) {
                condition(&json!({"eq": ["context.region", random.pick(&FEW)]}))
            } else {
                plain.when.clone()
            },
            ..plain
        }
    }

    pub(super) async fn list_policies(&mut self) {
        let mut request = PageRequest::first(self.random.index(5) + 1);
        loop {
            let expected = self.memory.list_policies(&request).await.unwrap();
            let actual = self.store.list_policies(&request).await.unwrap();
            assert_eq!(actual.items, expected.items, "{}: list_policies {request:?}", self.place);
            let Some(cursor) = self.same_cursor(&expected, &actual) else { break };
            request.cursor = Some(cursor);
        }
    }

    pub(super) fn same_cursor<T>(&self, expected: &Page<T>, actual: &Page<T>) -> Option<String> {
        assert_eq!(actual.next.is_some(), expected.next.is_some(), "{}: is there a next page?", self.place);
        actual.next.clone()
    }
}
