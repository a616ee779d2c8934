//! Query strings and path segments: read like the fields of a body, and refused in the same form.

use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;
use serde_json::{Map, Value};

use crate::fields::Fields;
use crate::problem::Rejection;

/// The parameters of the query string.
#[derive(Debug)]
pub(crate) struct Parameters(Map<String, Value>);

impl Parameters {
    /// The parameters as fields; others than those of `known` are refused.
    pub(crate) fn fields(self, known: &[&str]) -> Result<Fields, Rejection> {
        Fields::new(self.0, known)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        let pairs = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|_| Rejection::malformed("the query string cannot be read"))?;
        let mut map = Map::new();
        for (name, value) in pairs.0 {
            if map.contains_key(&name) {
                return Err(Rejection::invalid(&name, "is there twice"));
            }
            map.insert(name, Value::String(value));
        }
        Ok(Self(map))
    }
}

/// The one parameter of the path, decoded.
#[derive(Debug)]
pub(crate) struct Segment(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Segment {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Rejection> {
        Path::<String>::from_request_parts(parts, state)
            .await
            .map(|Path(segment)| Self(segment))
            .map_err(|_| Rejection::malformed("the path holds what is not UTF-8"))
    }
}
