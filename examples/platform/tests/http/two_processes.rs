//! Two platforms on one PostgreSQL, with nothing else in common, are as one.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::support::Server;

/// A schema of its own on the server for tests.
pub(crate) fn database(name: &str) -> String {
    let url = std::env::var("ENTITLEMENTS_TEST_POSTGRES_URL")
        .expect("ENTITLEMENTS_TEST_POSTGRES_URL names a PostgreSQL server; scripts/postgres.sh starts one");
    let separator = if url.contains('?') { '&' } else { '?' };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos();
    format!("{url}{separator}search_path=test_{name}_{now:x}")
}

/// How long it takes until the company of the token may do what it should, or may no longer: five seconds at most.
async fn seen(server: &Server, token: &str, status: u16) -> Duration {
    let begun = Instant::now();
    while server.send("GET", "/v1/boardroom", Some(token), None).await.status != status {
        assert!(begun.elapsed() < Duration::from_secs(5), "not {status} after {:?}", begun.elapsed());
    }
    begun.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs PostgreSQL: scripts/test.sh starts it"]
async fn what_is_granted_at_one_is_seen_at_the_other_and_so_is_its_end() {
    const ROUNDS: usize = 15;
    let url = database("two");
    let variables = [("DATABASE_URL", url.as_str())];
    let (here, there) = (Server::with(&variables).await, Server::with(&variables).await);
    let (admin, member) = (here.admin().await, there.member("starter-co").await);
    let ready = there.send("GET", "/readyz", None, None).await.json();
    assert_eq!(ready["bus"], "ok", "{ready}");
    seen(&there, &member, 402).await;
    let grant = json!({"companyId": "starter-co", "feature": "boardroom_live", "kind": "trial",
                       "endsAt": "2999-01-01T00:00:00Z"});
    let mut delays = Vec::new();
    for _ in 0..ROUNDS {
        let granted = here.send("POST", "/api/entitlements/grants", Some(&admin), Some(&grant)).await;
        assert_eq!(granted.status, 201, "{granted:?}");
        delays.push(seen(&there, &member, 200).await);
        let path = format!("/api/entitlements/grants/{}", granted.json()["id"].as_str().unwrap());
        assert_eq!(here.send("DELETE", &path, Some(&admin), None).await.status, 204);
        delays.push(seen(&there, &member, 402).await);
    }
    delays.sort_unstable();
    let half = delays[ROUNDS];
    println!("a change is seen after {half:?} (half of them), {:?} (all)", delays[2 * ROUNDS - 1]);
    assert!(half < Duration::from_millis(100), "{delays:?}");
}
