//! Reports: what a handler says it has used.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use entitlements_core::Amount;

use crate::charge::{Charge, Outcome};

/// The most meters that one request may report.
const MAX_METERS: usize = 32;

/// With this, a handler says how much it has really used, for rules that charge the *actual* amount.
///
/// The layer puts it into the request's extensions and has already taken the estimate. The charge is settled when the
/// last clone is gone, so a handler that streams keeps a clone in its body until the end. Without a report the estimate
/// stays.
///
/// A meter that shares its quota with others may be charged as an estimate, and the members of the pool be reported.
///
/// ```
/// use axum::Extension;
/// use entitlements_tower::UsageReport;
///
/// async fn generate(Extension(usage): Extension<UsageReport>) -> &'static str {
///     usage.report("ai_tokens_input", 812);
///     usage.report("ai_tokens_output", 4_096);
///     "done"
/// }
/// # let _ = generate;
/// ```
#[derive(Clone)]
pub struct UsageReport(Arc<Open>);

struct Open(Mutex<State>);

struct State {
    units: BTreeMap<String, Amount>,
    outcome: Outcome,
    charge: Option<Charge>,
}

impl UsageReport {
    pub(crate) fn new(charge: Charge) -> Self {
        let state = State { units: BTreeMap::new(), outcome: Outcome::Abandoned, charge: Some(charge) };
        Self(Arc::new(Open(Mutex::new(state))))
    }

    /// Says how many units of `meter` this request has used so far; of one meter, the last number counts. 0 is a number,
    /// too.
    pub fn report(&self, meter: &str, units: u64) {
        let mut state = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        let amount = Amount::new(units).unwrap_or(Amount::MAX);
        if let Some(known) = state.units.get_mut(meter) {
            *known = amount;
        } else if state.units.len() < MAX_METERS {
            state.units.insert(meter.into(), amount);
        } else {
            tracing::error!(max = MAX_METERS, "a request reports too many meters; the rest is not charged");
        }
    }

    pub(crate) fn ended(&self, outcome: Outcome) {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).outcome = outcome;
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let state = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        let units = std::mem::take(&mut state.units);
        if let Some(charge) = state.charge.take() {
            let reported = (!units.is_empty()).then(|| units.into_iter().collect());
            charge.close(state.outcome, reported);
        }
    }
}

impl fmt::Debug for UsageReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        f.debug_tuple("UsageReport").field(&state.units).finish()
    }
}
