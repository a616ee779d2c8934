//! Bodies: too large, of another type, or no JSON.

use crate::support::Server;

const CHECK: &str = "/api/entitlements/check";
const JSON: &str = "content-type: application/json\r\n";

#[tokio::test]
async fn a_body_that_is_no_object_is_malformed() {
    let server = Server::start().await;
    let token = format!("authorization: Bearer {}\r\n", server.member("starter-co").await);
    for body in
        ["", "{", "[]", "null", "7", "{\"companyId\": \"a\", \"companyId\": \"b\"}", "{}x", "\u{feff}{}"]
    {
        let response = server.raw("POST", CHECK, &format!("{token}{JSON}"), body.into()).await;
        response.problem(400, "invalid_request");
    }
    let not_text = server.raw("POST", CHECK, &format!("{token}{JSON}"), vec![b'{', 0xff, b'}']).await;
    not_text.problem(400, "invalid_request");
    let deep = format!("{{\"context\": {}", "{\"a\":".repeat(200));
    server.raw("POST", CHECK, &format!("{token}{JSON}"), deep.into()).await.problem(400, "invalid_request");
}

#[tokio::test]
async fn another_media_type_is_415() {
    let server = Server::start().await;
    let token = format!("authorization: Bearer {}\r\n", server.member("starter-co").await);
    for content_type in
        ["", "content-type: text/plain\r\n", "content-type: application/x-www-form-urlencoded\r\n"]
    {
        let response = server.raw("POST", CHECK, &format!("{token}{content_type}"), b"{}".to_vec()).await;
        response.problem(415, "unsupported_media_type");
    }
}

#[tokio::test]
async fn a_body_of_more_than_a_mebibyte_is_413() {
    let server = Server::start().await;
    let token = format!("authorization: Bearer {}\r\n", server.member("starter-co").await);
    for (path, size) in [(CHECK, 1024 * 1024 + 1), ("/v1/reports/generate", 3 * 1024 * 1024)] {
        let response = server.raw("POST", path, &format!("{token}{JSON}"), vec![b' '; size]).await;
        response.problem(413, "too_large");
    }
    let full = server.raw("POST", CHECK, &format!("{token}{JSON}"), vec![b' '; 1024 * 1024]).await;
    full.problem(400, "invalid_request");
}

#[tokio::test]
async fn the_gateway_takes_any_body_but_json_that_is_none() {
    let server = Server::start().await;
    let token = format!("authorization: Bearer {}\r\n", server.member("pro-co").await);
    for (content_type, body, status) in [
        (JSON, "{\"title\": \"Q3\"}", 200),
        (JSON, "", 200),
        (JSON, "{", 400),
        ("content-type: text/plain\r\n", "{", 200),
        ("", "", 200),
    ] {
        let response =
            server.raw("POST", "/v1/reports/generate", &format!("{token}{content_type}"), body.into()).await;
        assert_eq!(response.status, status, "{content_type}{body}: {response:?}");
    }
}
