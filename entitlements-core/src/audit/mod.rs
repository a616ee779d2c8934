//! The audit log: who was allowed what, and who was refused, in an order that cannot be changed unnoticed.
//!
//! [`Audit`] is an [`Observer`](crate::observer::Observer) that takes a note of every decision and hands them to an
//! [`AuditStore`](crate::store::AuditStore) in batches, off the request path. A store links each entry to the one before
//! it; [`Verifier`] finds the first entry at which the links break.
//!
//! # The chain
//!
//! ```text
//! persons = SHA-256(salt, company, user, resource, id of the grant)
//! hash    = SHA-256(hash of the entry before, sequence, id, at, feature, action, outcome, …, persons)
//! ```
//!
//! Every field is led by its length. Who it is about enters only as a digest with a salt of its own. Erasing a company
//! replaces the names, forgets the salt, and keeps the digest: the chain holds, and what was erased cannot be guessed.
//!
//! A chain that lives beside its entries shows what was changed by somebody who cannot compute all of it anew. Whoever can
//! needs to be caught with an [`AuditHead`] that was put somewhere else before: give it to the verifier as an anchor.
//!
//! A log can be written as [lines](AuditLine) of JSON, and verified where its store is not, by [`ExportVerifier`].

mod chain;
mod entry;
mod export;
mod hex;
mod queue;
mod recorder;
mod row;
mod verify;

pub use chain::{PSEUDONYM, link};
pub use entry::{AuditEntry, AuditSource};
pub use export::{AuditLine, BrokenExport, ExportVerifier, InvalidLine};
pub use hex::{AuditHash, AuditSalt, InvalidHex};
pub use recorder::{Audit, AuditConfig, AuditStats};
pub use row::{AuditExport, AuditHead, AuditRecord, AuditRow};
pub use verify::{BrokenChain, ChainProblem, Verified, Verifier};
