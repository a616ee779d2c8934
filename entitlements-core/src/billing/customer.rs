//! Customers: companies, as the billing provider knows them.

use chrono::{DateTime, Utc};

use crate::id::{CompanyId, CustomerId};

/// A company at the billing provider.
///
/// A company has at most one customer that is not deleted; a customer never moves to another company.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Customer {
    /// The provider's id.
    pub id: CustomerId,
    /// The company.
    pub company: CompanyId,
    /// Whether it pays with real money.
    pub livemode: bool,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was deleted at the provider, if it was.
    pub deleted_at: Option<DateTime<Utc>>,
}
