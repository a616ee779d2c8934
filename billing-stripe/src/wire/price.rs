//! Products and prices.

use entitlements_core::period::Interval;
use serde::{Deserialize, Serialize};

use super::expandable::identified;
use super::open::open_enum;
use super::{Expandable, Metadata};

/// What is sold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Product {
    /// `prod_…`
    pub id: String,
    /// The name for people.
    #[serde(default)]
    pub name: Option<String>,
    /// What the caller keeps with it.
    #[serde(default, deserialize_with = "super::or_default")]
    pub metadata: Metadata,
}

/// For how much a product is sold, and how often.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Price {
    /// `price_…`, or free text in old accounts.
    pub id: String,
    /// A name of the caller's own, under which the price is found.
    #[serde(default)]
    pub lookup_key: Option<String>,
    /// In lower case, for example `eur`.
    #[serde(default)]
    pub currency: Option<String>,
    /// The price of one unit in the smallest unit of the currency; absent if it is no whole number of them.
    #[serde(default)]
    pub unit_amount: Option<i64>,
    /// Whether it may still be bought.
    #[serde(default)]
    pub active: bool,
    /// What is sold.
    #[serde(default)]
    pub product: Option<Expandable<Product>>,
    /// How often it is due; absent if once.
    #[serde(default)]
    pub recurring: Option<Recurring>,
    /// What the caller keeps with it.
    #[serde(default, deserialize_with = "super::or_default")]
    pub metadata: Metadata,
}

/// How often a price is due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recurring {
    /// `day`, `week`, `month` or `year`.
    pub interval: String,
    /// Every how many of them.
    #[serde(default = "one")]
    pub interval_count: u32,
    /// Whether the quantity is set, or reported as usage.
    #[serde(default)]
    pub usage_type: Option<UsageType>,
}

const fn one() -> u32 {
    1
}

impl Recurring {
    /// The interval, if this library knows it and it is due once in each.
    #[must_use]
    pub fn interval(&self) -> Option<Interval> {
        if self.interval_count == 1 { self.interval.parse().ok() } else { None }
    }
}

open_enum! {
    /// How a quantity comes about.
    UsageType {
        /// It is set.
        Licensed = "licensed",
        /// It is reported as usage.
        Metered = "metered",
    }
}

identified!(Product, Price);
