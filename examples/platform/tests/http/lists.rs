//! Lists: pages and cursors.

use serde_json::json;

use crate::support::Server;

#[tokio::test]
async fn a_list_is_read_page_by_page() {
    let server = Server::start().await;
    let admin = server.admin().await;
    for n in 0..5 {
        let grant = json!({"id": format!("g{n}"), "companyId": "acme", "feature": "forecast"});
        assert_eq!(
            server.send("POST", "/api/entitlements/grants", Some(&admin), Some(&grant)).await.status,
            201
        );
        let policy = json!({"id": format!("p{n}"), "effect": "deny", "target": {"companies": ["nobody"]}});
        assert_eq!(
            server.send("POST", "/api/entitlements/policies", Some(&admin), Some(&policy)).await.status,
            201
        );
    }
    for (path, count) in [
        ("/api/entitlements/grants?companyId=acme&limit=2", 5),
        ("/api/entitlements/policies?limit=2", 5),
        ("/api/entitlements/usage/starter-co?limit=2", 4),
    ] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = server.send("GET", &format!("{path}{cursor}"), Some(&admin), None).await;
            assert_eq!(page.status, 200, "{page:?}");
            let page = page.json();
            let items = page["items"].as_array().unwrap();
            assert!((1..=2).contains(&items.len()), "{page}");
            seen.extend(items.iter().map(|item| item.get("id").unwrap_or(&item["meter"]).to_string()));
            match page["next"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        let mut distinct = seen.clone();
        distinct.sort();
        distinct.dedup();
        assert_eq!((seen.len(), &distinct), (count, &seen), "{path}");
    }
}

#[tokio::test]
async fn a_bad_limit_or_cursor_is_named() {
    let server = Server::start().await;
    let admin = server.admin().await;
    for list in [
        "/api/entitlements/grants?companyId=acme&",
        "/api/entitlements/policies?",
        "/api/entitlements/usage/starter-co?",
    ] {
        for limit in ["0", "1001", "-1", "ten", "", "1.5"] {
            server.send("GET", &format!("{list}limit={limit}"), Some(&admin), None).await.names("limit");
        }
        for cursor in ["garbage", "", "00", "%00", "a%FFb"] {
            let response = server.send("GET", &format!("{list}cursor={cursor}"), Some(&admin), None).await;
            response.problem(400, "invalid_request");
        }
        server.send("GET", &format!("{list}page=2"), Some(&admin), None).await.names("page");
    }
    // A cursor of another list: "policies:p1".
    let foreign = "/api/entitlements/grants?companyId=acme&cursor=706f6c69636965733a7031";
    server.send("GET", foreign, Some(&admin), None).await.names("cursor");
    // One of the right list that no page could have had: "grants:x".
    let impossible = "/api/entitlements/grants?companyId=acme&cursor=6772616e74733a78";
    server.send("GET", impossible, Some(&admin), None).await.names("cursor");
    server.send("GET", "/api/entitlements/grants", Some(&admin), None).await.names("companyId");
}
