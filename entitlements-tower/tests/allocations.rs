//! A warm allow costs at most two allocations more than a layer that does nothing.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use entitlements_core::testkit::fixtures::{company, subscription};
use entitlements_core::{Decision, Entitlements, MemoryStore, Subject};
use entitlements_tower::{EntitlementLayer, FailMode, subject_extension};
use http::{Request, Response};
use tower::{Layer, Service, service_fn};

const CATALOG: &str = r#"
schema = 1
past_due_grace = "7d"
[features]
export = { type = "flag" }
[plans.pro.grants]
export = true
[routing]
unmatched = "allow"
[[routes]]
match = "GET /v1/export/{id}"
require = "export"
"#;

#[expect(clippy::needless_pass_by_value, reason = "services take their requests")]
fn handler(request: Request<String>) -> Ready<Result<Response<String>, Infallible>> {
    let is_gated = request.extensions().get::<Decision>().is_some();
    ready(Ok(Response::builder().status(if is_gated { 200 } else { 204 }).body(String::new()).unwrap()))
}

/// A request as the layer that authenticates passes it on.
fn request() -> Request<String> {
    let mut request = Request::get("/v1/export/7").body(String::new()).unwrap();
    request.extensions_mut().insert(Subject::company(company("acme")));
    request
}

/// How many allocations one request costs, and its status.
fn cost<S>(service: &mut S) -> (u64, u16)
where
    S: Service<Request<String>, Response = Response<String>, Error = Infallible>,
{
    let mut context = Context::from_waker(Waker::noop());
    let mut once = |request| {
        assert!(service.poll_ready(&mut context).is_ready());
        let mut response = pin!(service.call(request));
        let Poll::Ready(Ok(response)) = response.as_mut().poll(&mut context) else { return 0 };
        response.status().as_u16()
    };
    once(request());
    let (request, mut status) = (request(), 0);
    let counted = allocation_counter::measure(|| status = once(request));
    (counted.count_total, status)
}

/// Hands requests through.
#[derive(Clone)]
struct Nothing<S>(S);

impl<S: Service<Request<String>>> Service<Request<String>> for Nothing<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<String>) -> S::Future {
        self.0.call(request)
    }
}

#[tokio::test]
async fn a_warm_allow_costs_at_most_two_allocations() {
    // Nobody observes, as in an application without an audit log.
    let handle = Entitlements::builder(CATALOG.parse().unwrap()).store(MemoryStore::default()).build();
    handle.put_subscription(&subscription("s", "acme")).await.unwrap();
    handle.usage(&Subject::company(company("acme"))).await.unwrap();
    let layer = EntitlementLayer::builder(handle, subject_extension(), FailMode::Closed).build().unwrap();
    let (nothing, status) = cost(&mut Nothing(service_fn(handler)));
    assert_eq!(status, 204);
    let (gated, status) = cost(&mut layer.layer(service_fn(handler)));
    assert_eq!(status, 200, "the request was admitted by the gate");
    assert!(gated <= nothing + 2, "{gated} allocations, {nothing} without the gate");
}
