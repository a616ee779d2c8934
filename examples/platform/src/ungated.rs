//! The gateway without its gate, and with one that nobody observes, for measurements: what does the layer cost, and what
//! its audit log and metrics?
//!
//! Only the feature `throughput` has them, and the server never calls them: nothing in its environment opens a gate.

use std::sync::Arc;

use axum::Router;
use entitlements_core::{Action, Entitlements, Error, Request, Subject, TokioRuntime};
use entitlements_tower::FailMode;

use crate::app;
use crate::platform::{Platform, gate};
use crate::reload::Reload;
use crate::start_error::StartError;

impl Platform {
    /// The gateway's routes as they are, authentication, handlers, access log and all, save that no layer decides.
    ///
    /// Handlers answer with a decision. Here all are told of the same one, which is made now: that `subject` may view
    /// `feature`.
    ///
    /// # Errors
    ///
    /// When it cannot be decided.
    pub async fn ungated(&self, subject: &Subject, feature: &str) -> Result<Router, Error> {
        let decision = self.app.entitlements.check(&Request::new(subject, feature, Action::View)).await?;
        Ok(app::ungated(&self.app, decision))
    }

    /// The gateway's routes as they are, behind a gate that decides from the same database, and neither counts decisions nor
    /// writes them down.
    ///
    /// # Errors
    ///
    /// When the catalog was changed since the start and is no longer valid.
    pub fn unobserved(&self) -> Result<Router, StartError> {
        let Reload { source, ungated, .. } = &self.reload;
        let catalog = source.parse(&source.read()?)?;
        let mut builder = Entitlements::builder(catalog).shared_store(Arc::clone(&self.app.store));
        if let Some(runtime) = TokioRuntime::current() {
            builder = builder.runtime(runtime);
        }
        Ok(app::gated(&self.app, gate(&builder.build(), ungated, FailMode::Closed, source)?))
    }
}
