//! The gateway without its gate, for measurements: what does the layer cost?
//!
//! Only the feature `throughput` has it, and the server never calls it: nothing in its environment opens a gate.

use axum::Router;
use entitlements_core::{Action, Error, Request, Subject};

use crate::app;
use crate::platform::Platform;

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
}
