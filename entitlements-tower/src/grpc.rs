//! gRPC: a denial is a status in the headers of a 200.

use entitlements_core::Reason;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::denial::Denial;
use crate::grpc_details;

/// Whether the request is a gRPC call, or one of gRPC-Web, by its content type.
#[must_use]
pub fn is_grpc(parts: &Parts) -> bool {
    subtype(parts).is_some()
}

/// What follows `application/grpc` in the content type: nothing, or `-web`, `+proto` and the like.
fn subtype(parts: &Parts) -> Option<&[u8]> {
    let prefix = b"application/grpc";
    let (head, rest) = parts.headers.get(CONTENT_TYPE)?.as_bytes().split_at_checked(prefix.len())?;
    let ends = matches!(rest.first(), None | Some(b'+' | b';' | b'-' | b' '));
    (ends && head.eq_ignore_ascii_case(prefix)).then_some(rest)
}

/// The code of gRPC for a denial.
pub(crate) fn code_of(denial: &Denial) -> u8 {
    match denial {
        Denial::Unauthenticated { .. } => 16,
        Denial::NotEntitled { decision, .. } => match decision.reason {
            Reason::QuotaExceeded | Reason::NoSubscription | Reason::SubscriptionInactive => 8,
            _ => 7,
        },
        Denial::NoRule => 7,
        Denial::IdempotencyConflict | Denial::IdempotencyKeyWornOut => 10,
        Denial::InvalidIdempotencyKey | Denial::Invalid { .. } => 3,
        Denial::Unavailable => 14,
        Denial::Internal => 13,
    }
}

/// A response that is a status alone ("Trailers-Only"): what would be in trailers is in the headers, and nothing follows.
pub(crate) fn respond<B>(denial: &Denial, parts: &Parts, body: B) -> Response<B> {
    let is_web =
        subtype(parts).and_then(|rest| rest.get(..4)).is_some_and(|rest| rest.eq_ignore_ascii_case(b"-web"));
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    let kind = if is_web { "application/grpc-web" } else { "application/grpc" };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    let (code, problem) = (code_of(denial), denial.problem());
    headers.insert("grpc-status", HeaderValue::from(u16::from(code)));
    let message = format!("{}: {}", denial.code(), problem.text());
    if let Some(details) = grpc_details::of(denial, code, &message, &problem) {
        headers.insert("grpc-status-details-bin", details);
    }
    if let Ok(message) = HeaderValue::try_from(utf8_percent_encode(&message, NOT_IN_MESSAGES).to_string()) {
        headers.insert("grpc-message", message);
    }
    response
}

/// What a finished call says about itself before its body: the code of gRPC, if it failed at once.
pub(crate) fn status_in(headers: &HeaderMap) -> Option<u8> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}

/// What a message may not hold as it is: all but printable ASCII, and the percent sign.
const NOT_IN_MESSAGES: &AsciiSet = &CONTROLS.add(b'%');

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_hold_printable_ascii_only() {
        assert_eq!(utf8_percent_encode("a b%\r\né~", NOT_IN_MESSAGES).to_string(), "a b%25%0D%0A%C3%A9~");
    }

    #[test]
    fn the_content_type_tells_grpc() {
        for (value, expected) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc;charset=utf-8", true),
            ("application/grpc-web+proto", true),
            ("application/grpcish", false),
            ("Application/gRPC", true),
            ("application/json", false),
            ("application", false),
        ] {
            let request = http::Request::builder().header(CONTENT_TYPE, value).body(()).unwrap();
            assert_eq!(is_grpc(&request.into_parts().0), expected, "{value}");
        }
    }
}
