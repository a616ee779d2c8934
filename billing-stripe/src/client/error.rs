//! Why a request to Stripe failed.

use std::fmt;

use http::StatusCode;

use crate::wire::{ErrorBody, ErrorType};

/// Why a request to Stripe failed.
///
/// It never holds the key, and of what was sent only the name of the parameter at fault.
#[derive(Debug)]
pub struct StripeError(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: StripeErrorKind,
    status: Option<StatusCode>,
    request_id: Option<String>,
    body: Option<ErrorBody>,
    what: &'static str,
    /// Whether it, or an attempt before it, may have had an effect.
    may_have_had_effect: bool,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The family of a failure: what can be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StripeErrorKind {
    /// The card was refused: the customer has to do something.
    CardDeclined,
    /// The request is wrong, or does not fit the state of the object.
    InvalidRequest,
    /// The object does not exist.
    NotFound,
    /// Too many requests, or the object is locked by another.
    RateLimited,
    /// The key is not accepted, or may not do this.
    Authentication,
    /// The idempotency key was used for another request.
    Idempotency,
    /// Stripe cannot be reached, is slow or has a fault. Whether the request had an effect is unknown; the same
    /// operation id finds out.
    Unavailable,
    /// Stripe's answer cannot be read.
    Unreadable,
}

impl StripeError {
    pub(super) fn refused(status: StatusCode, request_id: Option<String>, body: Option<ErrorBody>) -> Self {
        use StripeErrorKind as Kind;

        let of_family = |kind| body.as_ref().is_some_and(|body| body.kind == kind);
        let code = body.as_ref().and_then(|body| body.code.as_deref());
        let kind = match status.as_u16() {
            _ if of_family(ErrorType::IdempotencyError) => Kind::Idempotency,
            _ if of_family(ErrorType::CardError) => Kind::CardDeclined,
            401 | 403 => Kind::Authentication,
            429 => Kind::RateLimited,
            409 | 500.. => Kind::Unavailable,
            404 => Kind::NotFound,
            _ if code == Some("resource_missing") && body.as_ref().is_some_and(|b| b.param.is_some()) => {
                Kind::NotFound
            }
            400..500 => Kind::InvalidRequest,
            _ => Kind::Unreadable,
        };
        let what = match kind {
            Kind::CardDeclined => "Stripe refused the payment method",
            Kind::Authentication => "Stripe does not accept the key",
            Kind::RateLimited => "Stripe limits requests",
            Kind::Unavailable => "Stripe has a fault",
            Kind::Idempotency => "the operation was already used for another request",
            Kind::Unreadable => "Stripe answered unexpectedly",
            Kind::NotFound => "Stripe does not know the object",
            Kind::InvalidRequest => "Stripe refused the request",
        };
        // A fault of Stripe's may come after the effect; a refusal comes instead of it.
        let may_have_had_effect = status.is_server_error() || kind == Kind::Unreadable;
        Self(Box::new(Inner {
            kind,
            status: Some(status),
            request_id,
            body,
            what,
            may_have_had_effect,
            source: None,
        }))
    }

    pub(super) fn unreachable(error: reqwest::Error) -> Self {
        let what =
            if error.is_timeout() { "Stripe did not answer in time" } else { "Stripe cannot be reached" };
        let may_have_had_effect = !error.is_connect();
        let source = Some(error.without_url().into());
        let kind = StripeErrorKind::Unavailable;
        Self(Box::new(Inner {
            kind,
            status: None,
            request_id: None,
            body: None,
            what,
            may_have_had_effect,
            source,
        }))
    }

    pub(super) fn unreadable(
        request_id: Option<String>,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        let (kind, what) = (StripeErrorKind::Unreadable, "Stripe's answer cannot be read");
        Self(Box::new(Inner {
            kind,
            status: None,
            request_id,
            body: None,
            what,
            may_have_had_effect: true,
            source: Some(source.into()),
        }))
    }

    pub(super) fn unsendable(what: &'static str) -> Self {
        let kind = StripeErrorKind::InvalidRequest;
        Self(Box::new(Inner {
            kind,
            status: None,
            request_id: None,
            body: None,
            what,
            may_have_had_effect: false,
            source: None,
        }))
    }

    /// The same, after attempts of which one may have had an effect.
    pub(super) fn after(mut self, may_have_had_effect: bool) -> Self {
        self.0.may_have_had_effect |= may_have_had_effect;
        self
    }

    /// The family.
    #[must_use]
    pub fn kind(&self) -> StripeErrorKind {
        self.0.kind
    }

    /// Whether the same request may succeed later.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        matches!(self.0.kind, StripeErrorKind::RateLimited | StripeErrorKind::Unavailable)
    }

    /// Whether the request may have had an effect all the same: the answer was lost, or is a fault of Stripe's. It is
    /// certain that it had none if Stripe refused it, or could not be reached in any attempt.
    #[must_use]
    pub fn may_have_had_effect(&self) -> bool {
        self.0.may_have_had_effect
    }

    /// The status of the answer, if there was one.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.0.status
    }

    /// The id of the request at Stripe, under which its log is found.
    #[must_use]
    pub fn request_id(&self) -> Option<&str> {
        self.0.request_id.as_deref()
    }

    /// What exactly is wrong, for example `card_declined`.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        self.0.body.as_ref()?.code.as_deref()
    }

    /// Why the bank refused, for example `insufficient_funds`.
    #[must_use]
    pub fn decline_code(&self) -> Option<&str> {
        self.0.body.as_ref()?.decline_code.as_deref()
    }

    /// The parameter at fault.
    #[must_use]
    pub fn param(&self) -> Option<&str> {
        self.0.body.as_ref()?.param.as_deref().filter(|param| !param.is_empty())
    }

    /// What Stripe says to people; for a refused card it may be shown to the customer.
    #[must_use]
    pub fn message(&self) -> Option<&str> {
        // The message about a key repeats a part of it.
        let quotable = self.0.kind != StripeErrorKind::Authentication;
        self.0.body.as_ref()?.message.as_deref().filter(|_| quotable)
    }
}

impl fmt::Display for StripeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.what)?;
        if let Some(code) = self.decline_code().or(self.code()) {
            write!(f, " ({code})")?;
        }
        if let Some(message) = self.message() {
            write!(f, ": {message}")?;
        }
        if let Some(param) = self.param() {
            write!(f, " [parameter {param}]")?;
        }
        if let Some(id) = self.request_id() {
            write!(f, " [request {id}]")?;
        }
        Ok(())
    }
}

impl std::error::Error for StripeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
