//! Names of operations, from which idempotency keys are made.

use std::fmt;

/// Names one operation of the caller, so that repeating it has no second effect.
///
/// Store it before the first request is sent: after a crash the same id finds what was done already. Never make it of
/// values that come again, such as a number of seats. 1 to 200 visible ASCII characters.
///
/// ```
/// use billing_stripe::OperationId;
///
/// let operation = OperationId::new("op_0198c1")?;
/// assert_eq!(operation.step("customer").as_str(), "op_0198c1:customer");
/// # Ok::<(), billing_stripe::client::InvalidOperationId>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OperationId(String);

/// A text is no id of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the id of an operation must have 1 to 200 visible ASCII characters")]
pub struct InvalidOperationId;

impl OperationId {
    /// Takes `text` as the id of an operation.
    ///
    /// # Errors
    ///
    /// When it is empty, longer than 200 bytes or not visible ASCII.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidOperationId> {
        let text = text.into();
        let fits = (1..=200).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        if fits { Ok(Self(text)) } else { Err(InvalidOperationId) }
    }

    /// The id of one request among the several that an operation needs.
    #[must_use]
    pub fn step(&self, name: &'static str) -> Self {
        Self(format!("{}:{name}", self.0))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
