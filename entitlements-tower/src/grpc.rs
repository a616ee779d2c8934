//! gRPC: a denial is a status in the headers of a 200.

use std::fmt::Write;

use entitlements_core::Reason;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response};

use crate::denial::Denial;

/// Whether the request is a gRPC call, by its content type.
#[must_use]
pub fn is_grpc(parts: &Parts) -> bool {
    parts.headers.get(CONTENT_TYPE).is_some_and(|value| {
        let prefix = b"application/grpc";
        value.as_bytes().get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix))
    })
}

/// The code of gRPC for a denial.
pub(crate) fn code_of(denial: &Denial) -> u8 {
    match denial {
        Denial::Unauthenticated { .. } => 16,
        Denial::NotEntitled(decision) => match decision.reason {
            Reason::QuotaExceeded | Reason::NoSubscription | Reason::SubscriptionInactive => 8,
            _ => 7,
        },
        Denial::NoRule => 7,
        Denial::IdempotencyConflict => 10,
        Denial::InvalidIdempotencyKey => 3,
        Denial::Unavailable => 14,
        Denial::Internal => 13,
    }
}

pub(crate) fn respond<B>(denial: &Denial, body: B) -> Response<B> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert("grpc-status", HeaderValue::from(u16::from(code_of(denial))));
    let message = percent_encode(&format!("{}: {}", denial.code(), denial.problem().text()));
    if let Ok(message) = HeaderValue::try_from(message) {
        headers.insert("grpc-message", message);
    }
    response
}

/// What a finished call says about itself before its body: the code of gRPC, if it failed at once.
pub(crate) fn status_in(headers: &HeaderMap) -> Option<u8> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}

/// Writes everything but printable ASCII as `%XX`, as gRPC does in messages.
fn percent_encode(text: &str) -> String {
    text.bytes().fold(String::with_capacity(text.len()), |mut encoded, byte| {
        if matches!(byte, b' '..=b'~') && byte != b'%' {
            encoded.push(char::from(byte));
        } else {
            // Writing into a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_hold_printable_ascii_only() {
        assert_eq!(percent_encode("a b%\r\né"), "a b%25%0D%0A%C3%A9");
    }

    #[test]
    fn the_content_type_tells_grpc() {
        for (value, expected) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("Application/gRPC", true),
            ("application/json", false),
            ("application", false),
        ] {
            let request = http::Request::builder().header(CONTENT_TYPE, value).body(()).unwrap();
            assert_eq!(is_grpc(&request.into_parts().0), expected, "{value}");
        }
    }
}
