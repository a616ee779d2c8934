//! Fields: takes an object apart, and names the field that is wrong.

use serde_json::{Map, Value};

use crate::problem::Rejection;

/// The fields of an object whose names are all known. `null` is the same as absent.
#[derive(Debug)]
pub(crate) struct Fields(Map<String, Value>);

impl Fields {
    /// The fields of `object`; every name that is not in `known` is refused.
    pub(crate) fn new(object: Map<String, Value>, known: &[&str]) -> Result<Self, Rejection> {
        let unknown: Vec<_> = object
            .keys()
            .filter(|name| !known.contains(&name.as_str()))
            .map(|name| (clip(name), format!("unknown field, expected one of {}", known.join(", "))))
            .collect();
        if unknown.is_empty() { Ok(Self(object)) } else { Err(Rejection::invalid_fields(unknown)) }
    }

    /// The value of a field that must be there, as `read` reads it.
    pub(crate) fn required<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Result<T, Rejection> {
        self.optional(name, read)?.ok_or_else(|| Rejection::invalid(name, "is required"))
    }

    /// The value of a field that may be absent, as `read` reads it.
    pub(crate) fn optional<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Result<Option<T>, Rejection> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => read(value).map(Some).map_err(|message| Rejection::invalid(name, message)),
        }
    }
}

/// The beginning of a name that somebody else chose.
fn clip(name: &str) -> String {
    let mut clipped: String = name.chars().take(60).collect();
    if clipped.len() < name.len() {
        clipped.push('…');
    }
    clipped
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;
    use serde_json::json;

    use super::*;

    fn fields(value: Value) -> Result<Fields, Rejection> {
        match value {
            Value::Object(map) => Fields::new(map, &["a", "b"]),
            other => panic!("{other}"),
        }
    }

    fn text(value: &Value) -> Result<String, String> {
        value.as_str().map(Into::into).ok_or_else(|| "expected text".into())
    }

    #[test]
    fn null_is_absent() {
        let mut fields = fields(json!({"a": null})).unwrap();
        assert_eq!(fields.optional("a", text).unwrap(), None);
        assert!(fields.required("a", text).is_err());
    }

    #[test]
    fn an_unknown_field_is_named() {
        let response = fields(json!({"a": 1, "c": 2})).unwrap_err().into_response();
        assert_eq!(response.status(), 400);
        assert!(format!("{:?}", fields(json!({"c": 2})).unwrap_err()).contains("unknown field"));
    }
}
