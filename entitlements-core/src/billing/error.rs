//! The error of billing.

use std::error::Error;
use std::fmt;

use crate::store::{StoreError, StoreErrorKind};

/// Why billing could not do what it was asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BillingErrorKind {
    /// The call makes no sense, whatever the state.
    Invalid,
    /// There is no such subscription or customer.
    NotFound,
    /// It contradicts what there is, for example a subscription that is not over.
    Conflict,
    /// The payment was declined.
    Declined,
    /// The provider, or the store, cannot be reached or asks to wait. Trying again may help.
    Unavailable,
    /// The provider does not accept our credentials.
    Unauthorized,
    /// Something else went wrong.
    Internal,
}

/// Billing could not do what it was asked to do.
///
/// `Display` is safe to show to the caller; the provider's own words are in [`source`](Error::source).
#[derive(Debug)]
pub struct BillingError {
    kind: BillingErrorKind,
    field: Option<&'static str>,
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl BillingError {
    /// A failure, with what to tell the caller.
    #[must_use]
    pub fn new(kind: BillingErrorKind, message: impl Into<String>) -> Self {
        Self { kind, field: None, message: message.into(), source: None }
    }

    /// Names the field of the call that is wrong.
    #[must_use]
    pub const fn with_field(mut self, field: &'static str) -> Self {
        self.field = Some(field);
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The kind of failure.
    #[must_use]
    pub const fn kind(&self) -> BillingErrorKind {
        self.kind
    }

    /// The field of the call that is wrong, if one is.
    #[must_use]
    pub const fn field(&self) -> Option<&'static str> {
        self.field
    }

    /// Whether trying again may help.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self.kind, BillingErrorKind::Unavailable)
    }
}

impl fmt::Display for BillingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.field {
            Some(field) => write!(f, "`{field}`: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl Error for BillingError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| &**source as _)
    }
}

impl From<StoreError> for BillingError {
    fn from(source: StoreError) -> Self {
        match source.kind() {
            StoreErrorKind::Unavailable | StoreErrorKind::Contention => {
                Self::new(BillingErrorKind::Unavailable, "a dependency is unavailable")
            }
            _ => Self::new(BillingErrorKind::Internal, "an internal failure"),
        }
        .with_source(source)
    }
}
