//! The usual rule of a service, found once: a router puts a service of its own around each route and method.

use std::fmt;
use std::sync::{Arc, OnceLock};

use entitlements_core::Action;
use http::{Extensions, Method};

use crate::rules::{CompiledRule, Rules};

/// The first rule that was found for a service by a router's pattern alone, among the rules that its gate was built with.
#[derive(Default)]
pub(crate) struct Usual(OnceLock<Known>);

struct Known {
    matched: Matched,
    method: Method,
    rule: Arc<CompiledRule>,
    action: Action,
}

impl Usual {
    /// The rule and the action of the request, if they are the usual ones. They are right as long as the gate has the
    /// rules that it was built with.
    #[inline]
    pub(crate) fn rule(&self, method: &Method, extensions: &Extensions) -> Option<(&CompiledRule, Action)> {
        let known = self.0.get()?;
        (known.method == *method && known.matched.is_of(extensions)).then_some((&*known.rule, known.action))
    }

    /// Remembers the rule that `rules`, those which the gate was built with, have for the request, if nothing but the
    /// method and the router's pattern decides about it.
    #[cold]
    pub(crate) fn learn(
        &self,
        method: &Method,
        extensions: &Extensions,
        rules: &Rules,
        rule: &Arc<CompiledRule>,
        action: Action,
    ) {
        if self.0.get().is_some() {
            return;
        }
        let Some(matched) = Matched::of(extensions) else { return };
        if !rules.by_pattern(method, extensions).is_some_and(|found| Arc::ptr_eq(found, rule)) {
            return;
        }
        // Another request may have been faster.
        let _ = self.0.set(Known { matched, method: method.clone(), rule: Arc::clone(rule), action });
    }
}

impl fmt::Debug for Usual {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Usual").field(&self.0.get().map(|known| &known.rule)).finish()
    }
}

/// The pattern by which a router chose the handler, kept alive so that it is known by its place in memory.
#[cfg(feature = "axum")]
struct Matched(axum::extract::MatchedPath);

#[cfg(feature = "axum")]
impl Matched {
    fn of(extensions: &Extensions) -> Option<Self> {
        extensions.get::<axum::extract::MatchedPath>().cloned().map(Self)
    }

    #[inline]
    fn is_of(&self, extensions: &Extensions) -> bool {
        let Some(other) = extensions.get::<axum::extract::MatchedPath>() else { return false };
        let (own, other) = (self.0.as_str(), other.as_str());
        // A router hands out copies of one text, but for nested routes it writes a new one for each request.
        std::ptr::eq(own, other) || own == other
    }
}

/// It cannot be known.
#[cfg(not(feature = "axum"))]
enum Matched {}

#[cfg(not(feature = "axum"))]
impl Matched {
    const fn of(_: &Extensions) -> Option<Self> {
        None
    }

    const fn is_of(&self, _: &Extensions) -> bool {
        match *self {}
    }
}
