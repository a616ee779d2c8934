//! The error of the handle: it could not decide. A denial is never an error.

use std::error::Error as StdError;
use std::fmt;

use crate::store::{StoreError, StoreErrorKind};

/// Why the handle could not do what it was asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A dependency cannot be reached. Trying again may help.
    Unavailable,
    /// What is stored cannot be used, or something else went wrong inside.
    Internal,
    /// An idempotency key was used before with other arguments.
    IdempotencyConflict,
    /// The call makes no sense, whatever the state: the caller should change it.
    Invalid,
    /// The id is taken.
    Taken,
}

/// The handle could not do what it was asked to do.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    field: Option<&'static str>,
    message: String,
    source: Option<StoreError>,
}

impl Error {
    pub(crate) fn invalid(field: &'static str, message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Invalid, field: Some(field), message: message.into(), source: None }
    }

    pub(crate) fn conflict() -> Self {
        Self {
            kind: ErrorKind::IdempotencyConflict,
            field: Some("idempotencyKey"),
            message: "the idempotency key was used before with other arguments".into(),
            source: None,
        }
    }

    pub(crate) fn taken(what: &str) -> Self {
        Self { kind: ErrorKind::Taken, field: Some("id"), message: format!("{what} is taken"), source: None }
    }

    /// The kind of failure.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The field of the call that is wrong, for [`ErrorKind::Invalid`].
    #[must_use]
    pub const fn field(&self) -> Option<&'static str> {
        self.field
    }

    /// Whether trying again may help.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self.kind, ErrorKind::Unavailable)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field {
            Some(field) => write!(f, "`{field}`: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}

impl From<StoreError> for Error {
    fn from(source: StoreError) -> Self {
        let kind = match source.kind() {
            StoreErrorKind::Unavailable | StoreErrorKind::Contention => ErrorKind::Unavailable,
            _ => ErrorKind::Internal,
        };
        let message = match kind {
            ErrorKind::Unavailable => "a dependency is unavailable",
            _ => "an internal failure",
        };
        Self { kind, field: None, message: message.into(), source: Some(source) }
    }
}
