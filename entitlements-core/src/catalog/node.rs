//! Nodes: a value of a catalog, whichever syntax it was written in.

use serde_json::Value as Json;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A value with the place in the text at which it starts.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// Bytes from the start of the text; 0 for JSON.
    pub(super) at: usize,
    pub(super) kind: NodeKind,
}

/// What a node holds.
#[derive(Clone, Debug)]
pub(super) enum NodeKind {
    Bool(bool),
    /// A whole number; one beyond 128 bits is held as the nearest that fits.
    Integer(i128),
    Float(f64),
    Text(Box<str>),
    List(Vec<Node>),
    /// The fields in the order of the text.
    Table(Vec<Field>),
    /// Something no catalog uses, with its name.
    Other(&'static str),
}

/// A key and its value.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) at: usize,
    pub(super) key: Box<str>,
    pub(super) value: Node,
}

impl Node {
    pub(super) fn of_document(document: &Spanned<DeTable<'_>>) -> Self {
        Self { at: 0, kind: table(document.get_ref()) }
    }

    fn of_toml(value: &Spanned<DeValue<'_>>) -> Self {
        let kind = match value.get_ref() {
            DeValue::Boolean(bool) => NodeKind::Bool(*bool),
            DeValue::Integer(integer) => NodeKind::Integer(whole(integer.as_str(), integer.radix())),
            DeValue::Float(float) => NodeKind::Float(float.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::String(text) => NodeKind::Text(text.as_ref().into()),
            DeValue::Array(items) => NodeKind::List(items.iter().map(Self::of_toml).collect()),
            DeValue::Table(fields) => table(fields),
            DeValue::Datetime(_) => NodeKind::Other("a date or time"),
        };
        Self { at: value.span().start, kind }
    }

    pub(super) fn of_json(value: &Json) -> Self {
        let kind = match value {
            Json::Bool(bool) => NodeKind::Bool(*bool),
            Json::Number(number) => match number.as_i128() {
                Some(integer) => NodeKind::Integer(integer),
                None => NodeKind::Float(number.as_f64().unwrap_or(f64::NAN)),
            },
            Json::String(text) => NodeKind::Text(text.as_str().into()),
            Json::Array(items) => NodeKind::List(items.iter().map(Self::of_json).collect()),
            Json::Object(fields) => {
                let field = |(key, value): (&String, &Json)| Field {
                    at: 0,
                    key: key.as_str().into(),
                    value: Self::of_json(value),
                };
                NodeKind::Table(fields.iter().map(field).collect())
            }
            Json::Null => NodeKind::Other("null"),
        };
        Self { at: 0, kind }
    }

    /// What the node is, for messages: `an integer`.
    pub(super) const fn description(&self) -> &'static str {
        match self.kind {
            NodeKind::Bool(_) => "a boolean",
            NodeKind::Integer(_) => "an integer",
            NodeKind::Float(_) => "a float",
            NodeKind::Text(_) => "a text",
            NodeKind::List(_) => "a list",
            NodeKind::Table(_) => "a table",
            NodeKind::Other(name) => name,
        }
    }
}

/// The parser sorts keys by name; people read them in the order of the text.
fn table(fields: &DeTable<'_>) -> NodeKind {
    let mut fields: Vec<_> = fields
        .iter()
        .map(|(key, value)| Field {
            at: key.span().start,
            key: key.get_ref().as_ref().into(),
            value: Node::of_toml(value),
        })
        .collect();
    fields.sort_by_key(|field| field.at);
    NodeKind::Table(fields)
}

fn whole(digits: &str, radix: u32) -> i128 {
    let beyond = if digits.starts_with('-') { i128::MIN } else { i128::MAX };
    i128::from_str_radix(digits, radix).unwrap_or(beyond)
}
