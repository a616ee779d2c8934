//! Rows as JSON arrays, in the order of the columns, and what they mean.

mod facts;
mod policies;
mod receipts;

use entitlements_core::bucket::Bucket;
use entitlements_core::store::StoreError;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};

use crate::error::corrupt;

pub(crate) use facts::*;
pub(crate) use policies::*;
pub(crate) use receipts::*;

/// Reads one row.
pub(crate) fn one<R, T>(operation: &'static str, json: &str) -> Result<T, StoreError>
where
    R: DeserializeOwned + Into<T>,
{
    serde_json::from_str::<R>(json).map(Into::into).map_err(corrupt(operation))
}

/// Reads an array of rows.
pub(crate) fn many<R, T>(operation: &'static str, json: &str) -> Result<Vec<T>, StoreError>
where
    R: DeserializeOwned + Into<T>,
{
    let rows: Vec<R> = serde_json::from_str(json).map_err(corrupt(operation))?;
    Ok(rows.into_iter().map(Into::into).collect())
}

/// A truth value; SQLite keeps it as a number.
pub(crate) fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Flag {
        Truth(bool),
        Number(i64),
    }
    match Flag::deserialize(deserializer)? {
        Flag::Truth(truth) => Ok(truth),
        Flag::Number(0) => Ok(false),
        Flag::Number(1) => Ok(true),
        Flag::Number(other) => Err(D::Error::custom(format_args!("{other} is no truth value"))),
    }
}

/// A truth value that may be missing.
fn optional_flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    #[derive(Deserialize)]
    struct Truth(#[serde(deserialize_with = "flag")] bool);
    Ok(Option::<Truth>::deserialize(deserializer)?.map(|Truth(truth)| truth))
}

/// A text that holds JSON, and may be missing.
fn optional_json_text<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| serde_json::from_str(&text).map_err(D::Error::custom)).transpose()
}

/// A text that holds JSON.
fn json_text<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<T, D::Error> {
    serde_json::from_str(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// A text that can be parsed.
fn parsed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bucket, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}
