//! Which price at Stripe is which plan.

use std::collections::BTreeMap;

use entitlements_core::Catalog;
use entitlements_core::billing::{BillingError, BillingErrorKind};
use entitlements_core::catalog::Plan;
use entitlements_core::id::PlanKey;

use crate::client::StripeClient;
use crate::wire::Price;

/// Ids of prices beside those that the catalog names, for example from `STRIPE_PRICE_ID_PRO`. They win over the catalog.
///
/// ```
/// use billing_stripe::PriceBook;
/// use entitlements_core::id::PlanKey;
///
/// let pro = (PlanKey::new("pro")?, "price_1".to_owned());
/// let starter = (PlanKey::new("starter")?, "price_1".to_owned());
/// assert!(PriceBook::new([pro.clone()]).is_ok());
/// assert_eq!(
///     PriceBook::new([pro, starter]).unwrap_err().to_string(),
///     "the price `price_1` is given to both `pro` and `starter`",
/// );
/// # Ok::<(), entitlements_core::id::InvalidId>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct PriceBook {
    ids: BTreeMap<PlanKey, String>,
    named_after_plans: bool,
}

/// One price was given to two plans.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the price `{price}` is given to both `{first}` and `{second}`")]
pub struct DuplicatePrice {
    /// The price.
    pub price: String,
    /// A plan that has it.
    pub first: PlanKey,
    /// The other plan.
    pub second: PlanKey,
}

impl PriceBook {
    /// The prices of these plans.
    ///
    /// # Errors
    ///
    /// When two plans have the same price: it would not say which plan was bought.
    pub fn new(prices: impl IntoIterator<Item = (PlanKey, String)>) -> Result<Self, DuplicatePrice> {
        let mut book = BTreeMap::<PlanKey, String>::new();
        for (plan, price) in prices {
            if let Some((first, _)) = book.iter().find(|(known, id)| **id == price && **known != plan) {
                return Err(DuplicatePrice { price, first: first.clone(), second: plan });
            }
            book.insert(plan, price);
        }
        Ok(Self { ids: book, named_after_plans: false })
    }

    /// Sells a plan that names no price for the one whose lookup key is the plan's own name, as the fake stocks it.
    #[must_use]
    pub const fn named_after_plans(mut self) -> Self {
        self.named_after_plans = true;
        self
    }

    /// The id that a plan is given here.
    #[cfg(feature = "fake")]
    pub(crate) fn id_of(&self, plan: &str) -> Option<&String> {
        self.ids.get(plan)
    }

    /// The name of the plan that a price is of, if it is of one.
    pub(crate) fn plan_of<'a>(&'a self, price: &Price, catalog: &'a Catalog) -> Option<&'a str> {
        let named = self.ids.iter().find(|(_, id)| **id == price.id).map(|(plan, _)| plan.as_str());
        named.or_else(|| {
            let by_id = |plan: &&Plan| plan.stripe().prices.contains(&price.id);
            let by_lookup_key = |plan: &&Plan| {
                price.lookup_key.as_ref().is_some_and(|key| plan.stripe().lookup_keys.contains(key))
            };
            let plans = || catalog.plans().iter();
            let by_name = |plan: &&Plan| {
                self.named_after_plans && is_unnamed(plan) && price.lookup_key.as_deref() == Some(plan.key())
            };
            let found = plans().find(by_id).or_else(|| plans().find(by_lookup_key));
            found.or_else(|| plans().find(by_name)).map(Plan::key)
        })
    }

    /// The id of the price that a plan is sold for. Lookup keys are asked for at Stripe.
    pub(crate) async fn price_of(&self, plan: &Plan, client: &StripeClient) -> Result<String, BillingError> {
        if let Some(id) = self.ids.get(plan.key()) {
            return Ok(id.clone());
        }
        if let Some(id) = plan.stripe().prices.first() {
            return Ok(id.clone());
        }
        let mut keys: Vec<_> = plan.stripe().lookup_keys.iter().map(String::as_str).collect();
        if self.named_after_plans && is_unnamed(plan) {
            keys.push(plan.key());
        }
        let prices = if keys.is_empty() { Vec::new() } else { client.prices_by_lookup_key(&keys).await? };
        let in_order = keys.iter().find_map(|key| {
            prices.iter().find(|price| price.lookup_key.as_deref() == Some(key)).map(|price| price.id.clone())
        });
        in_order.ok_or_else(|| {
            let message = format!("the plan `{}` has no price at Stripe", plan.key());
            BillingError::new(BillingErrorKind::Invalid, message).with_field("plan")
        })
    }
}

/// Whether the catalog names no price of a plan.
fn is_unnamed(plan: &Plan) -> bool {
    plan.stripe().prices.is_empty() && plan.stripe().lookup_keys.is_empty()
}
