//! Extractors for typed features: what a handler needs is in its signature.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use entitlements_core::Decision;
use entitlements_core::typed::{Meter, TypedFeature};
use entitlements_core::usage::Receipt;
use http::request::Parts;

use super::MissingGate;
use crate::charge::{Charged, Charges};
use crate::denial::Denial;
use crate::in_handler::{Asks, DeniedInHandler, InHandler};
use crate::matching::RequestPath;

/// Proof that the subject of the request is entitled to `F`, for the action of the request's method.
///
/// If a rule has asked for the feature, this is its decision. Otherwise the extractor asks, where the layer was built with
/// [`extractors`](crate::EntitlementLayerBuilder::extractors).
///
/// ```
/// use entitlements_tower::Entitled;
///
/// entitlements_core::features! {
///     /// Take the data out.
///     Export: Flag = "export";
/// }
///
/// async fn export(proof: Entitled<Export>) -> String {
///     format!("allowed: {}", proof.decision.reason)
/// }
/// # let _ = export;
/// ```
#[derive(Clone, PartialEq)]
pub struct Entitled<F> {
    /// The decision.
    pub decision: Decision,
    feature: PhantomData<fn() -> F>,
}

/// Proof that the request has paid one unit of the meter `M`.
///
/// If a rule has charged the meter, this is its charge, and nothing is charged again. Otherwise the extractor takes a unit,
/// where the layer was built with [`extractors`](crate::EntitlementLayerBuilder::extractors). It is given back when the
/// response is a 5xx, or the handler panics.
///
/// ```
/// use entitlements_tower::Metered;
///
/// entitlements_core::features! {
///     /// Reports made.
///     Reports: Meter = "reports";
/// }
///
/// async fn generate(paid: Metered<Reports>) -> String {
///     match paid.receipt() {
///         Some(receipt) => format!("{} used", receipt.used),
///         None => "charged later".to_owned(),
///     }
/// }
/// # let _ = generate;
/// ```
#[derive(Clone, PartialEq)]
pub struct Metered<M> {
    /// What was charged.
    pub charged: Charged,
    meter: PhantomData<fn() -> M>,
}

impl<M> Metered<M> {
    /// The receipt; `None` if the units are taken later, because the facts could not be reached.
    #[must_use]
    pub const fn receipt(&self) -> Option<&Receipt> {
        self.charged.receipt.as_ref()
    }
}

/// Why an extractor does not let a request through. As a response it is what the layer answers denials with, or 500
/// without a layer.
#[derive(Debug)]
#[non_exhaustive]
pub enum NotAdmitted {
    /// Nothing could ask: a mistake in the program.
    MissingGate(MissingGate),
    /// The request is denied.
    Denied {
        /// Why.
        denial: Denial,
        /// The head of the request.
        parts: Arc<Parts>,
    },
}

impl IntoResponse for NotAdmitted {
    fn into_response(self) -> Response {
        match self {
            Self::MissingGate(missing) => missing.into_response(),
            Self::Denied { denial, parts } => {
                let problem = denial.problem().instance(RequestPath::of(&parts).raw);
                let mut response = problem.into_response();
                // The layer puts the answer of its own `Deny` in the place of this one.
                response.extensions_mut().insert(DeniedInHandler { denial, parts });
                response
            }
        }
    }
}

async fn ask<E>(parts: &mut Parts, feature: &'static str, asks: Asks) -> Result<(), NotAdmitted> {
    let Some(handler) = parts.extensions.get::<InHandler>().cloned() else {
        return Err(NotAdmitted::MissingGate(MissingGate { expected: std::any::type_name::<E>() }));
    };
    let asked = handler.ask(parts, feature, asks).await;
    asked.map_err(|denial| NotAdmitted::Denied { denial, parts: Arc::new(parts.clone()) })
}

impl<S: Send + Sync, F: TypedFeature> FromRequestParts<S> for Entitled<F> {
    type Rejection = NotAdmitted;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, NotAdmitted> {
        let known = |parts: &Parts| {
            let proves = |decision: &&Decision| decision.feature == F::KEY && decision.is_allowed();
            parts.extensions.get::<Decision>().filter(proves).cloned()
        };
        if known(parts).is_none() {
            ask::<Self>(parts, F::KEY, Asks::Require).await?;
        }
        let missing = MissingGate { expected: std::any::type_name::<Self>() };
        let decision = known(parts).ok_or(NotAdmitted::MissingGate(missing))?;
        Ok(Self { decision, feature: PhantomData })
    }
}

impl<S: Send + Sync, M: Meter> FromRequestParts<S> for Metered<M> {
    type Rejection = NotAdmitted;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, NotAdmitted> {
        let known = |parts: &Parts| parts.extensions.get::<Charges>()?.of(M::KEY).cloned();
        if known(parts).is_none() {
            ask::<Self>(parts, M::KEY, Asks::Consume).await?;
        }
        let missing = MissingGate { expected: std::any::type_name::<Self>() };
        let charged = known(parts).ok_or(NotAdmitted::MissingGate(missing))?;
        Ok(Self { charged, meter: PhantomData })
    }
}

impl<F: TypedFeature> fmt::Debug for Entitled<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Entitled").field(&F::KEY).finish()
    }
}

impl<M: Meter> fmt::Debug for Metered<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Metered").field(&M::KEY).finish()
    }
}
