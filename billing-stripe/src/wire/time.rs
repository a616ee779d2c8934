//! Instants on the wire: whole seconds since 1970.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serializer};

/// The instant, or 1970 if it is out of range.
pub(crate) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds, 0).unwrap_or_default()
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DateTime<Utc>, D::Error> {
    i64::deserialize(deserializer).map(at)
}

pub(super) fn serialize<S: Serializer>(instant: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_i64(instant.timestamp())
}

/// The same for an instant that may be absent or `null`.
pub(super) mod option {
    use super::{DateTime, Deserialize, Deserializer, Serializer, Utc, at};

    pub(in crate::wire) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<DateTime<Utc>>, D::Error> {
        Ok(Option::<i64>::deserialize(deserializer)?.map(at))
    }

    #[expect(clippy::ref_option, reason = "the form that serde calls")]
    pub(in crate::wire) fn serialize<S: Serializer>(
        instant: &Option<DateTime<Utc>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match instant {
            Some(instant) => serializer.serialize_some(&instant.timestamp()),
            None => serializer.serialize_none(),
        }
    }
}
