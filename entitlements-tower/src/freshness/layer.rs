//! The layer that catches up before the gate decides.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use entitlements_core::{Entitlements, Error, ErrorKind};
use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::Freshness;
use super::future::FreshnessFuture;
use crate::denial::Denial;
use crate::deny::{Deny, ProblemJson};
use crate::identity::{Identify, Identity};

/// Lets clients read their own writes, whichever process answers: the response to a write carries its revision in
/// [`REVISION_HEADER`](super::REVISION_HEADER), and a request that carries one is answered from facts that show it.
///
/// It belongs between authentication and [`EntitlementLayer`](crate::EntitlementLayer): it has to know who asks, and to be
/// done before anything is decided. Handlers tell what they have written with [`Wrote`](super::Wrote).
///
/// Only the facts of the company that asks are loaded; see [`Freshness`] for what a header can do. When they cannot be, the
/// answer is 503.
///
/// ```
/// use axum::routing::{get, post};
/// use axum::{Extension, Router};
/// use entitlements_core::id::CompanyId;
/// use entitlements_core::{Entitlements, Subject};
/// use entitlements_tower::{EntitlementLayer, FailMode, FreshnessLayer, Wrote, subject_extension};
///
/// # fn router(entitlements: Entitlements) -> Result<Router, entitlements_tower::RuleError> {
/// let gate = EntitlementLayer::builder(entitlements.clone(), subject_extension(), FailMode::Closed).build()?;
/// let router = Router::new()
///     .route("/boardroom", get(async || "welcome"))
///     .route_layer(gate)
///     .route_layer(FreshnessLayer::new(entitlements, subject_extension()))
///     // and the layer that authenticates
/// # ;
/// # Ok(router)
/// # }
/// ```
pub struct FreshnessLayer<D = ProblemJson> {
    freshness: Freshness,
    identify: Arc<dyn Identify>,
    deny: Arc<D>,
}

impl FreshnessLayer {
    /// A layer that catches up with what the company of each request has written.
    pub fn new(entitlements: Entitlements, identify: impl Identify) -> Self {
        Self {
            freshness: Freshness::new(entitlements),
            identify: Arc::new(identify),
            deny: Arc::new(ProblemJson::new()),
        }
    }
}

impl<D> FreshnessLayer<D> {
    /// Answers with `deny` instead of [`ProblemJson`], when it cannot catch up.
    #[must_use]
    pub fn deny<E>(self, deny: E) -> FreshnessLayer<E> {
        FreshnessLayer { freshness: self.freshness, identify: self.identify, deny: Arc::new(deny) }
    }

    /// What the layer is built on.
    #[must_use]
    pub const fn freshness(&self) -> &Freshness {
        &self.freshness
    }
}

impl<S, D> Layer<S> for FreshnessLayer<D> {
    type Service = FreshnessService<S, D>;

    fn layer(&self, inner: S) -> Self::Service {
        FreshnessService { inner, layer: self.clone() }
    }
}

/// A service whose requests see what their company has written; made by [`FreshnessLayer`].
pub struct FreshnessService<S, D> {
    inner: S,
    layer: FreshnessLayer<D>,
}

impl<S, D, A, B> Service<Request<A>> for FreshnessService<S, D>
where
    S: Service<Request<A>, Response = Response<B>> + Clone,
    D: Deny<B>,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = FreshnessFuture<S, A, D>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let FreshnessLayer { freshness, identify, deny } = &self.layer;
        let (parts, body) = request.into_parts();
        let behind = match identify.identify(&parts) {
            Ok(Identity::Subject(subject)) => {
                let revision = freshness.behind(&parts.headers, &subject.company);
                revision.map(|revision| (subject.company, revision))
            }
            // The gate says what is wrong with that.
            Ok(Identity::Anonymous) | Err(_) => None,
        };
        let request = Request::from_parts(parts, body);
        let Some((company, revision)) = behind else {
            return FreshnessFuture::calling(self.inner.call(request));
        };
        let freshness = freshness.clone();
        let catching = Box::pin(async move {
            let caught = freshness.load(&company, revision).await;
            caught.map_err(|error| denial(&error, &freshness.0.entitlements))
        });
        let fresh = self.inner.clone();
        let ready = std::mem::replace(&mut self.inner, fresh);
        FreshnessFuture::catching(catching, ready, request, Arc::clone(deny))
    }
}

fn denial(error: &Error, entitlements: &Entitlements) -> Denial {
    let cause = error as &dyn std::error::Error;
    let denial = if error.kind() == ErrorKind::Unavailable {
        tracing::warn!(error = cause, "a request cannot see what was written before");
        Denial::Unavailable
    } else {
        tracing::error!(error = cause, "a request cannot see what was written before");
        Denial::Internal
    };
    denial.tell(entitlements, None);
    denial
}

impl<D> Clone for FreshnessLayer<D> {
    fn clone(&self) -> Self {
        Self {
            freshness: self.freshness.clone(),
            identify: Arc::clone(&self.identify),
            deny: Arc::clone(&self.deny),
        }
    }
}

impl<S: Clone, D> Clone for FreshnessService<S, D> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), layer: self.layer.clone() }
    }
}

impl<D> fmt::Debug for FreshnessLayer<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FreshnessLayer")
    }
}

impl<S: fmt::Debug, D> fmt::Debug for FreshnessService<S, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FreshnessService").field("inner", &self.inner).finish_non_exhaustive()
    }
}
