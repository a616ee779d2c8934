//! The gateway: plans, quotas, and paths that try to get around the gate.

use serde_json::json;

use crate::support::Server;

#[tokio::test]
async fn the_eleventh_report_is_refused_until_the_month_ends() {
    let server = Server::start().await;
    let token = server.member("starter-co").await;
    for n in 1..=10 {
        let response = server.send("POST", "/v1/reports/generate", Some(&token), None).await;
        assert_eq!(response.status, 200, "{response:?}");
        let quota = &response.json()["quota"];
        assert_eq!((quota["used"].as_u64(), quota["remaining"].as_u64()), (Some(n), Some(10 - n)), "{quota}");
        assert!(quota["resetsAt"].is_string(), "{quota}");
    }
    let refused = server.send("POST", "/v1/reports/generate", Some(&token), None).await;
    let problem = refused.problem(402, "quota_exceeded");
    assert_eq!(problem["feature"], "reports_generated");
    assert_eq!((problem["limit"].as_u64(), problem["used"].as_u64()), (Some(10), Some(10)));
    assert!(problem["resetsAt"].as_str().unwrap().ends_with('Z'), "{problem}");
    assert_eq!(problem["instance"], "/v1/reports/generate");
    assert_eq!(refused.header("retry-after"), None);

    let moved = server.send("POST", "/dev/clock", None, Some(&json!({"advance": "31d"}))).await;
    assert_eq!(moved.status, 200, "{moved:?}");
    let response = server.send("POST", "/v1/reports/generate", Some(&token), None).await;
    assert_eq!(response.status, 200, "{response:?}");
}

#[tokio::test]
async fn looking_at_reports_consumes_nothing() {
    let server = Server::start().await;
    let token = server.member("starter-co").await;
    for method in ["GET", "HEAD"] {
        assert_eq!(server.send(method, "/v1/reports/generate", Some(&token), None).await.status, 200);
    }
    let usage = server.send("GET", "/api/entitlements/usage/starter-co", Some(&token), None).await.json();
    let reports =
        usage["items"].as_array().unwrap().iter().find(|i| i["meter"] == "reports_generated").unwrap();
    assert_eq!(reports["used"], 0);
}

#[tokio::test]
async fn a_feature_of_another_plan_names_the_plans_that_have_it() {
    let server = Server::start().await;
    let starter = server.member("starter-co").await;
    for method in ["GET", "POST", "PUT", "DELETE", "PATCH"] {
        let response = server.send(method, "/v1/boardroom", Some(&starter), None).await;
        let problem = response.problem(402, "feature_not_in_plan");
        assert_eq!(problem["feature"], "boardroom_live");
        assert_eq!(problem["plan"], "starter");
        assert_eq!(problem["upgrade"], json!([{"plan": "pro"}, {"plan": "enterprise"}]));
    }
    assert_eq!(server.send("HEAD", "/v1/boardroom", Some(&starter), None).await.status, 402);
    let pro = server.member("pro-co").await;
    for path in ["/v1/boardroom", "/v1/forecast", "/v1/nlq", "/v1/gen-ai", "/v1/reports/export/pdf"] {
        for method in ["GET", "HEAD", "POST"] {
            assert_eq!(server.send(method, path, Some(&pro), None).await.status, 200, "{method} {path}");
        }
    }
    let wrong = server.send("PUT", "/v1/boardroom", Some(&pro), None).await;
    wrong.problem(405, "method_not_allowed");
    assert_eq!(wrong.header("allow"), Some("GET,HEAD,POST"));
}

#[tokio::test]
async fn no_other_spelling_of_a_path_reaches_the_handler() {
    let server = Server::start().await;
    let token = server.member("starter-co").await;
    for path in [
        "//v1/boardroom",
        "/v1//boardroom",
        "/v1/./boardroom",
        "/v1/x/../boardroom",
        "/v1/%62oardroom",
        "/v1%2Fboardroom",
        "/v1%2fboardroom",
        "/V1/boardroom",
        "/v1/Boardroom",
        "/v1/boardroom/",
        "/v1/boardroom;x",
        "/v1/boardroom%00",
        "/v1/boardroom%20",
        "/api/../v1/boardroom",
    ] {
        for method in ["GET", "HEAD", "POST"] {
            let status = server.send(method, path, Some(&token), None).await.status;
            assert!((400..500).contains(&status), "{method} {path}: {status}");
        }
    }
    assert_eq!(server.send("GET", "/v1/boardroom?x=/v1/reports", Some(&token), None).await.status, 402);
}

#[tokio::test]
async fn an_unknown_path_is_not_found_with_and_without_a_token() {
    let server = Server::start().await;
    let token = server.member("starter-co").await;
    for path in ["/", "/v1", "/v1/unknown", "/api", "/api/entitlements", "/api/entitlements/unknown", "/dev"]
    {
        for token in [None, Some(token.as_str())] {
            server.send("GET", path, token, None).await.problem(404, "not_found");
        }
    }
}

#[tokio::test]
async fn a_company_without_a_subscription_is_told_so() {
    let server = Server::start().await;
    let token = server.member("nobody-co").await;
    server.send("GET", "/v1/forecast", Some(&token), None).await.problem(402, "no_subscription");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_hundred_requests_at_once_ten_are_served() {
    let server = Server::start().await;
    let token = server.member("starter-co").await;
    let tasks: Vec<_> = (0..200)
        .map(|_| tokio::spawn(server.send("POST", "/v1/reports/generate", Some(&token), None)))
        .collect();
    let mut counts = [0, 0];
    for task in tasks {
        match task.await.unwrap().status {
            200 => counts[0] += 1,
            402 => counts[1] += 1,
            other => panic!("{other}"),
        }
    }
    assert_eq!(counts, [10, 190]);
}

#[tokio::test]
async fn what_was_used_is_still_used_after_a_restart() {
    let server = Server::start().await;
    let token = server.member("starter-co").await;
    for _ in 0..10 {
        assert_eq!(server.send("POST", "/v1/reports/generate", Some(&token), None).await.status, 200);
    }
    let admin = server.admin().await;
    let policy =
        json!({"id": "deny", "effect": "deny", "target": {"features": ["export_pdf"]}, "guardrail": true});
    assert_eq!(
        server.send("POST", "/api/entitlements/policies", Some(&admin), Some(&policy)).await.status,
        201
    );

    let server = server.restart().await;
    server.send("POST", "/v1/reports/generate", Some(&token), None).await.problem(402, "quota_exceeded");
    server.send("GET", "/v1/reports/export/pdf", Some(&token), None).await.problem(403, "policy_denied");
}

#[tokio::test]
async fn generated_text_costs_what_the_handler_reports() {
    let server = Server::start().await;
    let token = server.member("pro-co").await;
    let body = json!({"inputTokens": 812, "outputTokens": 4096});
    let response = server.send("POST", "/v1/gen-ai", Some(&token), Some(&body)).await;
    assert_eq!(response.status, 200, "{response:?}");
    assert_eq!(response.json()["usage"], body);
    // The charge comes after the answer; the list waits for it.
    let usage = server.send("GET", "/api/entitlements/usage/pro-co", Some(&token), None).await.json();
    let tokens = usage["items"].as_array().unwrap().iter().find(|i| i["meter"] == "ai_tokens").unwrap();
    assert_eq!(tokens["used"], 4908);
    assert_eq!(tokens["parts"], json!({"ai_tokens_input": 812, "ai_tokens_output": 4096}));
}

#[tokio::test]
async fn a_text_that_is_not_generated_costs_nothing() {
    let server = Server::start().await;
    let token = server.member("pro-co").await;
    let response = server.send("POST", "/v1/gen-ai", Some(&token), Some(&json!({"inputTokens": -1}))).await;
    response.names("inputTokens");
    let usage = server.send("GET", "/api/entitlements/usage/pro-co", Some(&token), None).await.json();
    let tokens = usage["items"].as_array().unwrap().iter().find(|i| i["meter"] == "ai_tokens").unwrap();
    assert_eq!(tokens["used"], 0);
}

#[tokio::test]
async fn a_catalog_without_routes_leaves_none_of_them_open() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("catalog.toml");
    let (features, _) = include_str!("../../catalog.toml").split_once("[routing]").unwrap();
    std::fs::write(&file, features).unwrap();
    let server = Server::with(&[("CATALOG_PATH", file.to_str().unwrap())]).await;
    let token = server.member("starter-co").await;
    server.send("GET", "/v1/boardroom", Some(&token), None).await.problem(402, "feature_not_in_plan");
    for _ in 0..10 {
        assert_eq!(server.send("POST", "/v1/reports/generate", Some(&token), None).await.status, 200);
    }
    server.send("POST", "/v1/reports/generate", Some(&token), None).await.problem(402, "quota_exceeded");
}
