//! The gate without tower, as another proxy uses it.

use entitlements_core::Decision;
use entitlements_tower::{Denial, Gate, Ticket, Verdict};
use http::{HeaderMap, StatusCode};

use crate::world::{World, anonymous, request};

async fn admitted(gate: &Gate) -> Ticket {
    let (parts, _) = request("POST", "/reports/1", "starter-co").into_parts();
    match gate.begin(&parts) {
        Verdict::Ask(pending) => pending.await.unwrap(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_proxy_asks_the_gate_itself() {
    let world = World::new().await;
    let gate = world.layer().gate().clone();
    let begin = |request: http::Request<String>| gate.begin(&request.into_parts().0);
    assert!(matches!(begin(anonymous("GET", "/free")), Verdict::Pass));
    assert!(matches!(begin(anonymous("GET", "/boardroom")), Verdict::Deny(Denial::Internal)));
    let Verdict::Ask(pending) = begin(request("GET", "/boardroom", "starter-co")) else { panic!() };
    let denial = pending.await.unwrap_err();
    assert_eq!((denial.status(), denial.code()), (StatusCode::PAYMENT_REQUIRED, "feature_not_in_plan"));
    assert_eq!(denial.decision().and_then(|decision| decision.plan), Some("starter"));
}

#[tokio::test]
async fn a_ticket_says_how_its_request_ended() {
    let world = World::new().await;
    let gate = world.layer().gate().clone();
    let mut ticket = admitted(&gate).await;
    let mut extensions = http::Extensions::new();
    ticket.attach(&mut extensions);
    assert_eq!(extensions.get::<Decision>(), ticket.decision());
    ticket.finish(StatusCode::OK, &HeaderMap::new());
    gate.flush().await;
    assert_eq!(world.used("starter-co", "reports").await, 1);

    admitted(&gate).await.finish(StatusCode::BAD_GATEWAY, &HeaderMap::new());
    gate.flush().await;
    assert_eq!(world.used("starter-co", "reports").await, 1);

    admitted(&gate).await.fail();
    gate.flush().await;
    assert_eq!(world.used("starter-co", "reports").await, 1);

    drop(admitted(&gate).await);
    gate.flush().await;
    assert_eq!(world.used("starter-co", "reports").await, 2);
}

#[tokio::test]
async fn nothing_is_charged_until_the_verdict_is_awaited() {
    let world = World::new().await;
    let gate = world.layer().gate().clone();
    let (parts, _) = request("POST", "/reports/1", "starter-co").into_parts();
    drop(gate.begin(&parts));
    gate.flush().await;
    assert_eq!(world.used("starter-co", "reports").await, 0);
}
