//! Reading conditions: every problem at once, each with its place.

use std::fmt;

use serde_json::Value;

use super::Condition;
use super::reader::Reader;

/// How many levels a condition may have. A test without parts is one level.
pub const MAX_CONDITION_DEPTH: usize = 32;

/// How many bytes a condition may have as compact JSON.
pub const MAX_CONDITION_BYTES: usize = 16 * 1024;

/// One problem of a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConditionProblem {
    /// Which part of the condition, for example `condition.all[1].eq[0]`.
    pub place: String,
    /// What is wrong, in one line.
    pub message: String,
}

impl fmt::Display for ConditionProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// A condition that cannot be used, with all of its problems.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConditionError {
    problems: Vec<ConditionProblem>,
}

impl ConditionError {
    /// Every problem, in the order of the condition; never empty.
    #[must_use]
    pub fn problems(&self) -> &[ConditionProblem] {
        &self.problems
    }
}

impl fmt::Display for ConditionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let separator = if index > 0 { "; " } else { "" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConditionError {}

impl Condition {
    /// Checks a condition and compiles it.
    ///
    /// # Errors
    ///
    /// Lists every problem with its place. Of a condition that is too large only that is said: its parts are not read.
    ///
    /// ```
    /// use entitlements_core::policy::Condition;
    /// use serde_json::json;
    ///
    /// let error = Condition::parse(&json!({"all": [{"equals": ["plan", "pro"]}, {"lt": ["context.seats", "many"]}]}));
    /// let problems = error.unwrap_err().problems().to_vec();
    /// assert_eq!(problems[0].place, "condition.all[0]");
    /// assert_eq!(problems[0].message, "unknown operator `equals`; did you mean `eq`?");
    /// assert_eq!(problems[1].place, "condition.all[1].lt[1]");
    /// ```
    pub fn parse(value: &Value) -> Result<Self, ConditionError> {
        if is_larger_than(value, MAX_CONDITION_BYTES) {
            let message = format!("larger than {MAX_CONDITION_BYTES} bytes of compact JSON");
            return Err(ConditionError {
                problems: vec![ConditionProblem { place: "condition".into(), message }],
            });
        }
        let mut reader = Reader::new("condition");
        match reader.condition(value, 1) {
            Some(root) if reader.problems.is_empty() => Ok(Self::new(root, value.clone())),
            _ => Err(ConditionError { problems: reader.problems }),
        }
    }
}

/// The type of a JSON value, in messages.
pub(super) const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Whether the compact JSON of `value` has more than `limit` bytes. Stops early, and does not recurse: the value may be
/// arbitrarily large and deep.
fn is_larger_than(value: &Value, limit: usize) -> bool {
    let mut left = limit;
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        let bytes = match value {
            Value::Array(elements) => {
                if elements.len() > limit {
                    return true;
                }
                open.extend(elements);
                elements.len().saturating_sub(1) + 2
            }
            Value::Object(entries) => {
                if entries.len() > limit {
                    return true;
                }
                open.extend(entries.values());
                let names: usize = entries.keys().map(|name| text_bytes(name) + 1).sum();
                names + entries.len().saturating_sub(1) + 2
            }
            Value::String(text) => text_bytes(text),
            Value::Number(number) => number.to_string().len(),
            Value::Bool(true) | Value::Null => 4,
            Value::Bool(false) => 5,
        };
        match left.checked_sub(bytes) {
            Some(rest) => left = rest,
            None => return true,
        }
    }
    false
}

fn text_bytes(text: &str) -> usize {
    let escapes = |c: char| match c {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => 6,
        _ => c.len_utf8(),
    };
    text.chars().map(escapes).sum::<usize>() + 2
}

#[cfg(test)]
mod tests;
