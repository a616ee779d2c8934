//! Any JSON is a policy or a list of problems; a policy survives being written down.
#![no_main]

use entitlements_core::policy::{Effect, Policy, When};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|text: &[u8]| {
    let Ok(value) = serde_json::from_slice::<Value>(text) else { return };
    let policy = match Policy::from_json(&value) {
        Ok(policy) => policy,
        Err(error) => {
            assert!(!error.problems().is_empty());
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    assert!(!(policy.guardrail && policy.effect == Effect::Allow));
    let written = policy.to_json();
    let again = match Policy::from_json(&written) {
        Ok(again) => again,
        Err(error) => panic!("{error}\n{written}"),
    };
    assert_eq!(again, policy, "{written}");
    assert_eq!(again.to_json(), written);
    // As stores keep it.
    let stored = policy.when.to_stored();
    let kept = When::from_stored(stored.as_deref());
    assert_eq!(kept, policy.when, "{stored:?}");
});
