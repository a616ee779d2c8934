//! Which meter is which at Stripe.

use std::collections::BTreeMap;

use entitlements_core::id::FeatureKey;

/// The meters whose usage Stripe bills, each with the `event_name` of its meter there. Several may share one.
///
/// A meter is named as it is consumed: of meters that share a quota, each that is billed, and not their pool.
///
/// ```
/// use billing_stripe::MeterBook;
/// use entitlements_core::id::FeatureKey;
///
/// let book = MeterBook::new([(FeatureKey::new("reports")?, "reports_generated".to_owned())])?;
/// assert_eq!(book.event_name("reports"), Some("reports_generated"));
/// assert_eq!(book.event_name("queries"), None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct MeterBook(BTreeMap<FeatureKey, String>);

/// A text cannot be the name of a meter's events.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the event name of the meter `{meter}` must have 1 to 100 visible ASCII characters")]
pub struct InvalidEventName {
    /// The meter that was to have it.
    pub meter: FeatureKey,
}

impl MeterBook {
    /// These meters, each with the name of its events. The last of several names of one meter counts.
    ///
    /// # Errors
    ///
    /// When a name is empty, longer than 100 bytes, or not visible ASCII.
    pub fn new(meters: impl IntoIterator<Item = (FeatureKey, String)>) -> Result<Self, InvalidEventName> {
        let mut book = BTreeMap::new();
        for (meter, name) in meters {
            if !(1..=100).contains(&name.len()) || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(InvalidEventName { meter });
            }
            book.insert(meter, name);
        }
        Ok(Self(book))
    }

    /// The name of the events of a meter, if it is billed.
    #[must_use]
    pub fn event_name(&self, meter: &str) -> Option<&str> {
        self.0.get(meter).map(String::as_str)
    }

    /// The meters, in ascending order.
    pub fn meters(&self) -> impl Iterator<Item = &FeatureKey> {
        self.0.keys()
    }

    /// The names of events, in the order of their meters.
    pub fn event_names(&self) -> impl Iterator<Item = &str> {
        self.0.values().map(String::as_str)
    }

    /// Whether no meter is billed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
