//! Conditions: a small typed expression, compiled once and evaluated on every request.

use std::sync::Arc;

use chrono::{DateTime, NaiveTime, TimeDelta, Timelike, Utc};
use ipnet::IpNet;
use semver::{Version, VersionReq};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::comparison::Comparison;
use super::operand::{Operand, Path, Scalar};
use super::{Attributes, Truth};

/// When a policy applies to its target: an expression over the attributes of a request.
///
/// It is written as JSON (or the same shape in TOML), one operator per object:
///
/// | operator | holds when |
/// |---|---|
/// | `{"all": [c…]}`, `{"any": [c…]}`, `{"not": c}` | every part, one part, not the part |
/// | `{"exists": path}` | the attribute is there; never unknown |
/// | `{"eq": [path, operand]}`, `ne` | text, number or boolean is the same, is another |
/// | `{"lt": [path, operand]}`, `le`, `gt`, `ge` | numbers, or instants where `now` is one of the two |
/// | `{"in": [path, list]}`, `not_in` | the attribute is, is not, an element of the list |
/// | `{"contains": [path, operand]}` | the list has the element, the text has the part |
/// | `{"starts_with": [path, text]}`, `ends_with` | the text begins, ends, so |
/// | `{"cidr": [path, "10.0.0.0/8"]}` | the address is in the network |
/// | `{"semver": [path, ">=1.2, <2"]}` | the version meets the requirement, as Cargo reads it |
/// | `{"time_between": ["09:00", "17:00"]}` | the time of day is in the span: UTC, end exclusive, may pass midnight |
///
/// A path is `context.a.b`, `subject.company`, `subject.user`, `resource`, `plan` or `now`. An operand is a literal, or
/// `{"ref": path}`. Beside `now` stands an instant: an RFC 3339 text, or a reference to one.
///
/// An attribute that is missing (`null` is missing), or of a type that the operator cannot use, is *unknown*; so is a
/// comparison of two types. Whole numbers and floats are one type. An address written as IPv4 in IPv6 is IPv6.
///
/// ```
/// use entitlements_core::policy::{Attributes, Condition, Truth};
/// use entitlements_core::{Action, Context, Request, Subject, id::CompanyId};
/// use serde_json::json;
///
/// let condition = Condition::parse(&json!({"all": [{"eq": ["context.region", "eu"]}, {"lt": ["context.seats", 25]}]}))?;
/// let acme = Subject::company(CompanyId::new("acme")?);
/// let context = Context::default().with("region", "eu").with("seats", 3);
/// let request = Request::new(&acme, "forecast", Action::View).with_context(&context);
/// let now = "2026-11-07T09:00:00Z".parse()?;
/// assert_eq!(condition.evaluate(&Attributes { request: &request, plan: None, now }), Truth::True);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Condition(Arc<Compiled>);

#[derive(Debug, PartialEq)]
struct Compiled {
    root: Node,
    source: Value,
}

/// One operator with its arguments.
#[derive(Debug, PartialEq)]
pub(super) enum Node {
    All(Box<[Node]>),
    Any(Box<[Node]>),
    Not(Box<Node>),
    Exists(Path),
    Compare(Comparison, Path, Operand),
    Cidr(Path, IpNet),
    Semver(Path, VersionReq),
    /// Seconds of the day; the end is exclusive and may lie before the start.
    TimeBetween(u32, u32),
}

impl Condition {
    pub(super) fn new(root: Node, source: Value) -> Self {
        Self(Arc::new(Compiled { root, source }))
    }

    /// Whether the condition holds. Total: there are no errors, only *unknown*.
    #[must_use]
    pub fn evaluate(&self, attributes: &Attributes<'_>) -> Truth {
        self.0.root.evaluate(attributes)
    }

    /// The earliest instant after `now` at which the truth could change while all other attributes stay as they are;
    /// `None` if it never can.
    #[must_use]
    pub fn next_flip(&self, attributes: &Attributes<'_>) -> Option<DateTime<Utc>> {
        self.0.root.survey(attributes).1
    }

    pub(super) fn survey(&self, attributes: &Attributes<'_>) -> (Truth, Option<DateTime<Utc>>) {
        self.0.root.survey(attributes)
    }

    /// Whether the condition asks what time it is.
    #[must_use]
    pub fn is_time_dependent(&self) -> bool {
        self.0.root.is_time_dependent()
    }

    /// The attributes the condition reads, each once, in a fixed order.
    #[must_use]
    pub fn paths(&self) -> Vec<&Path> {
        let mut paths = Vec::new();
        self.0.root.collect(&mut paths);
        paths.sort_unstable();
        paths.dedup();
        paths
    }

    /// The first, smallest part that keeps the condition from being true; `None` if it is true.
    #[must_use]
    pub fn unmet(&self, attributes: &Attributes<'_>) -> Option<&Value> {
        let (mut node, mut source) = (&self.0.root, &self.0.source);
        if node.evaluate(attributes) == Truth::True {
            return None;
        }
        while let Node::All(parts) = node {
            let sources = source.get("all").and_then(Value::as_array)?;
            (node, source) =
                parts.iter().zip(sources).find(|(part, _)| part.evaluate(attributes) != Truth::True)?;
        }
        Some(source)
    }

    /// The condition as it was written.
    #[must_use]
    pub fn to_json(&self) -> &Value {
        &self.0.source
    }

    /// What must hold.
    fn parts(&self) -> &[Node] {
        match &self.0.root {
            Node::All(parts) => parts,
            root => std::slice::from_ref(root),
        }
    }

    /// Tests that the condition implies: it cannot be true, and is not even unknown when the attribute is a text, unless
    /// the text at the path is one of these. Each with its place among the parts.
    pub(super) fn required_texts(&self) -> impl Iterator<Item = (usize, &Path, Vec<&str>)> {
        self.parts().iter().enumerate().filter_map(|(at, part)| {
            let (path, texts) = part.required_texts()?;
            Some((at, path, texts))
        })
    }

    /// The comparisons of an attribute with a literal that the condition consists of, all of which must hold; `None` if
    /// there is anything else in it.
    pub(super) fn comparisons(&self) -> Option<Vec<(Comparison, &Path, &Scalar)>> {
        let comparison = |part| match part {
            &Node::Compare(comparison, ref path, Operand::Scalar(ref scalar)) => {
                Some((comparison, path, scalar))
            }
            _ => None,
        };
        self.parts().iter().map(comparison).collect()
    }

    /// Like [`evaluate`](Self::evaluate), when the required test at `proved` is known to hold.
    pub(super) fn evaluate_given(&self, proved: usize, attributes: &Attributes<'_>) -> Truth {
        match &self.0.root {
            Node::All(parts) => {
                let others = parts.iter().enumerate().filter(|(at, _)| *at != proved);
                conjunction(others.map(|(_, part)| part), attributes)
            }
            _ => Truth::True,
        }
    }
}

impl Serialize for Condition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.source.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Condition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&Value::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl Node {
    fn evaluate(&self, attributes: &Attributes<'_>) -> Truth {
        match self {
            Self::All(parts) => conjunction(parts.iter(), attributes),
            Self::Any(parts) => {
                let mut truth = Truth::False;
                for part in parts {
                    truth = truth.or(part.evaluate(attributes));
                    if truth == Truth::True {
                        break;
                    }
                }
                truth
            }
            Self::Not(part) => !part.evaluate(attributes),
            Self::Exists(path) => path.find(attributes).is_some().into(),
            Self::Compare(comparison, path, operand) => match path.find(attributes) {
                Some(found) => comparison.evaluate(found, operand, attributes),
                None => Truth::Unknown,
            },
            Self::Cidr(path, network) => path
                .text(attributes)
                .and_then(|text| text.parse().ok())
                .map(|address: std::net::IpAddr| network.contains(&address))
                .into(),
            Self::Semver(path, requirement) => path
                .text(attributes)
                .and_then(|text| Version::parse(text).ok())
                .map(|version| requirement.matches(&version))
                .into(),
            Self::TimeBetween(start, end) => {
                let second = attributes.now.num_seconds_from_midnight();
                let (started, ended) = (*start <= second, *end <= second);
                (if start < end { started && !ended } else { started || !ended }).into()
            }
        }
    }

    /// The truth, and the earliest instant after `now` at which it could change. Without one the truth is settled.
    fn survey(&self, attributes: &Attributes<'_>) -> (Truth, Option<DateTime<Utc>>) {
        match self {
            Self::All(parts) => survey_parts(parts, Truth::False, Truth::and, attributes),
            Self::Any(parts) => survey_parts(parts, Truth::True, Truth::or, attributes),
            Self::Not(part) => {
                let (truth, flip) = part.survey(attributes);
                (!truth, flip)
            }
            leaf => (leaf.evaluate(attributes), leaf.leaf_flip(attributes)),
        }
    }

    fn leaf_flip(&self, attributes: &Attributes<'_>) -> Option<DateTime<Utc>> {
        match self {
            Self::TimeBetween(start, end) => {
                let [start, end] = [*start, *end].map(|second| next_second_of_day(second, attributes.now));
                start.into_iter().chain(end).min()
            }
            Self::Compare(_, Path::Now, Operand::Ref(Path::Now)) => None,
            Self::Compare(comparison, Path::Now, operand) => {
                comparison.flip_of_now(operand.find(attributes)?.instant()?, attributes.now)
            }
            Self::Compare(comparison, path, Operand::Ref(Path::Now)) => {
                comparison.mirrored().flip_of_now(path.find(attributes)?.instant()?, attributes.now)
            }
            _ => None,
        }
    }

    fn parts(&self) -> &[Self] {
        match self {
            Self::All(parts) | Self::Any(parts) => parts,
            Self::Not(part) => std::slice::from_ref(part),
            _ => &[],
        }
    }

    fn paths(&self) -> [Option<&Path>; 2] {
        match self {
            Self::Compare(_, path, Operand::Ref(other)) => [Some(path), Some(other)],
            Self::Exists(path) | Self::Compare(_, path, _) | Self::Cidr(path, _) | Self::Semver(path, _) => {
                [Some(path), None]
            }
            Self::All(_) | Self::Any(_) | Self::Not(_) | Self::TimeBetween(..) => [None, None],
        }
    }

    fn is_time_dependent(&self) -> bool {
        match self {
            Self::TimeBetween(..)
            | Self::Compare(_, Path::Now, _)
            | Self::Compare(_, _, Operand::Ref(Path::Now)) => true,
            _ => self.parts().iter().any(Self::is_time_dependent),
        }
    }

    fn collect<'s>(&'s self, paths: &mut Vec<&'s Path>) {
        paths.extend(self.paths().into_iter().flatten());
        self.parts().iter().for_each(|part| part.collect(paths));
    }

    fn required_texts(&self) -> Option<(&Path, Vec<&str>)> {
        fn text(scalar: &Scalar) -> Option<&str> {
            scalar.found().text()
        }
        match self {
            Self::Compare(Comparison::Eq, path, Operand::Scalar(scalar)) => Some((path, vec![text(scalar)?])),
            Self::Compare(Comparison::In, path, Operand::List(list)) => {
                Some((path, list.iter().map(text).collect::<Option<_>>()?))
            }
            _ => None,
        }
    }
}

fn conjunction<'n>(parts: impl Iterator<Item = &'n Node>, attributes: &Attributes<'_>) -> Truth {
    let mut truth = Truth::True;
    for part in parts {
        truth = truth.and(part.evaluate(attributes));
        if truth == Truth::False {
            break;
        }
    }
    truth
}

/// Surveys the parts of `all` and `any`; one part that is settled at `decisive` settles the whole.
fn survey_parts(
    parts: &[Node],
    decisive: Truth,
    join: fn(Truth, Truth) -> Truth,
    attributes: &Attributes<'_>,
) -> (Truth, Option<DateTime<Utc>>) {
    let (mut truth, mut earliest) = (!decisive, None);
    for part in parts {
        let (part, flip) = part.survey(attributes);
        if part == decisive && flip.is_none() {
            return (decisive, None);
        }
        truth = join(truth, part);
        earliest = earliest.into_iter().chain(flip).min();
    }
    (truth, earliest)
}

/// The first instant after `now` at which the day is `second` seconds old.
fn next_second_of_day(second: u32, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let today =
        now.date_naive().and_time(NaiveTime::from_num_seconds_from_midnight_opt(second, 0)?).and_utc();
    if today > now { Some(today) } else { today.checked_add_signed(TimeDelta::days(1)) }
}

#[cfg(test)]
mod tests;
