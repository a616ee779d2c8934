//! The rules in force: they follow the catalog.

use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use arc_swap::{ArcSwap, Guard};
use entitlements_core::catalog::{CatalogHash, Unmatched};
use entitlements_core::{Catalog, Entitlements};

use crate::coverage::{Coverage, Watch};
use crate::declared;
use crate::rule::Rule;
use crate::rules::{RuleError, Rules};

/// Where the rules come from.
#[derive(Clone, Debug)]
pub(crate) struct RuleSource {
    /// Whether the routes of the catalog are among them.
    pub(crate) catalog: bool,
    /// The rules from code.
    pub(crate) code: Vec<Rule>,
    /// The routes that the application has: each needs a rule.
    pub(crate) declared: Vec<String>,
    /// Instead of what the catalog says.
    pub(crate) unmatched: Option<Unmatched>,
    /// Whether handlers may ask by themselves, without a rule.
    pub(crate) extractors: bool,
}

impl RuleSource {
    fn compile(&self, catalog: &Catalog, watch: &Watch) -> Result<Rules, RuleError> {
        let routing = catalog.routing();
        let from_catalog = routing.routes.iter().filter(|_| self.catalog).map(Rule::from);
        let rules: Vec<_> = from_catalog.chain(self.code.iter().cloned()).collect();
        let unmatched = self.unmatched.unwrap_or(routing.unmatched);
        let rules = Rules::compile(&rules, unmatched, catalog, |label| watch.counter(label))?;
        let forgotten = declared::problems(&self.declared, &rules);
        if !forgotten.is_empty() {
            return Err(RuleError::new(forgotten));
        }
        if rules.all.is_empty() && rules.unmatched == Unmatched::Allow && !self.extractors {
            tracing::warn!(
                "an entitlement layer has no rule and lets pass what no rule matches, so it gates nothing: give it rules, \
                 the catalog `[[routes]]` or `unmatched = \"deny\"`"
            );
        }
        Ok(rules)
    }
}

/// The rules in force, for as long as a request needs them.
pub(crate) enum InForce<'a> {
    First(&'a Rules),
    Current(Guard<Arc<Rules>>),
}

impl InForce<'_> {
    /// Whether they are those that the gate was built with.
    pub(crate) const fn are_first(&self) -> bool {
        matches!(self, Self::First(_))
    }
}

impl Deref for InForce<'_> {
    type Target = Rules;

    #[inline]
    fn deref(&self) -> &Rules {
        match self {
            Self::First(rules) => rules,
            Self::Current(rules) => rules,
        }
    }
}

/// The rules in force.
#[derive(Debug)]
pub(crate) struct Table {
    source: RuleSource,
    /// The rules that the gate was built with. Most processes never have others, and these are found without counting
    /// who uses them.
    first: Arc<Rules>,
    /// The number of the catalog that was in force then.
    first_number: u64,
    /// The rules of the last catalog whose rules could be used.
    current: ArcSwap<Rules>,
    /// The number of the last catalog that was looked at.
    seen: AtomicU64,
    /// The last catalog whose rules were refused, so that it is reported once. Locked while rules are compiled.
    refused: Mutex<Option<CatalogHash>>,
    pub(crate) watch: Watch,
}

impl Table {
    pub(crate) fn new(source: RuleSource, entitlements: &Entitlements) -> Result<Self, RuleError> {
        let watch = Watch::default();
        let first_number = entitlements.catalogs();
        let first = Arc::new(source.compile(&entitlements.catalog(), &watch)?);
        let current = ArcSwap::new(Arc::clone(&first));
        let (seen, refused) = (AtomicU64::new(first_number), Mutex::new(None));
        Ok(Self { source, first, first_number, current, seen, refused, watch })
    }

    /// Whether the rules that the gate was built with are in force.
    #[inline]
    pub(crate) fn has_first(&self, entitlements: &Entitlements) -> bool {
        entitlements.catalogs() == self.first_number
    }

    /// The rules for the catalog in force, or the last ones that could be compiled.
    #[inline]
    pub(crate) fn rules(&self, entitlements: &Entitlements) -> InForce<'_> {
        let number = entitlements.catalogs();
        if number == self.first_number {
            return InForce::First(&self.first);
        }
        if self.seen.load(Ordering::Acquire) != number {
            self.follow(entitlements);
        }
        InForce::Current(self.current.load())
    }

    /// Compiles the rules of a catalog that was put in force. One request does it; the others go on with the rules that they
    /// find.
    #[cold]
    fn follow(&self, entitlements: &Entitlements) {
        let Ok(mut refused) = self.refused.try_lock() else { return };
        let (number, catalog) = (entitlements.catalogs(), entitlements.catalog());
        if *refused != Some(catalog.hash()) && self.current.load().catalog != catalog.hash() {
            match self.source.compile(&catalog, &self.watch) {
                Ok(rules) => {
                    self.current.store(Arc::new(rules));
                    *refused = None;
                    tracing::info!(
                        catalog = catalog.hash().short(),
                        "entitlement rules follow the new catalog"
                    );
                }
                Err(error) => {
                    *refused = Some(catalog.hash());
                    tracing::error!(
                        catalog = catalog.hash().short(),
                        %error,
                        "the new catalog's routes cannot be used; the rules before it stay in force"
                    );
                }
            }
        }
        self.seen.store(number, Ordering::Release);
    }

    pub(crate) fn coverage(&self, entitlements: &Entitlements) -> Coverage {
        self.watch.report(&self.rules(entitlements))
    }
}
