//! The key of a charge: the caller's, if that is asked for, or a new one.

use entitlements_core::id::IdempotencyKey;
use http::request::Parts;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The longest key that a caller may send.
const MAX_BYTES: usize = 128;

/// What a caller's `Idempotency-Key` stands for: this method, this path and query, this key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CallersKey {
    target: String,
    key: String,
}

/// `Idempotency-Key` is there more than once, or is too long, or holds other than printable ASCII.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct InvalidKey;

impl CallersKey {
    pub(crate) fn read(parts: &Parts, path: &str) -> Result<Option<Self>, InvalidKey> {
        let mut values = parts.headers.get_all("idempotency-key").iter();
        let Some(value) = values.next() else { return Ok(None) };
        let key = value.to_str().map_err(|_| InvalidKey)?;
        if values.next().is_some() || key.is_empty() || key.len() > MAX_BYTES || key.contains('\t') {
            return Err(InvalidKey);
        }
        let target = format!("{} {path}?{}", parts.method, parts.uri.query().unwrap_or_default());
        Ok(Some(Self { target, key: key.to_owned() }))
    }

    /// The key of the charge of a meter, for the `attempt`-th time that this was tried after the one before was given
    /// back. A request may be charged for several meters, so each has keys of its own.
    pub(crate) fn charge(&self, meter: &str, attempt: usize) -> Option<IdempotencyKey> {
        // No target has a line break.
        let digest = Sha256::digest(format!("{}\n{meter}", self.target));
        let target = const_hex::encode(digest.first_chunk::<16>()?);
        IdempotencyKey::new(format!("http:{target}:{attempt}:{}", self.key)).ok()
    }
}

/// A key that nobody has used.
pub(crate) fn fresh() -> Option<IdempotencyKey> {
    IdempotencyKey::new(Uuid::now_v7().to_string()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(method: &str, uri: &str, keys: &[&str]) -> Result<Option<CallersKey>, InvalidKey> {
        let mut request = http::Request::builder().method(method).uri(uri);
        for key in keys {
            request = request.header("idempotency-key", *key);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        CallersKey::read(&parts, parts.uri.path())
    }

    #[test]
    fn a_key_means_one_method_path_and_query() {
        let key = |method, uri| read(method, uri, &["k"]).unwrap().unwrap();
        assert_eq!(key("POST", "/a"), key("POST", "/a"));
        assert_ne!(key("POST", "/a"), key("PUT", "/a"));
        assert_ne!(key("POST", "/a"), key("POST", "/b"));
        assert_ne!(key("POST", "/a?x=1"), key("POST", "/a?x=2"));
    }

    #[test]
    fn the_longest_key_fits_for_every_attempt() {
        let key = read("POST", "/a", &[&"k".repeat(128)]).unwrap().unwrap();
        assert!(key.charge("reports", usize::MAX).is_some());
        assert_ne!(key.charge("reports", 0), key.charge("reports", 1));
    }

    #[test]
    fn no_attempt_has_the_key_of_another_callers_key() {
        let [key, other] = ["k", "k:1"].map(|key| read("POST", "/a", &[key]).unwrap().unwrap());
        assert_ne!(key.charge("reports", 1), other.charge("reports", 0));
    }

    #[test]
    fn each_meter_has_keys_of_its_own() {
        let key = read("POST", "/a", &["k"]).unwrap().unwrap();
        assert_eq!(key.charge("reports", 0), key.charge("reports", 0));
        assert_ne!(key.charge("reports", 0), key.charge("tokens", 0));
    }

    #[test]
    fn keys_that_cannot_be_read_are_refused() {
        for keys in [&["a", "a"][..], &[""], &[&"k".repeat(129)], &["a\tb"]] {
            assert_eq!(read("POST", "/a", keys), Err(InvalidKey), "{keys:?}");
        }
        assert_eq!(read("POST", "/a", &[]), Ok(None));
    }
}
