//! Compiled rules: checked against the catalog, and ready to be looked up.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use entitlements_core::catalog::{CatalogHash, Consume, FeatureKind, Require, Unmatched};
use entitlements_core::{Action, Catalog, PartedCounter};
use http::{Extensions, Method, Uri};
use rustc_hash::FxHashMap;

use crate::matching::{RequestPath, Spelling};
use crate::pattern::{self, Pattern, has_catch_all, shape};
use crate::read::Origin;
use crate::rule::{Matches, Rule, Track};

/// What is wrong with one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleProblem {
    /// The rule, as it was written.
    pub rule: String,
    /// What is wrong, in one line.
    pub message: String,
}

/// Rules that cannot be used, with all of their problems; `Display` prints one a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleError {
    problems: Vec<RuleProblem>,
}

impl RuleError {
    pub(crate) const fn new(problems: Vec<RuleProblem>) -> Self {
        Self { problems }
    }

    /// Every problem, in the order of the rules; never empty.
    #[must_use]
    pub fn problems(&self) -> &[RuleProblem] {
        &self.problems
    }
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, RuleProblem { rule, message }) in self.problems.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "rule `{rule}`: {message}")?;
        }
        Ok(())
    }
}

impl std::error::Error for RuleError {}

/// A rule that names only what the catalog has.
pub(crate) struct CompiledRule {
    pub(crate) label: String,
    /// `None` for the rule of every request.
    pub(crate) path: Option<String>,
    /// The path alone, to read parameters under the names that this rule gives them.
    params: matchit::Router<()>,
    pub(crate) require: Option<Require>,
    pub(crate) consume: Option<Consume>,
    /// Reads the amount that is consumed from each request.
    pub(crate) units: Option<Origin<i64>>,
    pub(crate) resource: Option<Origin<String>>,
    pub(crate) track: Option<(&'static str, Track)>,
    pub(crate) hits: Arc<PartedCounter>,
}

impl CompiledRule {
    /// Whether the rule asks for anything.
    pub(crate) const fn gates(&self) -> bool {
        self.require.is_some() || self.consume.is_some() || self.track.is_some()
    }

    /// What it requires, if it asks for nothing else and reads nothing else from requests.
    pub(crate) fn requires_only(&self) -> Option<&Require> {
        let alone = self.consume.is_none() && self.track.is_none() && self.resource.is_none();
        self.require.as_ref().filter(|_| alone)
    }

    #[inline]
    pub(crate) fn hit(&self) {
        self.hits.raise();
    }

    pub(crate) fn params<'a>(&'a self, path: &'a str) -> Option<matchit::Params<'a, 'a>> {
        self.params.at(path).ok().map(|found| found.params)
    }

    /// The path of a request in the spelling that has the parameters of the rule; `None` if no spelling has them.
    pub(crate) fn spelling<'a>(&self, path: &RequestPath<'a>) -> Option<Spelling<'a>> {
        let Some(pattern) = self.path.as_deref().filter(|_| self.has_params()) else {
            return Some(Spelling::raw(path.raw));
        };
        if self.params(path.raw).is_some() {
            return Some(Spelling::raw(path.raw));
        }
        let mut spellings = path.spellings(pattern.ends_with('/')).into_iter();
        spellings.find(|spelling| self.params(&spelling.text).is_some())
    }

    fn has_params(&self) -> bool {
        self.path.as_ref().is_some_and(|path| path.contains('{'))
    }

    /// Whether it is for one path alone, so that no rule is narrower.
    fn is_one_path(&self) -> bool {
        self.path.is_some() && !self.has_params()
    }

    /// Whether every path of the other rule is one of this rule, too.
    fn covers(&self, other: &Self) -> bool {
        self.path.is_none() || other.path.as_ref().is_some_and(|path| self.params.at(path).is_ok())
    }

    /// Whether it makes no difference which of the two rules counts.
    fn asks_the_same(&self, other: &Arc<Self>) -> bool {
        let alike = self.requires_only().is_some_and(|require| other.requires_only() == Some(require));
        alike || std::ptr::eq(self, Arc::as_ptr(other))
    }
}

impl fmt::Debug for CompiledRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CompiledRule").field(&self.label).finish()
    }
}

/// A path that two rules are for that ask for different things, one as it came and the other in another spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ambiguous;

/// The rules for some methods.
#[derive(Default)]
struct Tree {
    by_path: matchit::Router<Arc<CompiledRule>>,
    /// What `by_path` finds for the text of a rule's own pattern, which is what a router names that has the same routes;
    /// only where no rule is narrower.
    by_pattern: FxHashMap<String, Arc<CompiledRule>>,
}

/// Every rule of a gate, for one catalog.
pub(crate) struct Rules {
    pub(crate) catalog: CatalogHash,
    pub(crate) unmatched: Unmatched,
    every: Option<Arc<CompiledRule>>,
    /// For each method that a rule names: the rules that apply to it, those of every method included.
    trees: Vec<(Method, Tree)>,
    /// The place of `GET`, the most frequent method, among `trees`.
    get: Option<usize>,
    /// The rules that apply to every other method.
    rest: Tree,
    /// Whether a rule's path ends in a slash.
    slashed: bool,
    pub(crate) all: Vec<Arc<CompiledRule>>,
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules")
            .field("all", &self.all)
            .field("unmatched", &self.unmatched)
            .finish_non_exhaustive()
    }
}

impl Rules {
    /// Checks the rules; `hits` gives each its counter by its label.
    pub(crate) fn compile(
        rules: &[Rule],
        unmatched: Unmatched,
        catalog: &Catalog,
        mut hits: impl FnMut(&str) -> Arc<PartedCounter>,
    ) -> Result<Self, RuleError> {
        let mut problems = Vec::new();
        let mut every = None;
        let mut all = Vec::new();
        let mut by_method: BTreeMap<Option<String>, BTreeMap<String, Arc<CompiledRule>>> = BTreeMap::new();
        for rule in rules {
            let mut report = |message: String| problems.push(RuleProblem { rule: rule.to_string(), message });
            let (pattern, compiled) = match compile_one(rule, catalog, &mut hits) {
                Ok(compiled) => compiled,
                Err(messages) => {
                    messages.into_iter().for_each(report);
                    continue;
                }
            };
            let compiled = Arc::new(compiled);
            all.push(Arc::clone(&compiled));
            let Some(pattern) = pattern else {
                if every.replace(compiled).is_some() {
                    report("there is another rule for every request".into());
                }
                continue;
            };
            let method = pattern.method.map(|method| method.to_string());
            let before = by_method.entry(method).or_default().insert(shape(&pattern.path), compiled);
            if let Some(before) = before {
                report(format!("matches the same requests as rule `{}`", before.label));
            }
        }
        let mut tree = |methods: &[Option<&str>]| build_tree(methods, &by_method, &mut problems);
        let mut methods: BTreeSet<&str> = by_method.keys().flatten().map(String::as_str).collect();
        if methods.contains("GET") {
            methods.extend(["HEAD", "CONNECT"]);
        }
        let mut trees = Vec::new();
        for name in methods {
            let precedence: &[_] = match name {
                "HEAD" => &[Some("HEAD"), Some("GET"), None],
                // What GET opens over HTTP/1, a WebSocket, CONNECT opens over HTTP/2.
                "CONNECT" => &[Some("CONNECT"), Some("GET"), None],
                name => &[Some(name), None],
            };
            let rules = tree(precedence);
            if let Ok(method) = Method::from_bytes(name.as_bytes()) {
                trees.push((method, rules));
            }
        }
        let rest = tree(&[None]);
        if problems.is_empty() {
            let slashed = all.iter().any(|rule| rule.path.as_ref().is_some_and(|path| path.ends_with('/')));
            let get = trees.iter().position(|(named, _)| *named == Method::GET);
            Ok(Self { catalog: catalog.hash(), unmatched, every, trees, get, rest, slashed, all })
        } else {
            problems.dedup();
            Err(RuleError { problems })
        }
    }

    /// The rule of a request. Among rules that apply to the method, the most specific path wins; of one path, the rule
    /// that names the method.
    ///
    /// A route can be wider than a rule, and its handler sees values that a path spells in many ways. So a narrower rule
    /// that another spelling finds counts, where it asks for something: a rule that opens a path opens that path alone.
    ///
    /// # Errors
    ///
    /// [`Ambiguous`] where the rule that was found asks for something else: the handler may be that of either, and by the
    /// wrong one it would be reached too cheaply.
    pub(crate) fn find(
        &self,
        method: &Method,
        path: &RequestPath<'_>,
    ) -> Result<Option<&Arc<CompiledRule>>, Ambiguous> {
        let tree = self.tree(method);
        let at = |text: &str| tree.by_path.at(text).ok().map(|found| found.value);
        let mut found = path.candidates().find_map(at).or(self.every.as_ref());
        if found.is_some_and(|rule| rule.is_one_path()) {
            return Ok(found);
        }
        let narrower = |found: Option<&Arc<CompiledRule>>, text: &str| {
            at(text).filter(|rule| rule.gates() && found.is_none_or(|found| found.covers(rule)))
        };
        if !path.is_undecided() {
            found = narrower(found, path.raw).or(found);
        }
        for spelling in path.spellings(self.slashed) {
            // Where all is closed that has no rule, decoding opens nothing.
            if found.is_none() && spelling.is_decoded && self.unmatched == Unmatched::Deny {
                continue;
            }
            let Some(other) = narrower(found, &spelling.text) else { continue };
            match found {
                Some(rule) if rule.gates() && !rule.asks_the_same(other) => return Err(Ambiguous),
                _ => found = Some(other),
            }
        }
        Ok(found)
    }
}

impl Rules {
    /// The rule of the request with that head.
    pub(crate) fn of(
        &self,
        method: &Method,
        uri: &Uri,
        extensions: &Extensions,
    ) -> Result<Option<&Arc<CompiledRule>>, Ambiguous> {
        match self.by_pattern(method, extensions) {
            Some(rule) => Ok(Some(rule)),
            None => self.find(method, &RequestPath::of_head(uri, extensions)),
        }
    }

    /// The rule of the request, where a router's pattern decides alone: it does, unless it has a catch-all or a rule is
    /// narrower.
    pub(crate) fn by_pattern(&self, method: &Method, extensions: &Extensions) -> Option<&Arc<CompiledRule>> {
        let matched = RequestPath::matched_of(extensions)?;
        self.tree(method).by_pattern.get(matched)
    }

    #[inline]
    fn tree(&self, method: &Method) -> &Tree {
        let at = if *method == Method::GET { self.get } else { self.place_of(method) };
        at.and_then(|at| self.trees.get(at)).map_or(&self.rest, |(_, tree)| tree)
    }

    #[inline(never)]
    fn place_of(&self, method: &Method) -> Option<usize> {
        self.trees.iter().position(|(named, _)| named == method)
    }
}

fn compile_one(
    rule: &Rule,
    catalog: &Catalog,
    hits: &mut impl FnMut(&str) -> Arc<PartedCounter>,
) -> Result<(Option<Pattern>, CompiledRule), Vec<String>> {
    let mut messages = Vec::new();
    let pattern = match &rule.matches {
        Matches::Every => Ok(None),
        Matches::Text(text) => Pattern::parse(text).map(Some),
        Matches::Parts { method, path } => Pattern::new(method.as_deref(), path).map(Some),
    };
    let pattern = pattern.unwrap_or_else(|message| {
        messages.push(message);
        None
    });
    let mut params = matchit::Router::new();
    if let Some(pattern) = &pattern
        && let Err(error) = params.insert(pattern.path.clone(), ())
    {
        messages.push(format!("the path `{}` is malformed: {error}", pattern.path));
    }
    let names = pattern.as_ref().map_or_else(Vec::new, |pattern| pattern::params(&pattern.path));
    let units = rule.consume.as_ref().and_then(|consumed| consumed.units.clone());
    let resource = rule.resource.clone();
    messages.extend(units.as_ref().and_then(|units| units.problem(&names)));
    messages.extend(resource.as_ref().and_then(|resource| resource.problem(&names)));
    let mut feature = |name: &str, meter: bool| match catalog.feature(name) {
        None => {
            messages.push(format!("unknown feature `{name}`"));
            None
        }
        Some(feature) if meter && feature.kind() != FeatureKind::Meter => {
            messages.push(format!("`{name}` is a {}, and only meters are consumed", feature.kind()));
            None
        }
        Some(feature) => Some(feature.key()),
    };
    let require = rule.require.as_ref().and_then(|(name, action): &(String, Option<Action>)| {
        feature(name, false).map(|feature| Require { feature, action: *action })
    });
    let consume = rule.consume.as_ref().and_then(|consumed| {
        feature(&consumed.meter, true).map(|feature| Consume {
            feature,
            amount: consumed.amount,
            charge: consumed.charge,
        })
    });
    let track =
        rule.track.as_ref().and_then(|(meter, units)| Some((feature(meter, true)?, Arc::clone(units))));
    if consume.as_ref().is_some_and(|consume| consume.amount.is_zero()) {
        messages.push("consumes 0 units; the amount must be at least 1".into());
    }
    if !messages.is_empty() {
        return Err(messages);
    }
    let label = pattern.as_ref().map_or_else(|| "*".into(), Pattern::label);
    let hits = hits(&label);
    let path = pattern.as_ref().map(|pattern| pattern.path.clone());
    Ok((pattern, CompiledRule { label, path, params, require, consume, units, resource, track, hits }))
}

/// The rules of several method sets in one tree; of one path, the earlier set wins.
fn build_tree(
    methods: &[Option<&str>],
    by_method: &BTreeMap<Option<String>, BTreeMap<String, Arc<CompiledRule>>>,
    problems: &mut Vec<RuleProblem>,
) -> Tree {
    let mut chosen: BTreeMap<&str, &Arc<CompiledRule>> = BTreeMap::new();
    for method in methods {
        for (shape, rule) in by_method.get(&method.map(String::from)).into_iter().flatten() {
            chosen.entry(shape).or_insert(rule);
        }
    }
    let mut tree = Tree::default();
    for rule in chosen.values() {
        let Some(path) = &rule.path else { continue };
        if let Err(error) = tree.by_path.insert(path.clone(), Arc::clone(rule)) {
            let message = match error {
                matchit::InsertError::Conflict { with } => format!("its path conflicts with `{with}`"),
                other => format!("its path is malformed: {other}"),
            };
            let problem = RuleProblem { rule: rule.label.clone(), message };
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        }
    }
    for pattern in chosen.values().filter_map(|rule| rule.path.as_deref()) {
        let Ok(found) = tree.by_path.at(pattern) else { continue };
        if !has_catch_all(pattern) && !is_narrowed(found.value, chosen.values().copied()) {
            tree.by_pattern.insert(pattern.into(), Arc::clone(found.value));
        }
    }
    tree
}

/// Whether one of the rules is for some of the paths of this one, so that its pattern does not say which of the two counts.
fn is_narrowed<'a>(by: &Arc<CompiledRule>, rules: impl IntoIterator<Item = &'a Arc<CompiledRule>>) -> bool {
    let Some((prefix, _)) = by.path.as_deref().and_then(|path| path.split_once('{')) else { return false };
    let begins = |rule: &CompiledRule| rule.path.as_ref().is_some_and(|path| path.starts_with(prefix));
    rules.into_iter().any(|rule| !Arc::ptr_eq(rule, by) && rule.gates() && begins(rule) && by.covers(rule))
}
