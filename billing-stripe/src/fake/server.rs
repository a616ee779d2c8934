//! The HTTP side: authentication, idempotency, faults on demand.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::DefaultBodyLimit;
use axum::response::Response;
use http::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use serde_json::Value;

use super::events::Cause;
use super::expand::expand;
use super::params::Params;
use super::refusal::Refusal;
use super::router::answer;
use super::shared::{Inner, Reply, Shared};
use super::{FaultKind, RequestFault};
use crate::wire::API_VERSION;

/// The largest request.
const MAX_BODY_BYTES: usize = 1024 * 1024;

pub(super) fn router(shared: Arc<Shared>) -> Router {
    let handler = move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
        let shared = shared.clone();
        async move { handle(&shared, &method, &uri, &headers, &body).await }
    };
    Router::new().fallback(handler).layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
}

async fn handle(shared: &Shared, method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> Response {
    let path = uri.path();
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    match parts.as_slice() {
        ["p", "session", rest @ ..] => return portal(shared, method, rest),
        ["i", invoice] => {
            return respond(StatusCode::OK, "text/plain; charset=utf-8", format!("Invoice {invoice} (fake)"));
        }
        ["_fake", "advance"] if *method == Method::POST => return advance(shared, body),
        _ => {}
    }
    let fault = take_fault(&mut shared.lock(), method, path);
    if let Some(FaultKind::Delay(delay)) = fault {
        tokio::time::sleep(delay).await;
    }
    let request = shared.lock().state.ids.next("req");
    let mut reply = match fault {
        Some(FaultKind::Refuse { status, code, should_retry, retry_after }) => {
            let refusal = Refusal::planned(status, code);
            let mut reply = json(&request, status, &refusal.body().to_string());
            let said = [("stripe-should-retry", should_retry.map(|again| again.to_string()))];
            let waits = [("retry-after", retry_after.map(|wait: Duration| wait.as_secs().to_string()))];
            for (name, text) in said.into_iter().chain(waits) {
                if let Some(value) = text.and_then(|text| HeaderValue::from_str(&text).ok()) {
                    reply.headers_mut().insert(name, value);
                }
            }
            return reply;
        }
        Some(FaultKind::Break) => {
            let fingerprint = fingerprint(method, uri, body);
            break_for_good(&mut shared.lock(), &request, key_of(method, headers), fingerprint)
        }
        _ => serve(shared, &request, method, uri, &parts, headers, body),
    };
    if matches!(fault, Some(FaultKind::LoseReply)) {
        reply = respond(StatusCode::BAD_GATEWAY, "text/plain", "the reply was lost".into());
    }
    let version = headers.get("stripe-version").cloned();
    let version = version.unwrap_or(HeaderValue::from_static(API_VERSION));
    reply.headers_mut().insert(HeaderName::from_static("stripe-version"), version);
    shared.wake.notify_one();
    reply
}

fn serve(
    shared: &Shared,
    request: &str,
    method: &Method,
    uri: &Uri,
    parts: &[&str],
    headers: &HeaderMap,
    body: &[u8],
) -> Response {
    let key = key_of(method, headers);
    let text = String::from_utf8_lossy(body);
    let fingerprint = fingerprint(method, uri, body);
    let mut it = shared.up_to_date();
    if let Err(refusal) = authorized(headers) {
        return json(request, refusal.status, &refusal.body().to_string());
    }
    if let Some(stored) = key.and_then(|key| it.replies.get(key)) {
        return replay(request, stored, key.unwrap_or_default(), &fingerprint);
    }
    let outcome = run(&mut it, request, key, method, uri, parts, &text);
    let (status, answer, begun) = match outcome {
        Ok(value) => (200, value.to_string(), true),
        Err(refusal) => (refusal.status, refusal.body().to_string(), refusal.begun),
    };
    if let Some(key) = key.filter(|_| begun) {
        let reply = Reply { request: request.to_owned(), fingerprint, status, body: answer.clone() };
        it.replies.insert(key.to_owned(), reply);
    }
    if *method != Method::GET {
        shared.keep(&it);
    }
    drop(it);
    let mut reply = json(request, status, &answer);
    if let Some(key) = key {
        keyed(&mut reply, key, request);
    }
    if status >= 400 {
        reply.headers_mut().insert("stripe-should-retry", HeaderValue::from_static("false"));
    }
    reply
}

fn run(
    it: &mut Inner,
    request: &str,
    key: Option<&str>,
    method: &Method,
    uri: &Uri,
    parts: &[&str],
    body: &str,
) -> Result<Value, Refusal> {
    let query = Params::decode(uri.query().unwrap_or_default())?;
    let params = match (method.as_str(), parts.first()) {
        ("POST", Some(&"v2")) => Params::from_json(body.as_bytes())?,
        ("POST", _) => Params::decode(body)?,
        _ if body.is_empty() => query.clone(),
        _ => Params::decode(body)?,
    };
    it.state.cause = Cause { request: Some(request.to_owned()), key: key.map(str::to_owned) };
    let outcome = answer(&mut it.state, method.as_str(), parts, &params);
    it.state.cause = Cause::default();
    let mut value = outcome?;
    let mut paths = params.texts("expand")?;
    paths.extend(query.texts("expand")?);
    expand(&it.state, &mut value, &paths);
    Ok(value)
}

fn key_of<'a>(method: &Method, headers: &'a HeaderMap) -> Option<&'a str> {
    headers.get("idempotency-key").and_then(|key| key.to_str().ok()).filter(|_| *method == Method::POST)
}

fn fingerprint(method: &Method, uri: &Uri, body: &[u8]) -> String {
    format!("{method} {uri} {}", String::from_utf8_lossy(body))
}

/// Answers 500, and remembers that for the key.
fn break_for_good(it: &mut Inner, request: &str, key: Option<&str>, fingerprint: String) -> Response {
    let body = Refusal::planned(500, None).body().to_string();
    let answer = json(request, 500, &body);
    if let Some(key) = key {
        let reply = Reply { request: request.to_owned(), fingerprint, status: 500, body };
        it.replies.insert(key.to_owned(), reply);
    }
    answer
}

/// Answers a request whose key was used before.
fn replay(request: &str, stored: &Reply, key: &str, fingerprint: &str) -> Response {
    if stored.fingerprint != fingerprint {
        let refusal = Refusal::key_reused(key);
        return json(request, refusal.status, &refusal.body().to_string());
    }
    let mut reply = json(request, stored.status, &stored.body);
    keyed(&mut reply, key, &stored.request);
    reply.headers_mut().insert("idempotent-replayed", HeaderValue::from_static("true"));
    if stored.status >= 400 {
        reply.headers_mut().insert("stripe-should-retry", HeaderValue::from_static("false"));
    }
    reply
}

fn keyed(reply: &mut Response, key: &str, original: &str) {
    for (name, text) in [("idempotency-key", key), ("original-request", original)] {
        if let Ok(value) = HeaderValue::from_str(text) {
            reply.headers_mut().insert(name, value);
        }
    }
}

/// Any key of the test mode is accepted, as a bearer token or as the user of basic authentication.
fn authorized(headers: &HeaderMap) -> Result<(), Refusal> {
    let missing = || Refusal::unauthorized("You did not provide an API key.");
    let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).ok_or_else(missing)?;
    let key = match header.split_once(' ') {
        Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => key.to_owned(),
        Some((scheme, pair)) if scheme.eq_ignore_ascii_case("basic") => {
            super::base64::decode(pair).unwrap_or_default().split(':').next().unwrap_or_default().to_owned()
        }
        _ => return Err(missing()),
    };
    if key.starts_with("sk_test_") || key.starts_with("rk_test_") {
        return Ok(());
    }
    Err(Refusal::unauthorized("Invalid API Key provided: the fake takes keys of the test mode alone."))
}

fn take_fault(it: &mut Inner, method: &Method, path: &str) -> Option<FaultKind> {
    let matches = |fault: &RequestFault| {
        fault.times > 0
            && fault.method.as_ref().is_none_or(|wanted| wanted == method)
            && path.contains(fault.path.as_str())
    };
    let fault = it.request_faults.iter_mut().find(|fault| matches(fault))?;
    fault.times -= 1;
    let kind = fault.kind;
    it.request_faults.retain(|fault| fault.times > 0);
    Some(kind)
}

/// Moves the clock by as many seconds as the body says: for clients in other languages.
fn advance(shared: &Shared, body: &[u8]) -> Response {
    let seconds = std::str::from_utf8(body).ok().and_then(|text| text.trim().parse::<u32>().ok());
    let Some(seconds) = seconds else {
        return respond(
            StatusCode::BAD_REQUEST,
            "text/plain",
            "The body must be a number of seconds.".into(),
        );
    };
    let mut it = shared.lock();
    it.ahead = it.ahead.saturating_add(seconds.into());
    shared.keep(&it);
    drop(it);
    let now = shared.up_to_date().state.now;
    shared.wake.notify_one();
    respond(StatusCode::OK, "text/plain", now.to_string())
}

fn portal(shared: &Shared, method: &Method, parts: &[&str]) -> Response {
    let gone = || respond(StatusCode::NOT_FOUND, "text/plain", "This session does not exist.".into());
    match (method.as_str(), parts) {
        ("GET", [visit]) => {
            let page = shared.up_to_date().state.portal_page(visit);
            page.map_or_else(gone, |page| respond(StatusCode::OK, "text/html; charset=utf-8", page))
        }
        ("POST", [visit, action, subscription]) => {
            let mut it = shared.up_to_date();
            if it.state.portal_action(visit, action, subscription).is_none() {
                return gone();
            }
            shared.keep(&it);
            drop(it);
            shared.wake.notify_one();
            let mut reply = respond(StatusCode::SEE_OTHER, "text/plain", String::new());
            if let Ok(location) = HeaderValue::from_str(&format!("/p/session/{visit}")) {
                reply.headers_mut().insert(LOCATION, location);
            }
            reply
        }
        _ => gone(),
    }
}

fn json(request: &str, status: u16, body: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut reply = respond(status, "application/json", body.to_owned());
    if let Ok(id) = HeaderValue::from_str(request) {
        reply.headers_mut().insert("request-id", id);
    }
    reply
}

fn respond(status: StatusCode, kind: &'static str, body: String) -> Response {
    let mut reply = Response::new(Body::from(body));
    *reply.status_mut() = status;
    reply.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    reply
}
