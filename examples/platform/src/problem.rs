//! Error answers: `application/problem+json`, in one place.

use std::fmt::Display;

use axum::extract::Request;
use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use billing_stripe::WebhookError;
use entitlements_core::billing::{BillingError, BillingErrorKind};
use entitlements_core::store::StoreError;
use entitlements_core::{Decision, Error, ErrorKind};
use entitlements_tower::Problem;
use serde_json::json;

use crate::start_error::chain;

/// Why a request is not served.
#[derive(Debug)]
pub(crate) struct Rejection(Box<Problem>);

impl Rejection {
    fn new(status: StatusCode, code: &'static str, title: &'static str) -> Self {
        Self(Box::new(Problem::new(status, code, title)))
    }

    fn with(self, change: impl FnOnce(Problem) -> Problem) -> Self {
        Self(Box::new(change(*self.0)))
    }

    /// 400: a field that is wrong.
    pub(crate) fn invalid(field: &str, message: impl Display) -> Self {
        Self::invalid_fields([(field.to_owned(), message.to_string())])
    }

    /// 400: fields that are wrong, each with what is wrong; an empty field is the body as a whole.
    pub(crate) fn invalid_fields(problems: impl IntoIterator<Item = (String, String)>) -> Self {
        let problems: Vec<_> = problems.into_iter().collect();
        let named = |(field, message): &(String, String)| {
            if field.is_empty() { message.clone() } else { format!("`{field}`: {message}") }
        };
        let detail = problems.iter().map(named).collect::<Vec<_>>().join("; ");
        let first = problems.iter().map(|(field, _)| field).find(|field| !field.is_empty()).cloned();
        let list: Vec<_> =
            problems.iter().map(|(field, message)| json!({"field": field, "message": message})).collect();
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", "The request is invalid").with(|problem| {
            let problem = problem.detail(detail).field("field", first);
            if list.len() > 1 { problem.field("problems", list) } else { problem }
        })
    }

    /// 400: a body that is no JSON object.
    pub(crate) fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", "The request is invalid")
            .with(|problem| problem.detail(detail))
    }

    /// 401: no token.
    pub(crate) fn no_token() -> Self {
        Self::unauthenticated("a Bearer token is needed", "Bearer realm=\"platform\"".into())
    }

    /// 401: a token that is not accepted.
    pub(crate) fn bad_token(why: &str) -> Self {
        let challenge =
            format!("Bearer realm=\"platform\", error=\"invalid_token\", error_description=\"{why}\"");
        Self::unauthenticated(why, challenge)
    }

    fn unauthenticated(why: &str, challenge: String) -> Self {
        let challenge = HeaderValue::try_from(challenge).unwrap_or(HeaderValue::from_static("Bearer"));
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", "Authentication required")
            .with(|problem| problem.detail(why).header(WWW_AUTHENTICATE, challenge))
    }

    /// 403: another company, or a role that is not enough.
    pub(crate) fn forbidden() -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "Forbidden")
            .with(|problem| problem.detail("the token's company or role does not allow this"))
    }

    /// 404: nothing of that id.
    pub(crate) fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", "Not found").with(|problem| problem.detail(what))
    }

    /// 405.
    pub(crate) fn wrong_method() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "Method not allowed")
    }

    /// 413.
    pub(crate) fn too_large(limit: usize) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "The body is too large")
            .with(|problem| problem.detail(format!("a body may have at most {limit} bytes")))
    }

    /// 415.
    pub(crate) fn wrong_media_type() -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "Unsupported media type")
            .with(|problem| problem.detail("the body must be sent as application/json"))
    }

    /// A webhook that is not taken. Stripe sends it again.
    pub(crate) fn webhook(error: &WebhookError) -> Self {
        let status = error.status();
        let (code, title) = match error {
            WebhookError::Busy => ("busy", "The event is being worked on"),
            WebhookError::Failed(_) => ("unavailable", "The event could not be worked on"),
            _ if status == StatusCode::PAYLOAD_TOO_LARGE => ("too_large", "The body is too large"),
            _ => ("invalid_webhook", "The webhook is not accepted"),
        };
        if status.is_server_error() {
            tracing::error!(error = chain(error), "a webhook could not be worked on");
        } else {
            tracing::warn!(error = chain(error), "a webhook is not accepted");
        }
        Self::new(status, code, title).with(|problem| problem.detail(error.to_string()))
    }

    /// 500: a mistake in the program.
    pub(crate) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error")
    }
}

impl From<Problem> for Rejection {
    fn from(problem: Problem) -> Self {
        Self(Box::new(problem))
    }
}

/// A denial: 402 or 403, by its reason.
impl From<&Decision> for Rejection {
    fn from(decision: &Decision) -> Self {
        Problem::from(decision).into()
    }
}

/// The cause of a failure goes to the log, and no further.
impl From<Error> for Rejection {
    fn from(error: Error) -> Self {
        match error.kind() {
            ErrorKind::Invalid => {
                Self::new(StatusCode::BAD_REQUEST, "invalid_request", "The request is invalid")
                    .with(|problem| problem.detail(error.to_string()).field("field", error.field()))
            }
            ErrorKind::Taken | ErrorKind::IdempotencyConflict => Problem::from(&error).into(),
            _ => {
                tracing::error!(error = chain(&error), "a request could not be served");
                Problem::from(&error).into()
            }
        }
    }
}

/// The provider's own words go to the log, and no further.
impl From<BillingError> for Rejection {
    fn from(error: BillingError) -> Self {
        let detail = error.to_string();
        let told = |rejection: Self| rejection.with(|problem| problem.detail(detail));
        match error.kind() {
            BillingErrorKind::Invalid => {
                told(Self::new(StatusCode::BAD_REQUEST, "invalid_request", "The request is invalid"))
                    .with(|problem| problem.field("field", error.field()))
            }
            BillingErrorKind::NotFound => told(Self::new(StatusCode::NOT_FOUND, "not_found", "Not found")),
            BillingErrorKind::Conflict => told(Self::new(StatusCode::CONFLICT, "conflict", "Conflict")),
            BillingErrorKind::Declined => {
                told(Self::new(StatusCode::PAYMENT_REQUIRED, "card_declined", "The payment was declined"))
            }
            BillingErrorKind::Unavailable => {
                tracing::error!(error = chain(&error), "billing is unavailable");
                told(Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Temporarily unavailable"))
                    .with(|problem| problem.header(RETRY_AFTER, HeaderValue::from_static("1")))
            }
            _ => {
                tracing::error!(error = chain(&error), "a request could not be served");
                Self::internal()
            }
        }
    }
}

impl From<StoreError> for Rejection {
    fn from(error: StoreError) -> Self {
        Error::from(error).into()
    }
}

impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        let mut response: Response = Problem::clone(&self.0).into_response();
        response.extensions_mut().insert(Unplaced(*self.0));
        response
    }
}

/// A problem that does not name its request yet.
#[derive(Clone)]
struct Unplaced(Problem);

/// Names the path of the request in every problem.
pub(crate) async fn place(request: Request, next: Next) -> Response {
    let uri = request.uri().clone();
    let mut response = next.run(request).await;
    match response.extensions_mut().remove::<Unplaced>() {
        Some(Unplaced(problem)) => {
            let mut placed: Response = problem.instance(uri.path()).into_response();
            // What the router added, such as `Allow`.
            for (name, value) in response.headers() {
                if !placed.headers().contains_key(name) && name != axum::http::header::CONTENT_LENGTH {
                    placed.headers_mut().append(name, value.clone());
                }
            }
            placed
        }
        None => response,
    }
}
