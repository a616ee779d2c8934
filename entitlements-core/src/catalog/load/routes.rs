//! Routes: reads the `[routing]` section and the `[[routes]]`.

use super::super::node::{Node, NodeKind};
use super::super::reader::{Fields, Place, Reader};
use super::super::{Charge, Consume, Feature, FeatureKind, Require, Route, Routing, Unmatched};
use super::features::{Declared, Features};
use super::pattern::Pattern;
use crate::{Action, Amount};

const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"];

/// The rules as they are declared.
#[derive(Debug)]
pub(super) struct RoutingDeclaration {
    unmatched: Option<Unmatched>,
    routes: Vec<RouteDeclaration>,
}

/// A rule whose features are indices yet.
#[derive(Debug)]
struct RouteDeclaration {
    method: Option<&'static str>,
    path: Box<str>,
    require: Option<(usize, Option<Action>)>,
    consume: Option<(usize, Amount, Charge)>,
}

impl RoutingDeclaration {
    pub(super) fn read(reader: &mut Reader, root: Fields<'_>, features: &Features) -> Self {
        let section = root.get("routing");
        let routes = root.get("routes");
        let unmatched = match (section, routes) {
            (None, None) => Some(Unmatched::Allow),
            (None, Some(routes)) => {
                reader.unmet(routes.at, &Place::ROOT.key("routing"), "needs `unmatched`: allow or deny");
                None
            }
            (Some(section), _) => unmatched(reader, section),
        };
        let routes = routes.map(|node| read_routes(reader, node, features)).unwrap_or_default();
        Self { unmatched, routes }
    }

    pub(super) fn build(self, features: &[Feature]) -> Option<Routing> {
        let name = |index: usize| features.get(index).map(Feature::key);
        let routes = self.routes.into_iter().map(|route| {
            let require = match route.require {
                Some((feature, action)) => Some(Require { feature: name(feature)?, action }),
                None => None,
            };
            let consume = match route.consume {
                Some((feature, amount, charge)) => Some(Consume { feature: name(feature)?, amount, charge }),
                None => None,
            };
            Some(Route { method: route.method.map(Into::into), path: route.path.into(), require, consume })
        });
        Some(Routing { unmatched: self.unmatched?, routes: routes.collect::<Option<_>>()? })
    }
}

fn unmatched(reader: &mut Reader, section: &Node) -> Option<Unmatched> {
    let place = Place::ROOT.key("routing");
    let fields = reader.fields(section, &place, &["unmatched"])?;
    let message = "needs `unmatched`: allow or deny";
    let node = reader.need(section.at, &place, fields, "unmatched", message)?;
    let words = [("allow", Unmatched::Allow), ("deny", Unmatched::Deny)];
    reader.word(node, &place.key("unmatched"), "choice", &words)
}

fn read_routes(reader: &mut Reader, node: &Node, features: &Features) -> Vec<RouteDeclaration> {
    let place = Place::ROOT.key("routes");
    let mut seen = Vec::new();
    let mut routes = Vec::new();
    for (index, item) in reader.list(node, &place).into_iter().flatten().enumerate() {
        let place = place.index(index);
        routes.extend(route(reader, item, index, &place, features, &mut seen));
    }
    routes
}

/// The method and pattern of a route that came before, with its index.
type Seen = (Option<&'static str>, Pattern, usize);

fn route(
    reader: &mut Reader,
    node: &Node,
    index: usize,
    place: &Place<'_>,
    features: &Features,
    seen: &mut Vec<Seen>,
) -> Option<RouteDeclaration> {
    let fields = reader.fields(node, place, &["match", "require", "consume"])?;
    let rule = reader.need(node.at, place, fields, "match", "needs `match`");
    let target = rule.and_then(|rule| target(reader, rule, &place.key("match")));
    if let (Some((method, _, pattern)), Some(rule)) = (&target, rule) {
        let rival = seen.iter().find(|(other, rival, _)| other == method && rival.rivals(pattern));
        if let Some((_, _, rival)) = rival {
            let message = format!("matches the same requests as routes[{rival}]");
            reader.unmet(rule.at, &place.key("match"), message);
        }
        seen.push((*method, pattern.clone(), index));
    }
    let require =
        fields.get("require").and_then(|node| require(reader, node, &place.key("require"), features));
    let consume =
        fields.get("consume").and_then(|node| consume(reader, node, &place.key("consume"), features));
    if fields.get("require").is_none() && fields.get("consume").is_none() {
        reader.unmet(node.at, place, "needs `require`, `consume` or both");
    }
    let (method, path, _) = target?;
    Some(RouteDeclaration { method, path, require, consume })
}

/// The method, the path and the pattern of `POST /v1/reports` or `/v1/reports`.
fn target(
    reader: &mut Reader,
    node: &Node,
    place: &Place<'_>,
) -> Option<(Option<&'static str>, Box<str>, Pattern)> {
    let text = reader.text(node, place)?;
    let (word, path) = match text.split_once(' ') {
        Some((word, path)) if !word.starts_with('/') => (Some(word), path),
        _ => (None, text),
    };
    let method = word.map(|word| {
        let method = METHODS.into_iter().find(|method| *method == word);
        if method.is_none() {
            reader.unknown_word(node.at, place, "method", word, &METHODS);
        }
        method
    });
    let pattern = Pattern::parse(path);
    if let Err(message) = pattern {
        reader.wrong(node.at, place, message);
    }
    match method {
        Some(None) => None,
        Some(method) => Some((method, path.into(), pattern.ok()?)),
        None => Some((None, path.into(), pattern.ok()?)),
    }
}

fn require(
    reader: &mut Reader,
    node: &Node,
    place: &Place<'_>,
    features: &Features,
) -> Option<(usize, Option<Action>)> {
    let NodeKind::Table(_) = node.kind else {
        return Some((named(reader, node, place, features)?.0, None));
    };
    let fields = reader.fields(node, place, &["feature", "action"])?;
    let feature = feature_of(reader, node, fields, place, features);
    let action = match fields.get("action") {
        Some(node) => {
            let words = Action::ALL.map(|action| (action.as_str(), Some(action)));
            reader.word(node, &place.key("action"), "action", &words)
        }
        None => Some(None),
    };
    Some((feature?.0, action?))
}

fn consume(
    reader: &mut Reader,
    node: &Node,
    place: &Place<'_>,
    features: &Features,
) -> Option<(usize, Amount, Charge)> {
    let NodeKind::Table(_) = node.kind else {
        let feature = named(reader, node, place, features)?;
        return Some((meter(reader, node.at, place, feature)?, Amount::ONE, Charge::default()));
    };
    let fields = reader.fields(node, place, &["feature", "amount", "charge"])?;
    let feature = feature_of(reader, node, fields, place, features).and_then(|feature| {
        let at = fields.get("feature").map_or(node.at, |node| node.at);
        meter(reader, at, &place.key("feature"), feature)
    });
    let amount = match fields.get("amount") {
        Some(amount) => reader.amount(amount, &place.key("amount"), 1),
        None => Some(Amount::ONE),
    };
    let charge = match fields.get("charge") {
        Some(charge) => {
            let words = [("admit", Charge::Admit), ("success", Charge::Success), ("actual", Charge::Actual)];
            reader.word(charge, &place.key("charge"), "choice", &words)
        }
        None => Some(Charge::default()),
    };
    Some((feature?, amount?, charge?))
}

fn feature_of<'f>(
    reader: &mut Reader,
    node: &Node,
    fields: Fields<'_>,
    place: &Place<'_>,
    features: &'f Features,
) -> Option<(usize, &'f Declared)> {
    let feature = reader.need(node.at, place, fields, "feature", "needs `feature`")?;
    named(reader, feature, &place.key("feature"), features)
}

fn named<'f>(
    reader: &mut Reader,
    node: &Node,
    place: &Place<'_>,
    features: &'f Features,
) -> Option<(usize, &'f Declared)> {
    let name = reader.text(node, place)?;
    features.find(reader, node.at, place, name)
}

fn meter(
    reader: &mut Reader,
    at: usize,
    place: &Place<'_>,
    (index, feature): (usize, &Declared),
) -> Option<usize> {
    match feature.kind? {
        FeatureKind::Meter => Some(index),
        kind => {
            reader.unmet(at, place, format!("`{}` is a {kind}; only meters are consumed", feature.key));
            None
        }
    }
}
