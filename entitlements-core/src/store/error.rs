//! One error for every store.

use std::error::Error;
use std::fmt;

/// What kind of failure a store met; decides what the caller can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// The backend cannot be reached, is too slow or overloaded. Trying again may help.
    Unavailable,
    /// The backend refused the work for now, for example a serialization failure. Trying again may help.
    Contention,
    /// What is stored cannot be read.
    Corrupt,
    /// The schema of the database is not the one this version needs.
    Schema,
    /// The backend cannot be written to.
    ReadOnly,
    /// The store cannot do this.
    Unsupported,
    /// Something else went wrong.
    Internal,
}

impl StoreErrorKind {
    /// Whether trying again may help.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        matches!(self, Self::Unavailable | Self::Contention)
    }
}

impl fmt::Display for StoreErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unavailable => "the store is unavailable",
            Self::Contention => "the store is busy with a conflicting change",
            Self::Corrupt => "what is stored cannot be read",
            Self::Schema => "the database schema does not fit this version",
            Self::ReadOnly => "the store is read-only",
            Self::Unsupported => "the store does not support this",
            Self::Internal => "the store failed",
        })
    }
}

/// A store could not do what it was asked to do.
///
/// `Display` says what was tried and which kind of failure it was, never the backend's own words; those are in
/// [`source`](Error::source).
#[derive(Debug, thiserror::Error)]
#[error("could not {operation}: {kind}")]
pub struct StoreError {
    kind: StoreErrorKind,
    operation: &'static str,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl StoreError {
    /// A failure of `operation`, a verb phrase such as `"load a company"`.
    #[must_use]
    pub const fn new(kind: StoreErrorKind, operation: &'static str) -> Self {
        Self { kind, operation, source: None }
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The kind of failure.
    #[must_use]
    pub const fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    /// What was tried.
    #[must_use]
    pub const fn operation(&self) -> &'static str {
        self.operation
    }

    /// Whether trying again may help.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        self.kind.is_retryable()
    }
}
