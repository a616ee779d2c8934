//! What a gRPC status says beside its code and message: `grpc-status-details-bin`, for programs.
//!
//! The trailer holds a `google.rpc.Status` with an `ErrorInfo`, and a `RetryInfo` if waiting helps
//! (<https://github.com/googleapis/googleapis/blob/master/google/rpc/error_details.proto>), in base64 without padding.
//! These three messages are all that is ever written, so they are written here, and need no compiler of protocol buffers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use http::HeaderValue;
use serde_json::Value;

use crate::denial::Denial;
use crate::problem::Problem;

/// Whose reasons they are.
const DOMAIN: &str = "entitlements";

/// The most bytes of a value; longer ones are left out, because clients bound the headers they accept.
const MAX_VALUE: usize = 512;

pub(crate) fn of(denial: &Denial, code: u8, message: &str, problem: &Problem) -> Option<HeaderValue> {
    let mut info = Message::default();
    info.text(1, &denial.code().to_ascii_uppercase());
    info.text(2, DOMAIN);
    for (name, value) in problem.fields() {
        let value = text_of(value);
        if value.len() <= MAX_VALUE {
            let mut entry = Message::default();
            entry.text(1, name);
            entry.text(2, &value);
            info.message(3, &entry);
        }
    }
    let mut status = Message::default();
    status.number(1, code.into());
    status.text(2, message);
    status.any(3, "google.rpc.ErrorInfo", &info);
    if let Some(seconds) = denial.retry_after() {
        let mut delay = Message::default();
        delay.number(1, seconds);
        let mut retry = Message::default();
        retry.message(1, &delay);
        status.any(3, "google.rpc.RetryInfo", &retry);
    }
    HeaderValue::try_from(STANDARD_NO_PAD.encode(status.0)).ok()
}

/// A member of a problem as the text that it is among an `ErrorInfo`: plans are joined with commas.
fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(plans) => {
            plans.iter().filter_map(|plan| plan.get("plan")?.as_str()).collect::<Vec<_>>().join(",")
        }
        other => other.to_string(),
    }
}

/// A message of protocol buffers that is being written.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(u8::try_from(value & 0x7f).unwrap_or_default() | 0x80);
            value >>= 7;
        }
        self.0.push(u8::try_from(value).unwrap_or_default());
    }

    fn number(&mut self, field: u64, value: u64) {
        self.varint(field << 3);
        self.varint(value);
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        self.0.extend_from_slice(bytes);
    }

    fn text(&mut self, field: u64, text: &str) {
        self.bytes(field, text.as_bytes());
    }

    fn message(&mut self, field: u64, message: &Self) {
        self.bytes(field, &message.0);
    }

    /// A message of a kind that the reader finds by its name.
    fn any(&mut self, field: u64, kind: &str, message: &Self) {
        let mut any = Self::default();
        any.text(1, &format!("type.googleapis.com/{kind}"));
        any.message(2, message);
        self.message(field, &any);
    }
}
