//! Extractors for axum.

mod optional;
mod typed;

use std::any::type_name;
use std::convert::Infallible;

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::response::{IntoResponse, Response};
use entitlements_core::Decision;
use http::request::Parts;

pub use typed::{Entitled, Metered, NotAdmitted};

use crate::problem::Problem;
use crate::report::UsageReport;

/// The decision that admitted the request.
///
/// A handler with this argument cannot be reached without a gate: without one the answer is 500.
///
/// ```
/// use entitlements_tower::Admitted;
///
/// async fn export(Admitted(decision): Admitted) -> String {
///     format!("allowed: {}", decision.reason)
/// }
/// # let _ = export;
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Admitted(pub Decision);

/// No gate has admitted the request: a mistake in the program, answered with 500.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MissingGate {
    /// What the handler asked for.
    pub expected: &'static str,
}

impl IntoResponse for MissingGate {
    fn into_response(self) -> Response {
        tracing::error!(
            expected = self.expected,
            "a handler was reached without its gate: put its router under the entitlement layer, and give its route a \
             rule that requires or consumes something (for a usage report: a rule that charges the actual amount)"
        );
        Problem::internal().into_response()
    }
}

fn extension<T: Clone + Send + Sync + 'static>(parts: &Parts) -> Result<T, MissingGate> {
    parts.extensions.get::<T>().cloned().ok_or(MissingGate { expected: type_name::<T>() })
}

impl<S: Send + Sync> FromRequestParts<S> for Admitted {
    type Rejection = MissingGate;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, MissingGate> {
        extension(parts).map(Self)
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for Admitted {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(extension(parts).map(Self).ok())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for UsageReport {
    type Rejection = MissingGate;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, MissingGate> {
        extension(parts)
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for UsageReport {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Infallible> {
        Ok(extension(parts).ok())
    }
}
