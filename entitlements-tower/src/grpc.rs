//! gRPC: a denial is a status in the headers of a 200.

use entitlements_core::Reason;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::denial::Denial;
use crate::grpc_details;

/// Whether the request is a gRPC call, or one of gRPC-Web: a `POST` with its content type.
///
/// No call is made with another method. Whatever a `GET` says of its content, its denial is no 200.
///
/// ```
/// use http::Request;
///
/// let (mut parts, ()) = Request::post("/acme.Reports/Export").header("content-type", "application/grpc").body(())?.into_parts();
/// assert!(entitlements_tower::is_grpc(&parts));
/// parts.method = http::Method::GET;
/// assert!(!entitlements_tower::is_grpc(&parts));
/// # Ok::<(), http::Error>(())
/// ```
#[must_use]
pub fn is_grpc(parts: &Parts) -> bool {
    parts.method == Method::POST && subtype(&parts.headers).is_some()
}

/// What follows `application/grpc` in the content type: nothing, or `-web`, `+proto` and the like.
fn subtype(headers: &HeaderMap) -> Option<&[u8]> {
    let prefix = b"application/grpc";
    let (head, rest) = headers.get(CONTENT_TYPE)?.as_bytes().split_at_checked(prefix.len())?;
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
    let is_web = subtype(&parts.headers)
        .and_then(|rest| rest.get(..4))
        .is_some_and(|rest| rest.eq_ignore_ascii_case(b"-web"));
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    let kind = if is_web { "application/grpc-web" } else { "application/grpc" };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    // To caches it is a 200, and what it says is so only now, and only for this caller.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
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

/// What a finished call says about itself before its body: the code of gRPC, if it failed at once. To a response that is none
/// of a call the header means nothing, whoever has put it there.
pub(crate) fn status_in(headers: &HeaderMap) -> Option<u8> {
    let code = headers.get("grpc-status")?;
    subtype(headers)?;
    code.to_str().ok()?.parse().ok()
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
    fn a_post_with_the_content_type_is_grpc() {
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
            let (mut parts, ()) =
                http::Request::post("/").header(CONTENT_TYPE, value).body(()).unwrap().into_parts();
            assert_eq!(is_grpc(&parts), expected, "{value}");
            for method in ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "CONNECT", "post"] {
                parts.method = Method::from_bytes(method.as_bytes()).unwrap();
                assert!(!is_grpc(&parts), "{method} {value}");
            }
        }
    }
}
