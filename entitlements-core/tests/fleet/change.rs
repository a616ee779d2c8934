use chrono::TimeDelta;
use entitlements_core::id::{CompanyId, FeatureKey, GrantId, PlanKey, SubscriptionId, UserId};
use entitlements_core::policy::Policy;
use entitlements_core::{Amount, Consume, Entitlements, NewGrant, Subject, Subscription};
use serde_json::json;

use crate::random::Random;

/// Something that changes what companies may do, by one of the processes.
pub(crate) async fn change(process: &Entitlements, company: &CompanyId, random: &mut Random) {
    match random.below(7) {
        0 | 1 => {
            let feature = FeatureKey::new(random.pick(&["export", "secret"])).unwrap();
            let mut grant = NewGrant::new(company.clone(), feature);
            grant.id = Some(GrantId::new(format!("g{}", random.below(40))).unwrap());
            grant.user = (random.below(2) == 0).then(|| UserId::new("u").unwrap());
            grant.ends_at =
                Some(process.now() + TimeDelta::seconds(1 + i64::try_from(random.below(60)).unwrap()));
            // A taken id changes nothing.
            let _ = process.grant(grant).await;
        }
        2 | 3 => drop(process.void(&GrantId::new(format!("g{}", random.below(40))).unwrap()).await.unwrap()),
        4 => {
            let region = random.pick(&["eu", "us"]);
            let effect = random.pick(&["allow", "deny"]);
            let guardrail = effect == "deny" && random.below(2) == 0;
            let condition = random.pick(&["region", "tier"]);
            let condition = if random.below(8) == 0 {
                json!({"time_between": ["12:00", "12:01"]})
            } else {
                json!({"eq": [format!("context.{condition}"), region]})
            };
            let policy = json!({"id": format!("p{}", random.below(4)), "effect": effect, "guardrail": guardrail,
                "target": {"features": [random.pick(&["secret", "export"])]}, "condition": condition});
            let policy = Policy::from_json(&policy).unwrap();
            match random.below(3) {
                0 => drop(process.remove_policy(&policy.id).await.unwrap()),
                _ => {
                    if process.replace_policy(&policy).await.unwrap().is_none() {
                        process.insert_policy(&policy).await.unwrap();
                    }
                }
            }
        }
        5 => {
            let now = process.now();
            let subscription = Subscription {
                id: SubscriptionId::new(format!("sub-{company}")).unwrap(),
                company: company.clone(),
                plan: PlanKey::new(random.pick(&["free", "pro"])).unwrap(),
                status: random.pick(&["active", "canceled"]).parse().unwrap(),
                seats: None,
                started_at: now,
                anchor: now,
                current_period_start: now,
                current_period_end: now,
                trial_end: None,
                past_due_since: None,
                cancel_at: None,
                cancel_at_period_end: false,
                created_at: now,
            };
            process.put_subscription(&subscription).await.unwrap();
        }
        _ => {
            let subject = Subject::company(company.clone());
            let _ = process.consume(&Consume::new(&subject, "reports", Amount::ONE)).await.unwrap();
        }
    }
}
