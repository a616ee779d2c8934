//! Operations: what we asked the billing provider for, stored before it is asked, so that a retry is the same request.

use chrono::{DateTime, Utc};

use crate::id::{CompanyId, OperationId};

/// Something we are asking the billing provider for.
///
/// Its id is the idempotency key at the provider: a call that is repeated after a crash has no second effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Names the operation, here and at the provider.
    pub id: OperationId,
    /// Who it is for.
    pub company: CompanyId,
    /// What is done, for example `create_subscription`; at most 255 bytes.
    pub kind: String,
    /// Everything that is asked for, as a text: two operations ask for the same thing if these are equal.
    pub arguments: String,
    /// When it was begun.
    pub begun_at: DateTime<Utc>,
}

/// What became of beginning an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Begun {
    /// It is stored, and open.
    Now,
    /// The company has this open operation of the same kind that asks for the same thing: go on with its id.
    Before(Operation),
    /// The company has this open operation of the same kind that asks for something else.
    Busy(Operation),
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperationResult {
    /// It was done; the id of what came out of it.
    Done(String),
    /// The provider refused it for good; why, without secrets.
    Failed(String),
}
