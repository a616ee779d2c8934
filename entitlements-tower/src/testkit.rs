//! For tests of applications behind the layer: asks any service, and says why an answer is not the expected one.
//!
//! Beside it stands [`TestEntitlements`], which puts companies on plans, moves the clock and takes the store away.
//!
//! ```
//! use axum::{Router, routing::get};
//! use entitlements_core::Reason;
//! use entitlements_tower::testkit::{TestEntitlements, ask, request};
//! use entitlements_tower::{EntitlementLayer, FailMode, subject_extension};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let test = TestEntitlements::from_toml(r#"
//!     schema = 1
//!     past_due_grace = "7d"
//!     [features]
//!     export = { type = "flag" }
//!     [plans.free]
//!     [plans.pro.grants]
//!     export = true
//!     [routing]
//!     unmatched = "deny"
//!     [[routes]]
//!     match = "GET /export"
//!     require = "export"
//! "#);
//! let layer = EntitlementLayer::builder(test.handle(), subject_extension(), FailMode::Closed).build()?;
//! let app: Router = Router::new().route("/export", get(async || "all of it")).route_layer(layer);
//!
//! test.plan("acme", "free").await;
//! ask(app.clone(), request("GET", "/export", "acme")).await.assert_denied(Reason::FeatureNotInPlan, "export");
//! test.plan("acme", "pro").await;
//! let answer = ask(app, request("GET", "/export", "acme")).await;
//! answer.assert_admitted();
//! assert_eq!(answer.text(), "all of it");
//! # Ok::<(), entitlements_tower::RuleError>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    clippy::panic,
    reason = "a check that fails panics: that is how a test says so"
)]

use std::fmt::Debug;
use std::future::poll_fn;

use entitlements_core::testkit::fixtures::company;
use entitlements_core::{Reason, Subject};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::BodyExt;
use serde_json::Value;
use tower_service::Service;

pub use entitlements_core::testkit::TestEntitlements;

use crate::denial::status_of;

/// A request of a company, as the layer that authenticates would pass it on: with a [`Subject`] among its extensions.
///
/// For another type of identity, put it into the extensions yourself; `map` gives it the body that a service takes.
#[must_use]
pub fn request(method: &str, uri: &str, company: &str) -> Request<String> {
    let mut request = anonymous(method, uri);
    request.extensions_mut().insert(Subject::company(self::company(company)));
    request
}

/// A request of nobody.
#[must_use]
pub fn anonymous(method: &str, uri: &str) -> Request<String> {
    Request::builder().method(method).uri(uri).body(String::new()).expect("a method and a URI")
}

/// Sends a request to a service, which may be an axum router, and reads the whole answer.
pub async fn ask<S, A, B>(mut service: S, request: Request<A>) -> Answer
where
    S: Service<Request<A>, Response = Response<B>>,
    S::Error: Debug,
    B: Body,
    B::Error: Debug,
{
    poll_fn(|context| service.poll_ready(context)).await.expect("the service becomes ready");
    let response = service.call(request).await.expect("the service answers");
    let (head, body) = response.into_parts();
    let body = body.collect().await.expect("the body has an end").to_bytes().to_vec();
    Answer { status: head.status, headers: head.headers, body }
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The body as text.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is text")
    }

    /// The body as the problem of an error, if it is one.
    #[must_use]
    pub fn problem(&self) -> Option<Value> {
        let kind = self.headers.get(http::header::CONTENT_TYPE)?;
        (kind == "application/problem+json").then(|| serde_json::from_slice(&self.body).ok()).flatten()
    }

    /// Checks that the layer has let the request pass: it is answered with anything but an error of the layer.
    #[track_caller]
    pub fn assert_admitted(&self) {
        let code = self.code();
        let is_ours = code.as_deref().is_some_and(|code| {
            ["unauthenticated", "unavailable", "internal", "idempotency_conflict", "invalid"].contains(&code)
                || Reason::ALL.iter().any(|reason| reason.code() == code)
        });
        assert!(!is_ours, "the request was not admitted: {} {}", self.status, self.text());
    }

    /// Checks that the layer has denied the request for this reason, about this feature, with the status of the reason.
    #[track_caller]
    pub fn assert_denied(&self, reason: Reason, feature: &str) {
        let Some(problem) = self.problem() else {
            panic!("expected {reason} for `{feature}`, got {} without a problem", self.status)
        };
        let expected = (status_of(reason), Some(reason.code()), Some(feature));
        let member = |name: &str| problem.get(name).and_then(Value::as_str);
        let found = (self.status, member("code"), member("feature"));
        assert!(found == expected, "expected {reason} for `{feature}`, got {} {problem}", self.status);
    }

    fn code(&self) -> Option<String> {
        Some(self.problem()?.get("code")?.as_str()?.to_owned())
    }
}
