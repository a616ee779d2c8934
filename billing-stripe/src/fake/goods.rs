//! Products and prices.

use std::collections::BTreeMap;

use chrono::{DateTime, Months, TimeDelta, Utc};
use entitlements_core::Catalog;
use entitlements_core::catalog::{Plan, StripeRefs};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::params::Params;
use super::refusal::Refusal;
use super::state::State;
use crate::prices::PriceBook;
use crate::wire::identified;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Product {
    pub(super) id: String,
    created: i64,
    pub(super) name: String,
    description: Option<String>,
    active: bool,
    metadata: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Price {
    pub(super) id: String,
    created: i64,
    pub(super) product: String,
    nickname: Option<String>,
    lookup_key: Option<String>,
    pub(super) currency: String,
    pub(super) unit_amount: i64,
    active: bool,
    pub(super) every: Option<Every>,
    metadata: BTreeMap<String, String>,
}

/// How often a price is due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Every {
    interval: String,
    count: u32,
    pub(super) meter: Option<String>,
}

impl Every {
    /// The first boundary after `after`, counted from `anchor` and clamped to the end of the month.
    pub(super) fn boundary(&self, anchor: i64, after: i64) -> i64 {
        if after < anchor {
            return anchor;
        }
        let start: DateTime<Utc> = crate::wire::time::at(anchor);
        let step = |steps: u32| -> Option<i64> {
            let steps = steps.checked_mul(self.count)?;
            let moved = match self.interval.as_str() {
                "day" => start.checked_add_signed(TimeDelta::days(i64::from(steps))),
                "week" => start.checked_add_signed(TimeDelta::weeks(i64::from(steps))),
                "year" => start.checked_add_months(Months::new(steps.checked_mul(12)?)),
                _ => start.checked_add_months(Months::new(steps)),
            };
            moved.map(|instant| instant.timestamp())
        };
        (1..).map_while(step).find(|boundary| *boundary > after).unwrap_or(i64::MAX)
    }

    pub(super) fn same_as(&self, other: &Self) -> bool {
        self.interval == other.interval && self.count == other.count
    }
}

identified!(Product, Price);

impl Product {
    pub(super) fn show(&self) -> Value {
        json!({
            "id": self.id, "object": "product", "active": self.active, "created": self.created, "default_price": null,
            "description": self.description, "images": [], "livemode": false, "marketing_features": [],
            "metadata": self.metadata, "name": self.name, "package_dimensions": null, "shippable": null,
            "statement_descriptor": null, "tax_code": null, "tax_details": null, "type": "service", "unit_label": null,
            "updated": self.created, "url": null,
        })
    }
}

impl Price {
    pub(super) fn is_metered(&self) -> bool {
        self.every.as_ref().is_some_and(|every| every.meter.is_some())
    }

    fn recurring(&self) -> Value {
        let Some(every) = &self.every else { return Value::Null };
        json!({
            "interval": every.interval, "interval_count": every.count, "meter": every.meter,
            "trial_period_days": null, "usage_type": if every.meter.is_some() { "metered" } else { "licensed" },
        })
    }

    pub(super) fn show(&self) -> Value {
        json!({
            "id": self.id, "object": "price", "active": self.active, "billing_scheme": "per_unit",
            "created": self.created, "currency": self.currency, "custom_unit_amount": null, "livemode": false,
            "lookup_key": self.lookup_key, "metadata": self.metadata, "nickname": self.nickname,
            "product": self.product, "recurring": self.recurring(), "tax_behavior": "unspecified", "tiers_mode": null,
            "transform_quantity": null, "type": if self.every.is_some() { "recurring" } else { "one_time" },
            "unit_amount": self.unit_amount, "unit_amount_decimal": self.unit_amount.to_string(),
        })
    }
}

impl State {
    pub(super) fn create_product(&mut self, params: &Params) -> Result<Value, Refusal> {
        let name = params.required("name")?.to_owned();
        let id = match params.text("id")? {
            Some(id) if self.products.get(id).is_some() => {
                return Err(Refusal::state(format!("Product already exists: {id}")));
            }
            Some(id) => id.to_owned(),
            None => self.ids.next("prod"),
        };
        let description = params.text("description")?.map(str::to_owned);
        let mut metadata = BTreeMap::new();
        params.metadata(&mut metadata)?;
        let product = Product { id, created: self.now, name, description, active: true, metadata };
        let shown = product.show();
        self.products.put(product);
        self.emit("product.created", shown.clone(), None);
        Ok(shown)
    }

    pub(super) fn create_price(&mut self, params: &Params) -> Result<Value, Refusal> {
        let product = match params.text("product")? {
            Some(id) if self.products.get(id).is_none() => {
                return Err(Refusal::no_such("product", id, "product"));
            }
            Some(id) => id.to_owned(),
            None => {
                let product = params.parts("product_data")?;
                if product.is_empty() {
                    return Err(Refusal::missing("product"));
                }
                let shown = self.create_product(&product)?;
                shown.get("id").and_then(Value::as_str).unwrap_or_default().to_owned()
            }
        };
        let currency = params.required("currency")?.to_lowercase();
        let unit_amount = params.int("unit_amount")?.ok_or_else(|| Refusal::missing("unit_amount"))?;
        let recurring = params.parts("recurring")?;
        let every = if recurring.is_empty() {
            None
        } else {
            let words = ["day", "week", "month", "year"];
            let interval = recurring.word("interval", &words)?;
            let interval = interval.ok_or_else(|| Refusal::missing("recurring[interval]"))?.to_owned();
            let count = recurring.count("interval_count")?.and_then(|count| u32::try_from(count).ok());
            let meter = recurring.text("meter")?.map(str::to_owned);
            Some(Every { interval, count: count.unwrap_or(1).max(1), meter })
        };
        let lookup_key = params.text("lookup_key")?.map(str::to_owned);
        if let Some(key) = &lookup_key {
            let taken = self.prices.iter().find(|price| price.lookup_key.as_ref() == Some(key));
            if let Some(price) = taken.cloned() {
                if params.flag("transfer_lookup_key")? != Some(true) {
                    let message = "A price already uses that lookup key.";
                    return Err(Refusal::param("lookup_key", message));
                }
                self.prices.put(Price { lookup_key: None, ..price });
            }
        }
        let mut metadata = BTreeMap::new();
        params.metadata(&mut metadata)?;
        let price = Price {
            id: self.ids.next("price"),
            created: self.now,
            product,
            nickname: params.text("nickname")?.map(str::to_owned),
            lookup_key,
            currency,
            unit_amount,
            active: true,
            every,
            metadata,
        };
        let shown = price.show();
        self.prices.put(price);
        self.emit("price.created", shown.clone(), None);
        Ok(shown)
    }

    pub(super) fn update_price(&mut self, id: &str, params: &Params) -> Result<Value, Refusal> {
        let price = self.prices.get_mut(id).ok_or_else(|| Refusal::not_found("price", id))?;
        if let Some(active) = params.flag("active")? {
            price.active = active;
        }
        params.metadata(&mut price.metadata)?;
        let shown = price.show();
        self.emit("price.updated", shown.clone(), None);
        Ok(shown)
    }

    pub(super) fn prices_where(&self, params: &Params) -> Result<Vec<Value>, Refusal> {
        let (keys, active) = (params.texts("lookup_keys")?, params.flag("active")?);
        let product = params.text("product")?;
        let wanted = |price: &&Price| {
            (keys.is_empty() || price.lookup_key.as_ref().is_some_and(|key| keys.contains(key)))
                && active.is_none_or(|active| price.active == active)
                && product.is_none_or(|product| price.product == product)
        };
        Ok(self.prices.iter().rev().filter(wanted).map(Price::show).collect())
    }

    /// A price that something recurring can be sold for.
    pub(super) fn recurring_price(&self, id: &str, param: &str) -> Result<&Price, Refusal> {
        let price = self.prices.get(id).ok_or_else(|| Refusal::no_such("price", id, param))?;
        if price.every.is_none() {
            return Err(Refusal::param(param, "The price specified is set to `type=one_time`."));
        }
        if !price.active {
            return Err(Refusal::param(param, "The price specified is inactive."));
        }
        Ok(price)
    }

    /// Makes a product for every plan and add-on, and a price for everything that names one of them. A plan without a
    /// name at Stripe gets its own key as the lookup key, so that every plan can be bought.
    pub(super) fn stock(&mut self, catalog: &Catalog, prices: &PriceBook) {
        let with_own = |plan: &Plan| {
            let mut refs = plan.stripe().clone();
            refs.prices.extend(prices.id_of(plan.key()).cloned());
            refs
        };
        let plans = catalog.plans().iter().map(|plan| (plan.key(), plan.name(), with_own(plan)));
        let addons = catalog.addons().iter().map(|addon| (addon.key(), addon.name(), addon.stripe().clone()));
        for (rank, (key, name, refs)) in (1..).zip(plans.chain(addons)) {
            self.stock_one(key, name.unwrap_or(key), &refs, rank * 2900);
        }
    }

    fn stock_one(&mut self, key: &str, name: &str, refs: &StripeRefs, unit_amount: i64) {
        let metadata = BTreeMap::from([("plan".to_owned(), key.to_owned())]);
        let product = Product {
            id: self.ids.next("prod"),
            created: self.now,
            name: name.into(),
            description: None,
            active: true,
            metadata: metadata.clone(),
        };
        let by_key = refs.lookup_keys.iter().map(|key| (None, Some(key.clone())));
        let by_id = refs.prices.iter().map(|id| (Some(id.clone()), None));
        let unnamed =
            (refs.lookup_keys.is_empty() && refs.prices.is_empty()).then(|| (None, Some(key.to_owned())));
        for (id, lookup_key) in by_key.chain(by_id).chain(unnamed) {
            let stocked = |price: &Price| {
                id.as_ref() == Some(&price.id) || (lookup_key.is_some() && price.lookup_key == lookup_key)
            };
            if self.prices.iter().any(stocked) {
                continue;
            }
            let yearly = id
                .as_ref()
                .or(lookup_key.as_ref())
                .is_some_and(|text| text.contains("year") || text.contains("annual"));
            let (interval, factor) = if yearly { ("year", 10) } else { ("month", 1) };
            let price = Price {
                id: id.unwrap_or_else(|| self.ids.next("price")),
                created: self.now,
                product: product.id.clone(),
                nickname: None,
                lookup_key,
                currency: "eur".into(),
                unit_amount: unit_amount * factor,
                active: true,
                every: Some(Every { interval: interval.into(), count: 1, meter: None }),
                metadata: metadata.clone(),
            };
            self.prices.put(price);
        }
        // Nothing is made twice when the same catalog comes again.
        if self.prices.iter().any(|price| price.product == product.id) {
            self.products.put(product);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Every;

    fn instant(text: &str) -> i64 {
        text.parse::<chrono::DateTime<chrono::Utc>>().unwrap().timestamp()
    }

    #[test]
    fn months_are_clamped_and_do_not_drift() {
        let monthly = Every { interval: "month".into(), count: 1, meter: None };
        let anchor = instant("2026-01-31T10:00:00Z");
        let mut at = anchor;
        for expected in ["2026-02-28T10:00:00Z", "2026-03-31T10:00:00Z", "2026-04-30T10:00:00Z"] {
            at = monthly.boundary(anchor, at);
            assert_eq!(at, instant(expected));
        }
    }

    #[test]
    fn a_period_before_the_anchor_ends_with_it() {
        let weekly = Every { interval: "week".into(), count: 2, meter: None };
        assert_eq!(weekly.boundary(1000, 10), 1000);
        assert_eq!(weekly.boundary(1000, 1000), 1000 + 14 * 86400);
    }
}
