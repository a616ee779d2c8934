//! Sending: one request, its attempts, its answer.

use std::fmt;
use std::sync::Arc;

use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Method};
use reqwest::{Response, Url};
use rustls::{ClientConfig, RootCertStore};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::retry::Outcome;
use super::{ConfigError, OperationId, RetryPolicy, StripeConfig, StripeError};
use crate::form::{encode, escaped};
use crate::wire::{API_VERSION, ErrorBody, ErrorEnvelope};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const STRIPE_VERSION: HeaderName = HeaderName::from_static("stripe-version");

/// The largest answer that is read.
const MAX_ANSWER_BYTES: usize = 8 * 1024 * 1024;

/// Stripe, or a counterpart with the same interface. Cheap to clone.
#[derive(Clone)]
pub struct StripeClient {
    http: reqwest::Client,
    base: Arc<Url>,
    authorization: HeaderValue,
    live: bool,
    retry: RetryPolicy,
}

impl StripeClient {
    /// A client as `config` says. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// When the key or the address cannot be right, or TLS cannot be set up.
    pub fn new(config: &StripeConfig) -> Result<Self, ConfigError> {
        let base = config.checked_base()?;
        let (authorization, live) = config.authorization()?;
        let mut http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls()?)
            .timeout(config.timeout)
            .connect_timeout(config.connect_timeout)
            .redirect(reqwest::redirect::Policy::none());
        if base.scheme() == "http" {
            http = http.no_proxy();
        }
        let http = http.build().map_err(|error| ConfigError::Tls(error.into()))?;
        Ok(Self { http, base: Arc::new(base), authorization, live, retry: config.retry })
    }

    /// Whether the key is of the live mode. Events of the other mode are not meant for us.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        self.live
    }

    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        params: &impl Serialize,
    ) -> Result<T, StripeError> {
        self.send(Method::GET, path, params, None).await
    }

    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &[&str],
        params: &impl Serialize,
        operation: &OperationId,
    ) -> Result<T, StripeError> {
        self.send(Method::POST, path, params, Some(operation)).await
    }

    pub(super) async fn delete<T: DeserializeOwned>(
        &self,
        path: &[&str],
        params: &impl Serialize,
        operation: &OperationId,
    ) -> Result<T, StripeError> {
        self.send(Method::DELETE, path, params, Some(operation)).await
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        params: &impl Serialize,
        operation: Option<&OperationId>,
    ) -> Result<T, StripeError> {
        let form = encode(params).map_err(|_| StripeError::unsendable("the parameters cannot be written"))?;
        let mut url = self.url(path)?;
        let in_body = method == Method::POST;
        if !in_body && !form.is_empty() {
            url.set_query(Some(&form));
        }
        let mut attempt = 0;
        let mut may_have_had_effect = false;
        loop {
            let mut request = self
                .http
                .request(method.clone(), url.clone())
                .header(AUTHORIZATION, self.authorization.clone())
                .header(STRIPE_VERSION, API_VERSION);
            if let Some(operation) = operation {
                request = request.header(IDEMPOTENCY_KEY, operation.as_str());
            }
            if in_body {
                request =
                    request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form.clone());
            }
            let (error, wait) = match self.attempt(request).await {
                Ok(answer) if answer.status.is_success() => return answer.read(),
                Ok(answer) => {
                    let body = answer.refusal();
                    let code = body.as_ref().and_then(|body| body.code.as_deref());
                    let outcome = Outcome::Answer { status: answer.status, headers: &answer.headers, code };
                    let wait = self.retry.next(attempt, &outcome);
                    (StripeError::refused(answer.status, answer.request_id(), body), wait)
                }
                Err(error) => (error, self.retry.next(attempt, &Outcome::NoAnswer)),
            };
            may_have_had_effect |= error.may_have_had_effect();
            let Some(wait) = wait else { return Err(error.after(may_have_had_effect)) };
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }

    async fn attempt(&self, request: reqwest::RequestBuilder) -> Result<Answer, StripeError> {
        let response = request.send().await.map_err(StripeError::unreachable)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let body = body(response).await?;
        Ok(Answer { status, headers, body })
    }

    /// The address of `path`, each part escaped: an id can never lead elsewhere.
    fn url(&self, path: &[&str]) -> Result<Url, StripeError> {
        let mut text = self.base.as_str().trim_end_matches('/').to_owned();
        for part in path {
            if part.is_empty() || part.bytes().all(|byte| byte == b'.') {
                return Err(StripeError::unsendable("an id must be more than dots"));
            }
            text.push('/');
            text.push_str(&escaped(part));
        }
        Url::parse(&text).map_err(|_| StripeError::unsendable("the address cannot be written"))
    }
}

impl fmt::Debug for StripeClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StripeClient")
            .field("base", &self.base.as_str())
            .field("live", &self.live)
            .finish_non_exhaustive()
    }
}

struct Answer {
    status: http::StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn request_id(&self) -> Option<String> {
        Some(self.headers.get("request-id")?.to_str().ok()?.to_owned())
    }

    fn refusal(&self) -> Option<ErrorBody> {
        let envelope: ErrorEnvelope = serde_json::from_slice(&self.body).ok()?;
        Some(envelope.error)
    }

    fn read<T: DeserializeOwned>(&self) -> Result<T, StripeError> {
        serde_json::from_slice(&self.body).map_err(|error| StripeError::unreadable(self.request_id(), error))
    }
}

async fn body(mut response: Response) -> Result<Vec<u8>, StripeError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(StripeError::unreachable)? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(StripeError::unreadable(None, "it is larger than 8 MiB"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// A client without Stripe's headers, for what the fake sends.
#[cfg(feature = "fake")]
pub(crate) fn plain_http() -> Result<reqwest::Client, ConfigError> {
    let builder = reqwest::Client::builder().tls_backend_preconfigured(tls()?).no_proxy();
    let builder =
        builder.redirect(reqwest::redirect::Policy::none()).timeout(std::time::Duration::from_secs(10));
    builder.build().map_err(|error| ConfigError::Tls(error.into()))
}

/// TLS with the authorities that browsers trust.
fn tls() -> Result<ClientConfig, ConfigError> {
    let roots: RootCertStore = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ConfigError::Tls(error.into()))?;
    Ok(versions.with_root_certificates(roots).with_no_client_auth())
}
