//! Parameters on the wire: nested values under names with brackets, `items[0][price]=price_1`.

use serde::Serialize;
use serde_json::Value;

/// Writes `params`, an object, as the body of a form or as a query.
///
/// Lists are numbered, `null` is left out (Stripe clears a field by an empty text), booleans are `true` and `false`.
///
/// # Errors
///
/// When `params` cannot be written as JSON, or is no object.
///
/// ```
/// use serde_json::json;
///
/// let params = json!({"items": [{"price": "price_1", "quantity": 5}], "metadata": {"company": "acme & co"}, "trial_end": null});
/// assert_eq!(
///     billing_stripe::form::encode(&params)?,
///     "items[0][price]=price_1&items[0][quantity]=5&metadata[company]=acme%20%26%20co",
/// );
/// # Ok::<(), serde_json::Error>(())
/// ```
pub fn encode(params: &impl Serialize) -> Result<String, serde_json::Error> {
    let Value::Object(fields) = serde_json::to_value(params)? else {
        return Err(serde::ser::Error::custom("parameters must be an object"));
    };
    let mut form = String::new();
    for (name, value) in &fields {
        let mut name = escaped(name);
        write(&mut form, &mut name, value);
    }
    Ok(form)
}

fn write(form: &mut String, name: &mut String, value: &Value) {
    let mut leaf = |text: &str| {
        if !form.is_empty() {
            form.push('&');
        }
        form.push_str(name);
        form.push('=');
        form.push_str(text);
    };
    match value {
        Value::Null => {}
        Value::Bool(value) => leaf(if *value { "true" } else { "false" }),
        Value::Number(number) => leaf(&escaped(&number.to_string())),
        Value::String(text) => leaf(&escaped(text)),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                within(form, name, &index.to_string(), item);
            }
        }
        Value::Object(fields) => {
            for (key, item) in fields {
                within(form, name, &escaped(key), item);
            }
        }
    }
}

fn within(form: &mut String, name: &mut String, key: &str, value: &Value) {
    let length = name.len();
    name.push('[');
    name.push_str(key);
    name.push(']');
    write(form, name, value);
    name.truncate(length);
}

const HEX: &[u8; 16] = b"0123456789ABCDEF";

/// The text with every byte but letters, digits, `-`, `.`, `_` and `~` as `%XX`.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push('%');
            escaped.extend(HEX.get(usize::from(byte >> 4)).map(|digit| char::from(*digit)));
            escaped.extend(HEX.get(usize::from(byte & 15)).map(|digit| char::from(*digit)));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::encode;

    #[test]
    fn lists_are_numbered_and_objects_named() {
        let params = json!({"a": [{"b": [1, true]}, "x"], "expand": ["data.price"]});
        assert_eq!(encode(&params).unwrap(), "a[0][b][0]=1&a[0][b][1]=true&a[1]=x&expand[0]=data.price");
    }

    #[test]
    fn an_empty_text_clears_and_null_is_left_out() {
        assert_eq!(encode(&json!({"cancel_at": "", "b": null})).unwrap(), "cancel_at=");
    }

    #[test]
    fn a_value_cannot_become_another_parameter() {
        let params = json!({"name": "a&admin=true", "metadata": {"k]=1&x[": "ü"}});
        assert_eq!(encode(&params).unwrap(), "metadata[k%5D%3D1%26x%5B]=%C3%BC&name=a%26admin%3Dtrue");
    }

    #[test]
    fn only_an_object_has_parameters() {
        assert!(encode(&json!([1])).is_err());
    }
}
