//! What a subscription at Stripe means to a decision.

use chrono::{DateTime, Utc};
use entitlements_core::id::{CompanyId, InvalidId, PlanKey};
use entitlements_core::{Amount, Catalog, Subscription, SubscriptionStatus};

use crate::prices::PriceBook;
use crate::wire;

/// The key, in the metadata of customers and subscriptions, of the company they are of.
pub const COMPANY_KEY: &str = "company_id";

/// The key, in the metadata of a subscription, that says that its quantity is a number of seats.
///
/// Stripe gives every subscription a quantity, 1 if none was named. Without this key, a quantity of 1 means that no seats
/// are sold, and the plan's own number counts.
pub const SEATS_KEY: &str = "seats";

/// The key, in the metadata of a subscription, of the operation that made it.
pub(crate) const OPERATION_KEY: &str = "operation";

/// The value under [`SEATS_KEY`].
pub(crate) const SEATS_SOLD: &str = "sold";

/// Reads a subscription of `company`. `before` is how it was stored until now.
///
/// * The plan is that of the first item with a price of a plan. A price of no plan is the name of a plan that no catalog
///   knows, and gives nothing.
/// * Stripe does not say since when payments fail: it is since the newest invoice was final, or since the earlier instant
///   that is stored while they go on failing.
pub(crate) fn translate(
    from: &wire::Subscription,
    company: &CompanyId,
    prices: &PriceBook,
    catalog: &Catalog,
    before: Option<&Subscription>,
) -> Result<Subscription, InvalidId> {
    let planned = from.items.data.iter().find_map(|item| Some((item, prices.plan_of(&item.price, catalog)?)));
    let item = planned.map(|(item, _)| item).or(from.items.data.first());
    let plan = match planned {
        Some((_, plan)) => PlanKey::new(plan)?,
        None => PlanKey::new(item.map_or("no item", |item| &item.price.id))?,
    };
    let sold = from.metadata.get(SEATS_KEY).is_some_and(|word| word == SEATS_SOLD);
    let seats = item.and_then(|item| item.quantity).filter(|quantity| sold || *quantity != 1);
    let started_at = from.start_date.unwrap_or(from.created);
    let period_start = item.and_then(|item| item.current_period_start).or(from.current_period_start);
    let period_end = item.and_then(|item| item.current_period_end).or(from.current_period_end);
    Ok(Subscription {
        id: from.id.parse()?,
        company: company.clone(),
        plan,
        status: from.status.clone(),
        seats: seats.map(|seats| Amount::new(seats).unwrap_or(Amount::MAX)),
        started_at,
        anchor: from.billing_cycle_anchor.unwrap_or(started_at),
        current_period_start: period_start.unwrap_or(started_at),
        current_period_end: period_end.unwrap_or(started_at),
        trial_end: from.trial_end,
        past_due_since: past_due_since(from, before),
        cancel_at: if from.status == SubscriptionStatus::Canceled {
            from.ended_at.or(from.canceled_at).or(from.cancel_at)
        } else {
            from.cancel_at
        },
        cancel_at_period_end: from.cancel_at_period_end,
        created_at: from.created,
    })
}

fn past_due_since(from: &wire::Subscription, before: Option<&Subscription>) -> Option<DateTime<Utc>> {
    if from.status != SubscriptionStatus::PastDue {
        return None;
    }
    let invoice = from.latest_invoice.as_ref().and_then(wire::Expandable::object);
    let asked = invoice.map(|invoice| invoice.status_transitions.finalized_at.unwrap_or(invoice.created));
    let period = from.items.data.first().and_then(|item| item.current_period_start);
    let known = before
        .filter(|before| before.status == SubscriptionStatus::PastDue)
        .and_then(|before| before.past_due_since);
    let since = asked.or(period).unwrap_or(from.created);
    Some(known.map_or(since, |known| known.min(since)))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const CATALOG: &str = r#"
        schema = 1
        past_due_grace = "7d"
        [features]
        export = { type = "flag" }
        [plans.starter]
        stripe = { prices = ["price_starter"] }
        [plans.starter.grants]
        export = true
        [plans.pro]
        stripe = { lookup_keys = ["pro_monthly"] }
        [plans.pro.grants]
        export = true
    "#;

    fn read(changes: &Value, before: Option<&Subscription>) -> Subscription {
        let mut whole = json!({
            "id": "sub_1", "object": "subscription", "customer": "cus_1", "status": "active", "created": 1_000,
            "start_date": 1_000, "billing_cycle_anchor": 1_000, "metadata": {},
            "items": {"data": [{
                "id": "si_1", "price": {"id": "price_starter"}, "quantity": 1,
                "current_period_start": 1_000, "current_period_end": 2_000,
            }]},
        });
        for (key, value) in changes.as_object().unwrap() {
            whole[key] = value.clone();
        }
        let from: wire::Subscription = serde_json::from_value(whole).unwrap();
        let catalog: Catalog = CATALOG.parse().unwrap();
        let company = CompanyId::new("acme").unwrap();
        translate(&from, &company, &PriceBook::default(), &catalog, before).unwrap()
    }

    fn seconds(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn a_plan_is_known_by_its_price_or_lookup_key() {
        assert_eq!(read(&json!({}), None).plan.as_str(), "starter");
        let pro = json!({"items": {"data": [{"id": "si_1", "price": {"id": "price_9", "lookup_key": "pro_monthly"}}]}});
        assert_eq!(read(&pro, None).plan.as_str(), "pro");
    }

    #[test]
    fn an_unknown_price_is_a_plan_that_no_catalog_knows() {
        let other = json!({"items": {"data": [{"id": "si_1", "price": {"id": "price_9"}, "quantity": 3}]}});
        assert_eq!(read(&other, None).plan.as_str(), "price_9");
        assert_eq!(read(&json!({"items": {"data": []}}), None).plan.as_str(), "no item");
    }

    #[test]
    fn an_item_of_a_plan_is_found_behind_others() {
        let two = json!({"items": {"data": [
            {"id": "si_0", "price": {"id": "price_support"}, "quantity": 7},
            {"id": "si_1", "price": {"id": "price_starter"}, "quantity": 4},
        ]}});
        let read = read(&two, None);
        assert_eq!((read.plan.as_str(), read.seats.map(Amount::get)), ("starter", Some(4)));
    }

    #[test]
    fn a_quantity_of_one_is_no_seats_unless_seats_were_sold() {
        assert_eq!(read(&json!({}), None).seats, None);
        let sold = json!({"metadata": {SEATS_KEY: SEATS_SOLD}});
        assert_eq!(read(&sold, None).seats, Some(Amount::ONE));
    }

    #[test]
    fn periods_are_those_of_the_item_or_of_old_subscriptions() {
        let new = read(&json!({}), None);
        assert_eq!((new.current_period_start, new.current_period_end), (seconds(1_000), seconds(2_000)));
        let old = json!({
            "current_period_start": 3_000, "current_period_end": 4_000,
            "items": {"data": [{"id": "si_1", "price": {"id": "price_starter"}}]},
        });
        assert_eq!(read(&old, None).current_period_end, seconds(4_000));
    }

    #[test]
    fn payments_fail_since_the_invoice_and_the_earliest_counts() {
        let failing = json!({
            "status": "past_due",
            "latest_invoice": {"id": "in_1", "created": 1_500, "status_transitions": {"finalized_at": 1_600}},
        });
        let first = read(&failing, None);
        assert_eq!(first.past_due_since, Some(seconds(1_600)));
        let later = json!({"status": "past_due", "latest_invoice": {"id": "in_2", "created": 9_000}});
        assert_eq!(read(&later, Some(&first)).past_due_since, Some(seconds(1_600)));
        assert_eq!(read(&later, None).past_due_since, Some(seconds(9_000)));
        assert_eq!(read(&json!({}), Some(&first)).past_due_since, None);
    }

    #[test]
    fn what_ended_says_when() {
        let ended =
            json!({"status": "canceled", "canceled_at": 1_700, "ended_at": 1_800, "cancel_at": 2_000});
        assert_eq!(read(&ended, None).cancel_at, Some(seconds(1_800)));
        let scheduled = json!({"cancel_at": 2_000, "cancel_at_period_end": false});
        assert_eq!(read(&scheduled, None).ends_at(), Some(seconds(2_000)));
    }
}
