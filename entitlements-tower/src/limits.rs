//! The fields `RateLimit-Policy` and `RateLimit`: what a quota is, and what is left of it.
//!
//! They follow draft-ietf-httpapi-ratelimit-headers-11 (May 2026), which is not a standard yet: structured fields, one
//! item for each quota, named by its meter.

use std::fmt::Write;

use chrono::{DateTime, Utc};
use entitlements_core::catalog::{EntryKind, FeatureKind};
use entitlements_core::period::Interval;
use entitlements_core::usage::Receipt;
use entitlements_core::{Amount, Catalog, Decision};
use http::header::HeaderName;
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::denial::{Denial, seconds_up};
use crate::gate::Shared;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// The largest integer of structured fields, RFC 9651.
const MAX_INTEGER: u64 = 999_999_999_999_999;

/// A quota with a limit, as a caller sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Shown {
    meter: String,
    limit: Amount,
    left: Amount,
    resets_at: Option<DateTime<Utc>>,
    /// Seconds of a period, where all periods are of one length.
    window: Option<u64>,
}

impl Shown {
    /// The quota that a decision names; a receipt tells what was left after the charge.
    fn of(decision: &Decision, receipt: Option<&Receipt>, catalog: &Catalog) -> Option<Self> {
        let quota = decision.quota.as_ref()?;
        let is_meter =
            catalog.feature(quota.meter).is_some_and(|feature| feature.kind() == FeatureKind::Meter);
        if !is_meter {
            return None;
        }
        let (limit, left, resets_at) = match receipt {
            Some(receipt) => (receipt.limit?, receipt.remaining()?, receipt.resets_at),
            None => (quota.limit?, quota.remaining?, quota.resets_at),
        };
        let window = decision.plan.and_then(|plan| window(catalog, plan, quota.meter));
        Some(Self { meter: quota.meter.into(), limit, left, resets_at, window })
    }

    /// The quotas that the response to a request is to show, where responses show any.
    pub(crate) fn list(shared: &Shared, decision: Option<&Decision>, receipt: Option<&Receipt>) -> Vec<Self> {
        if !shared.limits {
            return Vec::new();
        }
        let shown = decision.and_then(|decision| Self::of(decision, receipt, &shared.entitlements.catalog()));
        shown.into_iter().collect()
    }

    /// Adds what was learnt later: of one meter, that counts.
    pub(crate) fn update(shown: &mut Vec<Self>, later: Vec<Self>) {
        shown.retain(|old| later.iter().all(|new| new.meter != old.meter));
        shown.extend(later);
    }

    fn write(&self, headers: &mut HeaderMap, now: DateTime<Utc>) {
        let Some(name) = quoted(&self.meter) else { return };
        // Extractors, and gates further in, have asked later, and say first what they know.
        let item = format!("{name};");
        if headers.get_all(LIMIT).iter().any(|said| said.as_bytes().starts_with(item.as_bytes())) {
            return;
        }
        let mut policy = format!("{name};q={}", self.limit.get().min(MAX_INTEGER));
        let mut limit = format!("{name};r={}", self.left.get().min(MAX_INTEGER));
        // Writing into a string cannot fail.
        if let Some(window) = self.window {
            let _ = write!(policy, ";w={window}");
        }
        if let Some(at) = self.resets_at {
            let _ = write!(limit, ";t={}", seconds_up(at.signed_duration_since(now)).min(MAX_INTEGER));
        }
        for (field, value) in [(POLICY, policy), (LIMIT, limit)] {
            if let Ok(value) = HeaderValue::try_from(value) {
                // Both are lists, which may be split over several fields.
                headers.append(field, value);
            }
        }
    }
}

/// The length of the periods of a plan's quota. Months and years differ in length, and several quotas of one meter have
/// no one length.
fn window(catalog: &Catalog, plan: &str, meter: &str) -> Option<u64> {
    let index = catalog.feature(meter)?.index();
    let EntryKind::Meter(quotas) = &catalog.plan(plan)?.entry(index)?.kind else { return None };
    let [quota] = quotas.as_slice() else { return None };
    match quota.every {
        Interval::Hour => Some(3_600),
        Interval::Day => Some(86_400),
        Interval::Week => Some(604_800),
        _ => None,
    }
}

/// A string of structured fields, which has printable ASCII alone.
fn quoted(text: &str) -> Option<String> {
    let printable = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    printable.then(|| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
}

/// Says in the headers of a response what is left. A redirection says nothing: a client would wait before it follows.
pub(crate) fn admitted(shared: &Shared, quotas: &[Shown], status: StatusCode, headers: &mut HeaderMap) {
    if quotas.is_empty() || status.is_redirection() {
        return;
    }
    let now = shared.entitlements.now();
    for quota in quotas {
        quota.write(headers, now);
    }
}

/// Says in the headers of a denial what is left, if a quota is the reason.
pub(crate) fn denied(shared: &Shared, denial: &Denial, headers: &mut HeaderMap) {
    let Denial::NotEntitled { decision, at } = denial else { return };
    if shared.limits
        && let Some(quota) = Shown::of(decision, None, &shared.entitlements.catalog())
    {
        quota.write(headers, *at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_strings_of_structured_fields() {
        assert_eq!(quoted("ai tokens").as_deref(), Some("\"ai tokens\""));
        assert_eq!(quoted(r#"a"b\c"#).as_deref(), Some(r#""a\"b\\c""#));
        assert_eq!(quoted("töken"), None);
    }
}
