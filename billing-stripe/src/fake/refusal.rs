//! Refusals, with the bodies that Stripe sends.

use serde_json::{Value, json};

/// Why a request is refused.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    kind: &'static str,
    code: Option<&'static str>,
    decline_code: Option<&'static str>,
    param: Option<String>,
    message: String,
    /// Whether the request had begun, so that its idempotency key is taken.
    pub(super) begun: bool,
}

impl Refusal {
    fn invalid(status: u16, message: impl Into<String>) -> Self {
        Self {
            status,
            kind: "invalid_request_error",
            code: None,
            decline_code: None,
            param: None,
            message: message.into(),
            begun: true,
        }
    }

    /// A parameter is wrong; nothing has begun.
    pub(super) fn param(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self { param: Some(param.into()), begun: false, ..Self::invalid(400, message) }
    }

    pub(super) fn missing(param: &str) -> Self {
        let refusal = Self::param(param, format!("Missing required param: {param}."));
        Self { code: Some("parameter_missing"), ..refusal }
    }

    pub(super) fn unknown(param: &str) -> Self {
        let refusal = Self::param(param, format!("Received unknown parameter: {param}"));
        Self { code: Some("parameter_unknown"), ..refusal }
    }

    /// The request does not fit the state of the object.
    pub(super) fn state(message: impl Into<String>) -> Self {
        Self::invalid(400, message)
    }

    /// A report of usage has an identifier that came within the last day.
    pub(super) fn taken_identifier(identifier: &str) -> Self {
        let message = format!("An event already exists with identifier {identifier}.");
        Self { code: Some("duplicate_meter_event"), ..Self::param("identifier", message) }
    }

    /// The object in the path does not exist.
    pub(super) fn not_found(kind: &str, id: &str) -> Self {
        let refusal = Self::invalid(404, format!("No such {kind}: '{id}'"));
        Self { code: Some("resource_missing"), param: Some("id".into()), ..refusal }
    }

    /// An object that a parameter names does not exist.
    pub(super) fn no_such(kind: &str, id: &str, param: impl Into<String>) -> Self {
        let refusal = Self::invalid(400, format!("No such {kind}: '{id}'"));
        Self { code: Some("resource_missing"), param: Some(param.into()), ..refusal }
    }

    pub(super) fn no_payment_method() -> Self {
        let message = "This customer has no attached payment source or default payment method. Please consider \
                       adding a default payment method.";
        Self { code: Some("resource_missing"), ..Self::invalid(400, message) }
    }

    pub(super) fn unrecognized(method: &str, path: &str) -> Self {
        let message = format!("Unrecognized request URL ({method}: {path}).");
        Self { begun: false, ..Self::invalid(404, message) }
    }

    pub(super) fn unauthorized(message: &str) -> Self {
        Self { begun: false, ..Self::invalid(401, message) }
    }

    pub(super) fn key_reused(key: &str) -> Self {
        let message = format!(
            "Keys for idempotent requests can only be used with the same parameters they were first used with. Try \
             using a key other than '{key}' if you meant to execute a different request."
        );
        Self { kind: "idempotency_error", begun: false, ..Self::invalid(400, message) }
    }

    pub(super) fn card(code: &'static str, decline_code: Option<&'static str>, message: &str) -> Self {
        let refusal = Self::invalid(402, message);
        Self { kind: "card_error", code: Some(code), decline_code, param: Some(String::new()), ..refusal }
    }

    /// A refusal that was asked for.
    pub(super) fn planned(status: u16, code: Option<&'static str>) -> Self {
        let kind = if status >= 500 { "api_error" } else { "invalid_request_error" };
        Self { kind, code, begun: false, ..Self::invalid(status, "This failure was asked for.") }
    }

    pub(super) fn body(&self) -> Value {
        let mut error = json!({"type": self.kind, "message": self.message});
        if let Value::Object(fields) = &mut error {
            let texts =
                [("code", self.code), ("decline_code", self.decline_code), ("param", self.param.as_deref())];
            for (name, text) in texts {
                if let Some(text) = text {
                    fields.insert(name.into(), text.into());
                }
            }
            if let Some(code) = self.code {
                let page = code.replace('_', "-");
                fields.insert("doc_url".into(), format!("https://stripe.com/docs/error-codes/{page}").into());
            }
        }
        json!({"error": error})
    }
}
