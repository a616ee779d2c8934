//! The test kit for applications does what it says, and its assertions can fail.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::future::Future;
use std::panic::AssertUnwindSafe;

use entitlements_core::store::StoreErrorKind;
use entitlements_core::testkit::TestEntitlements;
use entitlements_core::{Action, ErrorKind, Reason, Request, Subject, SubscriptionStatus, id::CompanyId};
use futures_util::FutureExt;

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
"#;

/// What a panic of the future says.
async fn panic_of(future: impl Future<Output = ()>) -> String {
    let payload = AssertUnwindSafe(future).catch_unwind().await.unwrap_err();
    payload.downcast_ref::<String>().cloned().unwrap_or_default()
}

#[tokio::test]
async fn a_plan_is_forced_on_a_company_and_on_no_other() {
    let test = TestEntitlements::from_toml(CATALOG);
    test.assert_denied("acme", "export", Action::View, Reason::NoSubscription).await;
    test.plan("acme", "pro").await;
    test.assert_allowed("acme", "export", Action::View).await;
    test.assert_denied("other", "export", Action::View, Reason::NoSubscription).await;
    test.plan("acme", "starter").await;
    test.assert_denied("acme", "export", Action::View, Reason::FeatureNotInPlan).await;
}

#[tokio::test]
async fn the_clock_ends_a_grace_and_a_period() {
    let test = TestEntitlements::from_toml(CATALOG);
    test.subscribe("acme", "pro", SubscriptionStatus::PastDue).await;
    test.consume("acme", "reports", 2).await;
    test.assert_denied("acme", "reports", Action::Create, Reason::QuotaExceeded).await;
    test.advance(chrono::TimeDelta::days(6));
    test.assert_allowed("acme", "export", Action::View).await;
    test.advance(chrono::TimeDelta::days(2));
    test.assert_denied("acme", "export", Action::View, Reason::SubscriptionInactive).await;
    test.plan("acme", "pro").await;
    test.assert_used("acme", "reports", 0).await;
}

#[tokio::test]
async fn a_feature_is_forced_whatever_the_plan_says() {
    let test = TestEntitlements::from_toml(CATALOG);
    test.plan("acme", "starter").await;
    for _ in 0..2 {
        test.force("acme", "export", true).await;
        test.assert_allowed("acme", "export", Action::Export).await;
        test.force("acme", "export", false).await;
        test.assert_denied("acme", "export", Action::Export, Reason::PolicyDenied).await;
    }
    test.force("other", "reports", true).await;
    test.assert_allowed("other", "reports", Action::Create).await;
}

#[tokio::test]
async fn the_store_fails_when_it_is_told_to() {
    let test = TestEntitlements::from_toml(CATALOG);
    test.plan("acme", "pro").await;
    test.store().fail(Some(StoreErrorKind::Unavailable));
    let subject = Subject::company(CompanyId::new("acme").unwrap());
    let asked = test.handle().check(&Request::new(&subject, "export", Action::View)).await;
    assert_eq!(asked.unwrap_err().kind(), ErrorKind::Unavailable);
    test.store().fail(None);
    test.assert_allowed("acme", "export", Action::View).await;
}

#[tokio::test]
async fn every_decision_is_seen_once() {
    let test = TestEntitlements::from_toml(CATALOG);
    test.plan("acme", "pro").await;
    test.assert_allowed("acme", "export", Action::View).await;
    test.consume("acme", "reports", 1).await;
    let seen: Vec<_> = test.take_decisions().iter().map(|seen| seen.decision.feature.to_string()).collect();
    assert_eq!(seen, ["export", "reports"]);
    assert_eq!(test.take_decisions(), []);
}

#[tokio::test]
async fn a_wrong_assertion_names_its_line_and_what_was_decided() {
    let test = TestEntitlements::from_toml(CATALOG);
    test.plan("acme", "starter").await;
    let line = line!() + 1;
    let said = panic_of(test.assert_allowed("acme", "export", Action::View)).await;
    assert!(said.starts_with(&format!("entitlements-core/tests/application.rs:{line}:")), "{said}");
    assert!(
        said.ends_with("`export` for `view` is denied: feature_not_in_plan, with the plan `starter`"),
        "{said}"
    );

    let said = panic_of(test.assert_denied("acme", "reports", Action::Create, Reason::QuotaExceeded)).await;
    assert!(said.ends_with("expected quota_exceeded, got `reports` for `create` is allowed: allowed_by_plan, with the plan `starter`, 0 used of 2"), "{said}");
    let said = panic_of(test.assert_denied("acme", "export", Action::View, Reason::PolicyDenied)).await;
    assert!(said.contains("expected policy_denied"), "{said}");
    let said = panic_of(test.assert_used("acme", "reports", 1)).await;
    assert!(said.ends_with("`acme` has used 0 of `reports`, expected 1"), "{said}");
    let said = panic_of(test.consume("acme", "reports", 3)).await;
    assert!(said.contains("3 units of `reports` were refused"), "{said}");
    let said = panic_of(test.plan("acme", "prow")).await;
    assert_eq!(said, "the catalog has no plan `prow`");
}

#[test]
fn a_catalog_that_cannot_be_used_is_told_with_every_problem() {
    let payload = std::panic::catch_unwind(|| {
        TestEntitlements::from_toml("schema = 1\n[features]\na = { type = \"flog\" }")
    });
    let said = payload.unwrap_err().downcast_ref::<String>().cloned().unwrap();
    assert!(said.contains("past_due_grace") && said.contains("flog"), "{said}");
}
