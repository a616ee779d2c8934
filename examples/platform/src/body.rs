//! Bodies: read up to a limit, as JSON objects without doubled names, or as whatever JSON there is.

use std::fmt;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use http_body_util::BodyExt;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::{Map, Value};

use crate::fields::Fields;
use crate::problem::Rejection;

/// The most bytes that a body may have.
pub(crate) const MAX_BODY: usize = 1024 * 1024;

/// How much of a body beyond the limit is read and thrown away, so that the client gets to read the answer.
const MAX_DRAIN: usize = 16 * MAX_BODY;

/// How long a client may take to send a body.
const PATIENCE: Duration = Duration::from_secs(30);

/// The JSON object that a request brings.
#[derive(Debug)]
pub(crate) struct JsonObject(Map<String, Value>);

impl JsonObject {
    /// The fields of the object; others than those of `known` are refused.
    pub(crate) fn fields(self, known: &[&str]) -> Result<Fields, Rejection> {
        Fields::new(self.0, known)
    }

    /// The object as it is.
    pub(crate) fn into_map(self) -> Map<String, Value> {
        self.0
    }
}

impl<S: Send + Sync> FromRequest<S> for JsonObject {
    type Rejection = Rejection;

    async fn from_request(request: Request, _: &S) -> Result<Self, Rejection> {
        if !is_json(request.headers()) {
            return Err(Rejection::wrong_media_type());
        }
        object(&read(request.into_body()).await?)
    }
}

/// The JSON that a request brings, if it brings any.
#[derive(Debug)]
pub(crate) struct OptionalJson(pub(crate) Option<Value>);

impl<S: Send + Sync> FromRequest<S> for OptionalJson {
    type Rejection = Rejection;

    async fn from_request(request: Request, _: &S) -> Result<Self, Rejection> {
        let json = is_json(request.headers());
        let bytes = read(request.into_body()).await?;
        if !json || bytes.is_empty() {
            return Ok(Self(None));
        }
        serde_json::from_slice(&bytes)
            .map(|value| Self(Some(value)))
            .map_err(|error| Rejection::malformed(format!("the body is no JSON: {error}")))
    }
}

/// The JSON object that a request brings, or an empty one if it brings nothing.
#[derive(Debug)]
pub(crate) struct OptionalObject(pub(crate) JsonObject);

impl<S: Send + Sync> FromRequest<S> for OptionalObject {
    type Rejection = Rejection;

    async fn from_request(request: Request, _: &S) -> Result<Self, Rejection> {
        let json = is_json(request.headers());
        let bytes = read(request.into_body()).await?;
        if bytes.is_empty() {
            return Ok(Self(JsonObject(Map::new())));
        }
        if !json {
            return Err(Rejection::wrong_media_type());
        }
        object(&bytes).map(Self)
    }
}

/// The bytes that a request brings.
#[derive(Debug)]
pub(crate) struct RawBody(pub(crate) Vec<u8>);

impl<S: Send + Sync> FromRequest<S> for RawBody {
    type Rejection = Rejection;

    async fn from_request(request: Request, _: &S) -> Result<Self, Rejection> {
        read(request.into_body()).await.map(Self)
    }
}

fn object(bytes: &[u8]) -> Result<JsonObject, Rejection> {
    match serde_json::from_slice(bytes) {
        Ok(Distinct(map)) => Ok(JsonObject(map)),
        Err(error) => Err(Rejection::malformed(format!("the body is no JSON object: {error}"))),
    }
}

/// Whether the media type is `application/json`, or one that is built on it.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

async fn read(body: Body) -> Result<Vec<u8>, Rejection> {
    match tokio::time::timeout(PATIENCE, read_all(body)).await {
        Ok(read) => read,
        Err(_) => Err(Rejection::malformed("the body did not arrive in time")),
    }
}

async fn read_all(mut body: Body) -> Result<Vec<u8>, Rejection> {
    let mut bytes = Vec::new();
    let mut total = 0_usize;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Rejection::malformed("the body broke off"))?;
        let Ok(chunk) = frame.into_data() else { continue };
        total = total.saturating_add(chunk.len());
        if total <= MAX_BODY {
            bytes.extend_from_slice(&chunk);
        } else if total > MAX_DRAIN {
            break;
        }
    }
    if total > MAX_BODY { Err(Rejection::too_large(MAX_BODY)) } else { Ok(bytes) }
}

/// An object in which no name is there twice: which of the two counts is anybody's guess.
struct Distinct(Map<String, Value>);

impl<'de> Deserialize<'de> for Distinct {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;

        impl<'de> Visitor<'de> for Names {
            type Value = Distinct;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Distinct, A::Error> {
                let mut map = Map::new();
                while let Some((name, value)) = access.next_entry::<String, Value>()? {
                    if map.contains_key(&name) {
                        return Err(A::Error::custom(format_args!("the field `{name}` is there twice")));
                    }
                    map.insert(name, value);
                }
                Ok(Distinct(map))
            }
        }

        deserializer.deserialize_map(Names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(value: &str) -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_TYPE, value.parse().unwrap())])
    }

    #[test]
    fn the_media_type_tells_json() {
        for json in ["application/json", "Application/JSON; charset=utf-8", "application/problem+json"] {
            assert!(is_json(&headers(json)), "{json}");
        }
        for other in ["text/plain", "application/x-www-form-urlencoded", "application/jsonl", "text/x+json"] {
            assert!(!is_json(&headers(other)), "{other}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }

    #[tokio::test]
    async fn a_body_may_have_as_many_bytes_as_the_limit_and_no_more() {
        assert_eq!(read(Body::from(vec![b' '; MAX_BODY])).await.unwrap().len(), MAX_BODY);
        assert!(read(Body::from(vec![b' '; MAX_BODY + 1])).await.is_err());
    }

    #[test]
    fn a_name_twice_is_refused() {
        assert!(serde_json::from_str::<Distinct>(r#"{"a": 1, "b": 2}"#).is_ok());
        assert!(serde_json::from_str::<Distinct>(r#"{"a": 1, "a": 1}"#).is_err());
        assert!(serde_json::from_str::<Distinct>("[]").is_err());
    }
}
