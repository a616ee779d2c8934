//! The gateway without its gate is the same gateway, or comparing the two says nothing.

use crate::support::{Server, fetch_as};

#[tokio::test]
async fn without_the_gate_the_same_handler_answers_the_same_and_to_everybody_with_a_token() {
    let (server, bare) = Server::beside_a_bare_one("pro-co", "boardroom_live").await;
    let [gated, bare] = [server.address(), bare].map(|address| format!("http://{address}/v1/boardroom"));
    let (entitled, other) = (server.member("pro-co").await, server.member("starter-co").await);
    let as_member = |token: &str| format!("authorization: Bearer {token}\r\n");
    let [with, without] =
        [fetch_as(&gated, &as_member(&entitled)).await, fetch_as(&bare, &as_member(&entitled)).await];
    assert_eq!((with.status, without.status), (200, 200));
    assert_eq!(with.json(), without.json());
    fetch_as(&gated, &as_member(&other)).await.problem(402, "feature_not_in_plan");
    assert_eq!(fetch_as(&bare, &as_member(&other)).await.json(), without.json());
    for url in [gated, bare] {
        fetch_as(&url, "").await.problem(401, "unauthenticated");
    }
}
