//! A tower service that takes webhooks over HTTP.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::{Handled, Webhooks};
use crate::signature::{MAX_PAYLOAD_BYTES, SIGNATURE_HEADER};

/// Takes webhooks over HTTP, at whichever path it is mounted. It answers in plain text.
///
/// It must see the body as it came: nothing outside may decode or rewrite it.
#[derive(Clone, Debug)]
pub struct WebhookService(Webhooks);

impl From<Webhooks> for WebhookService {
    fn from(webhooks: Webhooks) -> Self {
        Self(webhooks)
    }
}

impl<B> tower_service::Service<Request<B>> for WebhookService
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<String>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let webhooks = self.0.clone();
        Box::pin(async move { Ok(answer(&webhooks, request).await) })
    }
}

async fn answer<B>(webhooks: &Webhooks, request: Request<B>) -> Response<String>
where
    B: Body + Send,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    if request.method() != Method::POST {
        let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "webhooks are posted");
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
        return response;
    }
    let (parts, body) = request.into_parts();
    let mut signatures = parts.headers.get_all(SIGNATURE_HEADER).iter();
    let signature = match (signatures.next(), signatures.next()) {
        (Some(one), None) => one.to_str().ok(),
        // None, or several of which one could be read and another be meant.
        _ => None,
    };
    let body = match Limited::new(body, MAX_PAYLOAD_BYTES).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            return text(StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 1 MiB");
        }
        Err(_) => return text(StatusCode::BAD_REQUEST, "the body did not arrive"),
    };
    match webhooks.receive(&body, signature).await {
        Ok(Handled::Processed) => text(StatusCode::OK, "processed"),
        Ok(Handled::Ignored(_)) => text(StatusCode::OK, "ignored"),
        Ok(Handled::Duplicate(_)) => text(StatusCode::OK, "duplicate"),
        Err(error) => text(error.status(), &error.to_string()),
    }
}

fn text(status: StatusCode, text: &str) -> Response<String> {
    let mut response = Response::new(format!("{text}\n"));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response
}
