//! Reading the operators of a condition.

use std::fmt::{self, Write as _};

use chrono::{DateTime, Utc};
use ipnet::IpNet;
use semver::VersionReq;
use serde_json::Value;

use super::comparison::Comparison;
use super::condition::Node;
use super::operand::{Operand, Path, Scalar, clip};
use super::parse::{ConditionProblem, MAX_CONDITION_DEPTH, kind};

#[derive(Clone, Copy)]
enum Operator {
    All,
    Any,
    Not,
    Exists,
    Compare(Comparison),
    Cidr,
    Semver,
    TimeBetween,
}

const OPERATORS: [(&str, Operator); 18] = [
    ("all", Operator::All),
    ("any", Operator::Any),
    ("not", Operator::Not),
    ("exists", Operator::Exists),
    ("eq", Operator::Compare(Comparison::Eq)),
    ("ne", Operator::Compare(Comparison::Ne)),
    ("lt", Operator::Compare(Comparison::Lt)),
    ("le", Operator::Compare(Comparison::Le)),
    ("gt", Operator::Compare(Comparison::Gt)),
    ("ge", Operator::Compare(Comparison::Ge)),
    ("in", Operator::Compare(Comparison::In)),
    ("not_in", Operator::Compare(Comparison::NotIn)),
    ("contains", Operator::Compare(Comparison::Contains)),
    ("starts_with", Operator::Compare(Comparison::StartsWith)),
    ("ends_with", Operator::Compare(Comparison::EndsWith)),
    ("cidr", Operator::Cidr),
    ("semver", Operator::Semver),
    ("time_between", Operator::TimeBetween),
];

/// What other condition languages call the same operators.
const OTHER_NAMES: [(&str, &str); 16] = [
    ("and", "all"),
    ("or", "any"),
    ("==", "eq"),
    ("=", "eq"),
    ("!=", "ne"),
    ("neq", "ne"),
    ("<", "lt"),
    ("<=", "le"),
    ("lte", "le"),
    (">", "gt"),
    (">=", "ge"),
    ("gte", "ge"),
    ("nin", "not_in"),
    ("one_of", "in"),
    ("ip", "cidr"),
    ("version", "semver"),
];

/// Reads a condition from JSON and remembers where it is.
pub(super) struct Reader {
    place: String,
    pub(super) problems: Vec<ConditionProblem>,
}

impl Reader {
    pub(super) fn new(place: &str) -> Self {
        Self { place: place.into(), problems: Vec::new() }
    }

    /// Notes a problem at the present place; always `None`, so that the caller can return it.
    fn problem<T>(&mut self, message: impl Into<String>) -> Option<T> {
        self.problems.push(ConditionProblem { place: self.place.clone(), message: message.into() });
        None
    }

    fn within<T>(&mut self, part: fmt::Arguments<'_>, read: impl FnOnce(&mut Self) -> T) -> T {
        let length = self.place.len();
        // Writing to a string cannot fail.
        let _ = self.place.write_fmt(part);
        let result = read(self);
        self.place.truncate(length);
        result
    }

    pub(super) fn condition(&mut self, value: &Value, depth: usize) -> Option<Node> {
        if depth > MAX_CONDITION_DEPTH {
            return self.problem(format!("deeper than {MAX_CONDITION_DEPTH} levels"));
        }
        let Some(object) = value.as_object() else {
            return self.problem(format!("expected an object with one operator, found {}", kind(value)));
        };
        let mut entries = object.iter();
        let (Some((name, argument)), None) = (entries.next(), entries.next()) else {
            return self.problem(format!("expected exactly one operator, found {}", object.len()));
        };
        match OPERATORS.iter().find(|(known, _)| known == name) {
            Some((name, operator)) => {
                self.within(format_args!(".{name}"), |reader| reader.operator(*operator, argument, depth))
            }
            None => self.problem(unknown_operator(name)),
        }
    }

    fn operator(&mut self, operator: Operator, argument: &Value, depth: usize) -> Option<Node> {
        match operator {
            Operator::All => self.parts(argument, depth).map(Node::All),
            Operator::Any => self.parts(argument, depth).map(Node::Any),
            Operator::Not => self.condition(argument, depth + 1).map(|part| Node::Not(part.into())),
            Operator::Exists => self.path(argument).map(Node::Exists),
            Operator::Compare(comparison) => {
                let [path, operand] = self.pair(argument, "a path and an operand")?;
                let path = self.within(format_args!("[0]"), |reader| {
                    reader.path(path).and_then(|path| reader.refuse_now(path, comparison))
                });
                let operand = self
                    .within(format_args!("[1]"), |reader| reader.operand(comparison, path.as_ref(), operand));
                Some(Node::Compare(comparison, path?, operand?))
            }
            Operator::Cidr => {
                let (path, network) = self.checked(argument, "a network such as \"10.0.0.0/8\"", network)?;
                Some(Node::Cidr(path, network))
            }
            Operator::Semver => {
                let (path, requirement) =
                    self.checked(argument, "a requirement such as \">=1.2, <2\"", |text| {
                        VersionReq::parse(text).map_err(|error| format!("no version requirement: {error}"))
                    })?;
                Some(Node::Semver(path, requirement))
            }
            Operator::TimeBetween => {
                let pair = self.pair(argument, "two times of day")?;
                let [start, end] = [0, 1].map(|at| {
                    let value = pair.get(at).copied();
                    self.within(format_args!("[{at}]"), |reader| reader.time_of_day(value))
                });
                let (start, end) = (start?, end?);
                if start == end {
                    return self.problem("the span is empty: its two ends must differ");
                }
                Some(Node::TimeBetween(start, end))
            }
        }
    }

    fn parts(&mut self, value: &Value, depth: usize) -> Option<Box<[Node]>> {
        let Some(parts) = value.as_array() else {
            return self.problem(format!("expected a list of conditions, found {}", kind(value)));
        };
        if parts.is_empty() {
            return self.problem("the list must not be empty");
        }
        let nodes: Vec<_> = parts
            .iter()
            .enumerate()
            .map(|(at, part)| self.within(format_args!("[{at}]"), |reader| reader.condition(part, depth + 1)))
            .collect();
        nodes.into_iter().collect()
    }

    fn pair<'v>(&mut self, value: &'v Value, what: &str) -> Option<[&'v Value; 2]> {
        match value.as_array().map(Vec::as_slice) {
            Some([first, second]) => Some([first, second]),
            Some(list) => self.problem(format!("expected a list of {what}, found {} elements", list.len())),
            None => self.problem(format!("expected a list of {what}, found {}", kind(value))),
        }
    }

    fn path(&mut self, value: &Value) -> Option<Path> {
        let Some(text) = value.as_str() else {
            return self.problem(format!("expected a path, found {}", kind(value)));
        };
        match text.parse::<Path>() {
            Ok(path) => Some(path),
            Err(error) => self.problem(error.to_string()),
        }
    }

    /// `now` is an instant: it has an order, but it is neither text nor list.
    fn refuse_now(&mut self, path: Path, comparison: Comparison) -> Option<Path> {
        if path == Path::Now && !takes_instants(comparison) {
            return self.problem("`now` is an instant, which only eq, ne, lt, le, gt and ge compare");
        }
        Some(path)
    }

    /// A path, and a text that `check` turns into something usable.
    fn checked<T>(
        &mut self,
        argument: &Value,
        what: &str,
        check: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<(Path, T)> {
        let [path, text] = self.pair(argument, &format!("a path and {what}"))?;
        let path = self.within(format_args!("[0]"), |reader| match reader.path(path)? {
            Path::Now => reader.problem("`now` is an instant, which only eq, ne, lt, le, gt and ge compare"),
            path => Some(path),
        });
        let checked = self.within(format_args!("[1]"), |reader| match text.as_str().map(check) {
            Some(Ok(checked)) => Some(checked),
            Some(Err(message)) => reader.problem(message),
            None => reader.problem(format!("expected {what}, found {}", kind(text))),
        });
        Some((path?, checked?))
    }

    /// Without a path (it was wrong) a literal may be of any type that the comparison can use with some path.
    fn operand(&mut self, comparison: Comparison, path: Option<&Path>, value: &Value) -> Option<Operand> {
        if let Some(object) = value.as_object() {
            return match (object.get("ref"), object.len()) {
                (Some(path), 1) => self.within(format_args!(".ref"), |reader| {
                    let path = reader.path(path).and_then(|path| reader.refuse_now(path, comparison));
                    path.map(Operand::Ref)
                }),
                _ => self.problem("an object as an operand must be a reference: {\"ref\": path}"),
            };
        }
        let list = matches!(comparison, Comparison::In | Comparison::NotIn);
        match value.as_array() {
            Some(elements) if list => return self.list(elements).map(Operand::List),
            Some(_) => return self.problem("expected one value, found a list; `in` takes lists"),
            None if list => return self.problem(format!("expected a list, found {}", kind(value))),
            None => {}
        }
        if path == Some(&Path::Now) {
            return match value.as_str().and_then(instant) {
                Some(instant) => Some(Operand::Instant(instant)),
                None => {
                    self.problem(format!("expected an RFC 3339 instant beside `now`, found {}", shown(value)))
                }
            };
        }
        let scalar = self.scalar(value)?;
        match (comparison, &scalar) {
            (Comparison::Lt | Comparison::Le | Comparison::Gt | Comparison::Ge, Scalar::Text(text)) => {
                if path.is_none() && instant(text).is_some() {
                    return Some(Operand::Scalar(scalar));
                }
                self.problem(format!(
                    "expected a number, found {}; instants stand beside `now` only",
                    shown(value)
                ))
            }
            (Comparison::Lt | Comparison::Le | Comparison::Gt | Comparison::Ge, Scalar::Bool(_)) => {
                self.problem("expected a number, found a boolean")
            }
            (
                Comparison::StartsWith | Comparison::EndsWith,
                Scalar::Integer(_) | Scalar::Float(_) | Scalar::Bool(_),
            ) => self.problem(format!("expected text, found {}", scalar.kind())),
            _ => Some(Operand::Scalar(scalar)),
        }
    }

    fn list(&mut self, elements: &[Value]) -> Option<Box<[Scalar]>> {
        if elements.is_empty() {
            return self.problem("the list must not be empty");
        }
        let mut expected = None;
        let mut scalars = Vec::with_capacity(elements.len());
        for (at, element) in elements.iter().enumerate() {
            let scalar = self.within(format_args!("[{at}]"), |reader| {
                let scalar = reader.scalar(element)?;
                let expected = *expected.get_or_insert(scalar.kind());
                if scalar.kind() == expected {
                    return Some(scalar);
                }
                reader.problem(format!("expected {expected} like the first element, found {}", scalar.kind()))
            });
            scalars.push(scalar);
        }
        scalars.into_iter().collect()
    }

    fn scalar(&mut self, value: &Value) -> Option<Scalar> {
        match value {
            Value::String(text) => Some(Scalar::Text(text.as_str().into())),
            Value::Bool(flag) => Some(Scalar::Bool(*flag)),
            Value::Number(number) => {
                if let Some(whole) = number.as_i64() {
                    return Some(Scalar::Integer(whole));
                }
                match number.as_f64() {
                    Some(float) if !number.is_u64() => Some(Scalar::Float(float)),
                    _ => self.problem("the number is too large; whole numbers have 64 bits and a sign"),
                }
            }
            Value::Null => self.problem("null is no operand; `exists` asks whether an attribute is there"),
            Value::Array(_) | Value::Object(_) => {
                self.problem(format!("expected text, a number or a boolean, found {}", kind(value)))
            }
        }
    }

    fn time_of_day(&mut self, value: Option<&Value>) -> Option<u32> {
        match value.and_then(Value::as_str).map(second_of_day) {
            Some(Some(second)) => Some(second),
            _ => self.problem("expected a time of day from \"00:00\" to \"23:59:59\", as HH:MM or HH:MM:SS"),
        }
    }
}

const fn takes_instants(comparison: Comparison) -> bool {
    use Comparison::{Eq, Ge, Gt, Le, Lt, Ne};
    matches!(comparison, Eq | Ne | Lt | Le | Gt | Ge)
}

fn instant(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|instant| instant.to_utc())
}

fn network(text: &str) -> Result<IpNet, String> {
    let network: IpNet =
        text.parse().map_err(|_| format!("`{}` is no network such as 10.0.0.0/8", clip(text)))?;
    if network.trunc() == network {
        return Ok(network);
    }
    Err(format!("`{network}` has host bits set; did you mean `{}`?", network.trunc()))
}

fn second_of_day(text: &str) -> Option<u32> {
    fn two(digits: &[u8]) -> Option<u32> {
        match digits {
            [tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => {
                Some(u32::from(tens - b'0') * 10 + u32::from(ones - b'0'))
            }
            _ => None,
        }
    }
    let (hour, minute, second) = match text.as_bytes() {
        [h1, h2, b':', m1, m2] => (two(&[*h1, *h2])?, two(&[*m1, *m2])?, 0),
        [h1, h2, b':', m1, m2, b':', s1, s2] => (two(&[*h1, *h2])?, two(&[*m1, *m2])?, two(&[*s1, *s2])?),
        _ => return None,
    };
    (hour < 24 && minute < 60 && second < 60).then_some((hour * 60 + minute) * 60 + second)
}

fn unknown_operator(name: &str) -> String {
    let other = OTHER_NAMES.iter().find(|(other, _)| *other == name).map(|(_, known)| *known);
    let alike = || {
        OPERATORS
            .iter()
            .map(|(known, _)| (strsim::jaro_winkler(&name.to_lowercase(), known), *known))
            .filter(|(likeness, _)| *likeness >= 0.75)
            .max_by(|(a, _), (b, _)| a.total_cmp(b))
            .map(|(_, known)| known)
    };
    if let Some(known) = other.or_else(alike) {
        return format!("unknown operator `{}`; did you mean `{known}`?", clip(name));
    }
    let known: Vec<_> = OPERATORS.iter().map(|(known, _)| *known).collect();
    format!("unknown operator `{}`, expected one of {}", clip(name), known.join(", "))
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| kind(value).into(), |text| format!("`{}`", clip(text)))
}
