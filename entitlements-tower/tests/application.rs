//! How an application tests what it sells. Copy it, with your own catalog and your own router.
#![cfg(all(feature = "axum", feature = "testkit"))]

use axum::Router;
use axum::routing::{get, post};
use entitlements_core::Reason;
use entitlements_core::store::StoreErrorKind;
use entitlements_tower::testkit::{TestEntitlements, anonymous, ask, request};
use entitlements_tower::{EntitlementLayer, FailMode, subject_extension};

const CATALOG: &str = r#"
schema = 1
past_due_grace = "7d"
[features]
export  = { type = "flag" }
reports = { type = "meter" }
[plans.starter.grants]
reports = { limit = 2, every = "month" }
[plans.pro]
extends = "starter"
[plans.pro.grants]
export = true
[routing]
unmatched = "allow"
[[routes]]
match = "GET /export"
require = "export"
[[routes]]
match = "POST /reports"
consume = "reports"
"#;

/// The application, gated as it is in production.
#[expect(clippy::expect_used, reason = "a helper of tests fails as tests do")]
fn app(test: &TestEntitlements) -> Router {
    let gate = EntitlementLayer::builder(test.handle(), subject_extension().optional(), FailMode::Closed)
        .declared(["GET /export", "POST /reports"])
        .build()
        .expect("every route has a rule");
    Router::new()
        .route("/export", get(async || "all of it"))
        .route("/reports", post(async || "a report"))
        .route_layer(gate)
}

#[tokio::test]
async fn exports_are_for_those_on_pro() {
    let test = TestEntitlements::from_toml(CATALOG);
    let app = app(&test);
    test.plan("acme", "starter").await;
    ask(app.clone(), request("GET", "/export", "acme"))
        .await
        .assert_denied(Reason::FeatureNotInPlan, "export");
    test.plan("acme", "pro").await;
    ask(app.clone(), request("GET", "/export", "acme")).await.assert_admitted();
    ask(app, request("GET", "/export", "stranger")).await.assert_denied(Reason::NoSubscription, "export");
}

#[tokio::test]
async fn the_third_report_of_a_month_is_refused_and_the_next_month_is_fresh() {
    let test = TestEntitlements::from_toml(CATALOG);
    let app = app(&test);
    test.plan("acme", "starter").await;
    for used in [1, 2] {
        ask(app.clone(), request("POST", "/reports", "acme")).await.assert_admitted();
        test.assert_used("acme", "reports", used).await;
    }
    ask(app.clone(), request("POST", "/reports", "acme"))
        .await
        .assert_denied(Reason::QuotaExceeded, "reports");
    test.assert_used("acme", "reports", 2).await;
    test.advance(chrono::TimeDelta::days(31));
    ask(app, request("POST", "/reports", "acme")).await.assert_admitted();
}

#[tokio::test]
async fn support_can_open_and_close_a_feature() {
    let test = TestEntitlements::from_toml(CATALOG);
    let app = app(&test);
    test.plan("acme", "starter").await;
    test.force("acme", "export", true).await;
    ask(app.clone(), request("GET", "/export", "acme")).await.assert_admitted();
    test.force("acme", "export", false).await;
    ask(app, request("GET", "/export", "acme")).await.assert_denied(Reason::PolicyDenied, "export");
}

#[tokio::test]
async fn an_outage_is_no_denial_and_nobody_is_told_about_plans() {
    let test = TestEntitlements::from_toml(CATALOG);
    let app = app(&test);
    let nobody = ask(app.clone(), anonymous("GET", "/export")).await;
    assert_eq!(nobody.status, 401);
    assert!(!nobody.text().contains("pro"));
    test.plan("acme", "pro").await;
    test.store().fail(Some(StoreErrorKind::Unavailable));
    let outage = ask(app, request("GET", "/export", "acme")).await;
    assert_eq!(outage.status, 503);
    assert_eq!(outage.headers["retry-after"], "1");
}

#[tokio::test]
#[should_panic(expected = "expected quota_exceeded for `export`, got 402 Payment Required")]
async fn a_wrong_expectation_fails_the_test() {
    let test = TestEntitlements::from_toml(CATALOG);
    test.plan("acme", "starter").await;
    ask(app(&test), request("GET", "/export", "acme")).await.assert_denied(Reason::QuotaExceeded, "export");
}

#[tokio::test]
#[should_panic(expected = "the request was not admitted: 402 Payment Required")]
async fn a_denial_is_no_admission() {
    let test = TestEntitlements::from_toml(CATALOG);
    test.plan("acme", "starter").await;
    ask(app(&test), request("GET", "/export", "acme")).await.assert_admitted();
}
