//! Typed extractors in an `Option`: handlers that serve those who are not entitled in another way.

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use entitlements_core::typed::{Meter, TypedFeature};
use http::request::Parts;

use super::typed::{Entitled, Metered, NotAdmitted};
use crate::denial::Denial;

/// `None` where the subject is not entitled, or nobody who is known asks. What could not be decided, and a missing gate, are
/// still refused: nobody is taken for not entitled because a store is away.
///
/// ```
/// use entitlements_tower::Entitled;
///
/// entitlements_core::features! {
///     /// Charts in reports.
///     Charts: Flag = "charts";
/// }
///
/// async fn report(charts: Option<Entitled<Charts>>) -> &'static str {
///     if charts.is_some() { "numbers and charts" } else { "numbers" }
/// }
/// # let _: axum::Router = axum::Router::new().route("/", axum::routing::get(report));
/// ```
impl<S: Send + Sync, F: TypedFeature> OptionalFromRequestParts<S> for Entitled<F> {
    type Rejection = NotAdmitted;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, NotAdmitted> {
        if_entitled(<Self as FromRequestParts<S>>::from_request_parts(parts, state).await)
    }
}

/// `None` where there is no unit left, or nobody who is known asks: then nothing is charged.
impl<S: Send + Sync, M: Meter> OptionalFromRequestParts<S> for Metered<M> {
    type Rejection = NotAdmitted;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Option<Self>, NotAdmitted> {
        if_entitled(<Self as FromRequestParts<S>>::from_request_parts(parts, state).await)
    }
}

fn if_entitled<T>(asked: Result<T, NotAdmitted>) -> Result<Option<T>, NotAdmitted> {
    match asked {
        Ok(proof) => Ok(Some(proof)),
        Err(NotAdmitted::Denied {
            denial: Denial::NotEntitled { .. } | Denial::Unauthenticated { .. },
            ..
        }) => Ok(None),
        Err(refused) => Err(refused),
    }
}
