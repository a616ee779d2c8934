//! Values: what an entry gives of a `value` feature.

use super::super::Value;
use super::super::node::{Node, NodeKind};
use super::super::reader::{Place, Reader};

/// Reads a value of the type of `default`.
pub(in crate::catalog) fn value(
    reader: &mut Reader,
    node: &Node,
    place: &Place<'_>,
    default: Option<&Value>,
) -> Option<Value> {
    let value = scalar(reader, node, place)?;
    match (default, value) {
        (None, value)
        | (Some(Value::Bool(_)), value @ Value::Bool(_))
        | (Some(Value::Integer(_)), value @ Value::Integer(_))
        | (Some(Value::Float(_)), value @ Value::Float(_))
        | (Some(Value::Text(_)), value @ Value::Text(_)) => Some(value),
        (Some(Value::Float(_)), Value::Integer(integer)) => {
            let float = exact_float(integer);
            if float.is_none() {
                reader.wrong(node.at, place, "has too many digits for a float");
            }
            float.map(Value::Float)
        }
        (Some(default), _) => {
            let wanted = match default {
                Value::Bool(_) => "a boolean",
                Value::Integer(_) => "an integer",
                Value::Float(_) => "a float",
                Value::Text(_) => "a text",
            };
            reader.expected(node, place, &format!("{wanted} like the default"));
            None
        }
    }
}

/// The float of the same size, if there is one.
fn exact_float(integer: i64) -> Option<f64> {
    const EXACT: i64 = 1 << f64::MANTISSA_DIGITS;
    #[expect(clippy::cast_precision_loss, reason = "integers up to 2^53 have an exact float")]
    (-EXACT..=EXACT).contains(&integer).then_some(integer as f64)
}

fn scalar(reader: &mut Reader, node: &Node, place: &Place<'_>) -> Option<Value> {
    match &node.kind {
        NodeKind::Bool(bool) => Some(Value::Bool(*bool)),
        NodeKind::Text(text) => Some(Value::Text(text.as_ref().into())),
        NodeKind::Float(float) if float.is_finite() => Some(Value::Float(*float)),
        NodeKind::Float(_) => {
            reader.wrong(node.at, place, "must be a finite number");
            None
        }
        NodeKind::Integer(integer) => {
            let integer = i64::try_from(*integer).ok();
            if integer.is_none() {
                reader.wrong(node.at, place, format!("must be between {} and {}", i64::MIN, i64::MAX));
            }
            integer.map(Value::Integer)
        }
        _ => {
            reader.expected(node, place, "a boolean, a number or a text");
            None
        }
    }
}
