//! Paths to attributes, and the operands that attributes are compared with.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};

use super::attribute::{Found, Number};
use super::{Attributes, Truth};

/// Which attribute a condition reads.
///
/// ```
/// use entitlements_core::policy::Path;
///
/// let path: Path = "context.device.trusted".parse()?;
/// assert_eq!(path.to_string(), "context.device.trusted");
/// assert!("contxt.region".parse::<Path>().is_err());
/// # Ok::<(), entitlements_core::policy::InvalidPath>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Path {
    /// `context.a.b`: an attribute of the request by its name, and the names inside of it.
    Context(Box<str>, Box<[Box<str>]>),
    /// `subject.company`: the company's id.
    Company,
    /// `subject.user`: the user's id, if there is one.
    User,
    /// `resource`: the resource, if the request names one.
    Resource,
    /// `plan`: the key of the plan in effect, if there is one.
    Plan,
    /// `now`: the instant of the question.
    Now,
}

/// A text that is no [`Path`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidPath(String);

const ROOTS: [(&str, Path); 5] = [
    ("subject.company", Path::Company),
    ("subject.user", Path::User),
    ("resource", Path::Resource),
    ("plan", Path::Plan),
    ("now", Path::Now),
];

impl Path {
    pub(super) fn find<'a>(&self, attributes: &Attributes<'a>) -> Option<Found<'a>> {
        let request = attributes.request;
        match self {
            Self::Context(name, inner) => {
                let names = std::iter::once(&**name).chain(inner.iter().map(|name| &**name));
                Found::of(request.context.get(names)?)
            }
            Self::Company => Some(Found::Text(request.subject.company.as_str())),
            Self::User => request.subject.user.as_ref().map(|user| Found::Text(user.as_str())),
            Self::Resource => request.resource.map(Found::Text),
            Self::Plan => attributes.plan.map(Found::Text),
            Self::Now => Some(Found::Instant(attributes.now)),
        }
    }

    /// The attribute, if it is there and is a text.
    pub(super) fn text<'a>(&self, attributes: &Attributes<'a>) -> Option<&'a str> {
        self.find(attributes)?.text()
    }
}

impl FromStr for Path {
    type Err = InvalidPath;

    fn from_str(text: &str) -> Result<Self, InvalidPath> {
        if let Some((_, path)) = ROOTS.iter().find(|(root, _)| *root == text) {
            return Ok(path.clone());
        }
        if text == "context" {
            return Err(InvalidPath(
                "`context` needs the name of an attribute, as in `context.region`".into(),
            ));
        }
        let Some(names) = text.strip_prefix("context.") else {
            return Err(InvalidPath(unknown(text)));
        };
        if names.split('.').any(str::is_empty) {
            return Err(InvalidPath(format!("`{}` has an empty name between its dots", clip(text))));
        }
        let (name, inner) = names.split_once('.').map_or((names, None), |(name, inner)| (name, Some(inner)));
        Ok(Self::Context(
            name.into(),
            inner.into_iter().flat_map(|inner| inner.split('.')).map(Box::from).collect(),
        ))
    }
}

fn unknown(text: &str) -> String {
    let root = text.split('.').next().unwrap_or(text);
    let rest = text.strip_prefix(root).unwrap_or_default();
    let context = (!rest.is_empty()).then(|| ("context", format!("context{rest}")));
    let roots = ROOTS.iter().map(|(path, _)| (*path, (*path).to_owned()));
    let meant = context
        .into_iter()
        .map(|(word, path)| (strsim::jaro_winkler(root, word), path))
        .chain(roots.map(|(word, path)| (strsim::jaro_winkler(text, word), path)))
        .filter(|(likeness, _)| *likeness >= 0.8)
        .max_by(|(a, _), (b, _)| a.total_cmp(b));
    let expected = "expected `context.…`, `subject.company`, `subject.user`, `resource`, `plan` or `now`";
    match meant {
        Some((_, path)) => format!("unknown path `{}`; did you mean `{}`?", clip(text), clip(&path)),
        None => format!("unknown path `{}`, {expected}", clip(text)),
    }
}

/// The text as it is quoted in a message: bounded.
pub(super) fn clip(text: &str) -> String {
    const LONGEST: usize = 120;
    match text.char_indices().nth(LONGEST) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Context(name, inner) => {
                write!(f, "context.{name}")?;
                inner.iter().try_for_each(|name| write!(f, ".{name}"))
            }
            Self::Company => f.write_str("subject.company"),
            Self::User => f.write_str("subject.user"),
            Self::Resource => f.write_str("resource"),
            Self::Plan => f.write_str("plan"),
            Self::Now => f.write_str("now"),
        }
    }
}

/// A literal: one text, number or boolean.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scalar {
    Text(Box<str>),
    Integer(i64),
    Float(f64),
    Bool(bool),
}

impl Scalar {
    pub(super) fn found(&self) -> Found<'_> {
        match self {
            Self::Text(text) => Found::Text(text),
            Self::Integer(whole) => Found::Number(Number::Whole((*whole).into())),
            Self::Float(float) => Found::Number(Number::Float(*float)),
            Self::Bool(flag) => Found::Bool(*flag),
        }
    }

    /// The type's name in messages. Integers and floats are one type.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "text",
            Self::Integer(_) | Self::Float(_) => "a number",
            Self::Bool(_) => "a boolean",
        }
    }
}

/// What an attribute is compared with.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Operand {
    Scalar(Scalar),
    /// Beside `now` only.
    Instant(DateTime<Utc>),
    /// For `in` and `not_in`: scalars of one type, at least one.
    List(Box<[Scalar]>),
    Ref(Path),
}

impl Operand {
    /// The operand as one value; nothing for a literal list, and for an attribute that is missing.
    pub(super) fn find<'s>(&'s self, attributes: &Attributes<'s>) -> Option<Found<'s>> {
        match self {
            Self::Scalar(scalar) => Some(scalar.found()),
            Self::Instant(instant) => Some(Found::Instant(*instant)),
            Self::Ref(path) => path.find(attributes),
            Self::List(_) => None,
        }
    }

    /// Whether `value`, a scalar, is an element of the operand, a list.
    pub(super) fn lists(&self, value: Found<'_>, attributes: &Attributes<'_>) -> Truth {
        match self {
            Self::List(list) => {
                let mut truth = Truth::False;
                for element in list {
                    truth = truth.or(value.equals(element.found()));
                    if truth == Truth::True {
                        break;
                    }
                }
                truth
            }
            Self::Ref(path) => match path.find(attributes).and_then(Found::list) {
                Some(list) => value.is_among(list),
                None => Truth::Unknown,
            },
            Self::Scalar(_) | Self::Instant(_) => Truth::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_survives_its_text() {
        for text in [
            "context.a",
            "context.a.b.c",
            "subject.company",
            "subject.user",
            "resource",
            "plan",
            "now",
            "context. ",
        ] {
            assert_eq!(text.parse::<Path>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_wrong_path_is_refused_with_what_could_be_meant() {
        for (text, message) in [
            ("", "unknown path ``, expected `context.…`"),
            ("context", "`context` needs the name of an attribute"),
            ("context.", "`context.` has an empty name"),
            ("context..a", "`context..a` has an empty name"),
            ("contxt.region", "unknown path `contxt.region`; did you mean `context.region`?"),
            ("Context.a", "unknown path `Context.a`; did you mean `context.a`?"),
            ("subject.usr", "unknown path `subject.usr`; did you mean `subject.user`?"),
            ("subject", "did you mean `subject."),
            ("resources", "did you mean `resource`?"),
            ("now.hour", "did you mean `now`?"),
            ("zzz", "expected `context.…`, `subject.company`"),
        ] {
            let error = text.parse::<Path>().unwrap_err().to_string();
            assert!(error.contains(message), "{text}: {error}");
        }
    }

    #[test]
    fn a_long_text_is_clipped_in_messages() {
        let error = "x".repeat(5000).parse::<Path>().unwrap_err().to_string();
        assert!(error.len() < 300, "{error}");
    }
}
