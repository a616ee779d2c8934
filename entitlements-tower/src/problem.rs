//! Problems: error bodies in the form of RFC 9457.

use std::borrow::Cow;

use chrono::SecondsFormat;
use entitlements_core::{Amount, Decision, Error, ErrorKind, Reason};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, RETRY_AFTER};
use http::{HeaderValue, Response, StatusCode};
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Value, json};

use crate::denial::status_of;

/// An error body in the form of RFC 9457, `application/problem+json`.
///
/// The layer answers denials with it; applications can answer their own errors in the same form. Programs read the `code`;
/// the `type` is `about:blank` unless it is [set](Self::type_uri), and the `title` is for people in either case.
///
/// ```
/// use entitlements_tower::Problem;
/// use http::StatusCode;
///
/// let problem = Problem::new(StatusCode::CONFLICT, "report_exists", "The report exists").field("report", "q3");
/// assert_eq!(
///     problem.to_json(),
///     r#"{"type":"about:blank","title":"The report exists","status":409,"code":"report_exists","report":"q3"}"#
/// );
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    status: StatusCode,
    code: Cow<'static, str>,
    title: Cow<'static, str>,
    kind: Cow<'static, str>,
    detail: Option<String>,
    instance: Option<String>,
    fields: Vec<(Cow<'static, str>, Value)>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// A problem: the status of the response, a stable code for programs, a short title for people.
    #[must_use]
    pub fn new(
        status: StatusCode,
        code: impl Into<Cow<'static, str>>,
        title: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status,
            code: code.into(),
            title: title.into(),
            kind: "about:blank".into(),
            detail: None,
            instance: None,
            fields: Vec::new(),
            headers: Vec::new(),
        }
    }

    /// Says what is wrong this time.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Names what it is about: the path of the request.
    #[must_use]
    pub fn instance(mut self, instance: impl Into<String>) -> Self {
        self.instance = Some(instance.into());
        self
    }

    /// Sets the URI that identifies this type of problem, instead of `about:blank`.
    #[must_use]
    pub fn type_uri(mut self, uri: impl Into<Cow<'static, str>>) -> Self {
        self.kind = uri.into();
        self
    }

    /// Adds a member. `null` is left out.
    #[must_use]
    pub fn field(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Value>) -> Self {
        let value = value.into();
        if !value.is_null() {
            self.fields.push((name.into(), value));
        }
        self
    }

    /// Adds a header to the response.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The status of the response.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The text for people: the detail, or the title if there is none.
    #[must_use]
    pub fn text(&self) -> &str {
        self.detail.as_deref().unwrap_or(&self.title)
    }

    pub(crate) fn fields(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.fields.iter().map(|(name, value)| (name.as_ref(), value))
    }

    /// The body, as JSON text.
    #[must_use]
    pub fn to_json(&self) -> String {
        // Serialising strings and JSON values into memory cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The response, for any body that can be made from text. Unless a [header](Self::header) says otherwise, it is not to
    /// be kept: `Cache-Control: no-store`.
    ///
    /// ```
    /// use entitlements_tower::Problem;
    /// use http::{Response, StatusCode};
    ///
    /// let response: Response<String> = Problem::new(StatusCode::GONE, "gone", "Gone").into_response();
    /// assert_eq!(response.headers()["content-type"], "application/problem+json");
    /// assert_eq!(response.headers()["cache-control"], "no-store");
    /// ```
    #[must_use]
    pub fn into_response<B: From<String>>(self) -> Response<B> {
        let mut response = Response::new(B::from(self.to_json()));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.extend(self.headers);
        headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        response
    }

    pub(crate) fn unavailable() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Temporarily unavailable")
            .detail("whether the request is allowed cannot be decided at the moment")
            .header(RETRY_AFTER, HeaderValue::from_static("1"))
    }

    pub(crate) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error")
            .detail("the server failed to decide whether the request is allowed")
    }
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", &self.kind)?;
        map.serialize_entry("title", &self.title)?;
        map.serialize_entry("status", &self.status.as_u16())?;
        if let Some(detail) = &self.detail {
            map.serialize_entry("detail", detail)?;
        }
        if let Some(instance) = &self.instance {
            map.serialize_entry("instance", instance)?;
        }
        map.serialize_entry("code", &self.code)?;
        for (name, value) in &self.fields {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// The problem of a denial: `feature`, `action`, `plan`, `limit`, `used`, `resetsAt` and `upgrade`, as far as they are
/// known.
impl From<&Decision> for Problem {
    fn from(decision: &Decision) -> Self {
        let Decision { reason, feature, action, plan, quota, upgrade, .. } = decision;
        let (title, detail) = words(*reason, feature, action.as_str(), *plan);
        let limit = quota.as_ref().and_then(|quota| quota.limit).map(Amount::get);
        let used = quota.as_ref().map(|quota| quota.used.get());
        let resets_at = quota.as_ref().and_then(|quota| quota.resets_at);
        let resets_at = resets_at.map(|at| at.to_rfc3339_opts(SecondsFormat::AutoSi, true));
        let upgrade: Vec<_> = upgrade.iter().map(|plan| json!({ "plan": plan })).collect();
        Self::new(status_of(*reason), reason.code(), title)
            .detail(detail)
            .field("feature", feature.as_ref())
            .field("action", action.as_str())
            .field("plan", *plan)
            .field("limit", limit)
            .field("used", used)
            .field("resetsAt", resets_at)
            .field("upgrade", if upgrade.is_empty() { Value::Null } else { upgrade.into() })
    }
}

/// The problem of a call that could not be done. Failures of the server say nothing of their cause.
impl From<&Error> for Problem {
    fn from(error: &Error) -> Self {
        let (status, code, title) = match error.kind() {
            ErrorKind::Unavailable => return Self::unavailable(),
            ErrorKind::IdempotencyConflict => {
                (StatusCode::CONFLICT, "idempotency_conflict", "The idempotency key was used before")
            }
            ErrorKind::Invalid => (StatusCode::BAD_REQUEST, "invalid", "The request is invalid"),
            ErrorKind::Taken => (StatusCode::CONFLICT, "taken", "The id is taken"),
            _ => return Self::internal(),
        };
        Self::new(status, code, title).detail(error.to_string()).field("field", error.field())
    }
}

fn words(reason: Reason, feature: &str, action: &str, plan: Option<&str>) -> (&'static str, String) {
    match reason {
        Reason::QuotaExceeded => ("Quota exceeded", format!("the quota of `{feature}` is used up")),
        Reason::NoSubscription => {
            ("No subscription", format!("`{feature}` needs a subscription, and there is none"))
        }
        Reason::SubscriptionInactive => {
            ("Subscription inactive", format!("`{feature}` needs a subscription that gives access"))
        }
        Reason::FeatureNotInPlan => {
            let plan = plan.map_or_else(|| "the plan".into(), |plan| format!("the plan `{plan}`"));
            ("Feature not in plan", format!("{plan} does not include `{feature}` for `{action}`"))
        }
        Reason::PolicyDenied => ("Denied by policy", format!("a policy denies `{feature}` for `{action}`")),
        Reason::UnknownFeature => ("Unknown feature", format!("there is no feature `{feature}`")),
        Reason::NotGranted => ("Not granted", format!("`{feature}` is not granted for `{action}`")),
        other => ("Denied", format!("`{feature}` for `{action}`: {other}")),
    }
}

#[cfg(feature = "axum")]
impl axum::response::IntoResponse for Problem {
    fn into_response(self) -> axum::response::Response {
        Problem::into_response(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_members_are_left_out() {
        let problem = Problem::new(StatusCode::NOT_FOUND, "c", "t").field("a", None::<&str>).field("b", 1);
        assert_eq!(problem.to_json(), r#"{"type":"about:blank","title":"t","status":404,"code":"c","b":1}"#);
    }

    #[test]
    fn every_text_is_escaped() {
        let problem = Problem::new(StatusCode::NOT_FOUND, "c", "t").instance("/\"\u{1}\\");
        let parsed: Value = serde_json::from_str(&problem.to_json()).unwrap();
        assert_eq!(parsed["instance"], "/\"\u{1}\\");
    }

    #[test]
    fn a_response_has_its_status_type_and_headers() {
        let response: Response<String> = Problem::unavailable().into_response();
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        assert_eq!(response.headers()[RETRY_AFTER], "1");
        assert_eq!(response.headers()[CACHE_CONTROL], "no-store");
        let kept = Problem::unavailable().header(CACHE_CONTROL, HeaderValue::from_static("max-age=1"));
        let response: Response<String> = kept.into_response();
        let values: Vec<_> = response.headers().get_all(CACHE_CONTROL).iter().collect();
        assert_eq!(values, ["max-age=1"]);
    }
}
