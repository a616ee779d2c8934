//! Declared routes: the proof, when a layer is built, that none of them was forgotten.

use http::Method;

use crate::matching::RequestPath;
use crate::pattern::Pattern;
use crate::rules::{RuleProblem, Rules};

/// Methods that a route for every method answers; the last one stands for those that nobody has heard of.
const METHODS: [&str; 9] =
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "UNHEARD-OF"];

/// What is wrong with the routes that an application declares: each needs a rule, for each of its methods.
pub(crate) fn problems(declared: &[String], rules: &Rules) -> Vec<RuleProblem> {
    declared.iter().filter_map(|route| problem(route, rules)).collect()
}

fn problem(route: &str, rules: &Rules) -> Option<RuleProblem> {
    let report = |message: String| Some(RuleProblem { rule: route.into(), message });
    let pattern = match Pattern::parse(route) {
        Ok(pattern) => pattern,
        Err(message) => return report(message),
    };
    // A router says by which pattern it chose the handler, so that is what a request to the route looks like.
    let path = RequestPath { matched: Some(&pattern.path), raw: &pattern.path, is_cut: false };
    let methods = match &pattern.method {
        Some(method) => vec![method.clone()],
        None => METHODS.iter().filter_map(|name| Method::from_bytes(name.as_bytes()).ok()).collect(),
    };
    let mut missing = methods.iter().filter(|method| matches!(rules.find(method, &path), Ok(None)));
    let first = missing.next()?;
    let others = missing.count();
    report(match (&pattern.method, others + 1 == methods.len()) {
        (None, false) => format!("the application declares it, and no rule is for its method {first}"),
        _ => "the application declares it, and no rule is for it".into(),
    })
}
