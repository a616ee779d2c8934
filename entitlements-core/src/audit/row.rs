//! Entries on their way into the log, and in it.

use serde::{Deserialize, Serialize};

use super::entry::AuditEntry;
use super::hex::{AuditHash, AuditSalt};

/// An entry that is to be appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditRecord {
    /// Names the entry, so that appending it again has no second effect.
    pub id: String,
    /// Keeps the digest of its persons from being guessed; random.
    pub salt: AuditSalt,
    /// What it says.
    pub entry: AuditEntry,
}

impl AuditRecord {
    /// Whether every backend can keep it: it has an id, no text of it holds a NUL, and its latency is at most
    /// 2<sup>63</sup> − 1.
    #[must_use]
    pub fn is_well_formed(&self) -> bool {
        let AuditEntry { feature, resource, reason, source, latency_us, .. } = &self.entry;
        let texts = [self.id.as_str(), feature, reason, &source.kind].into_iter();
        let texts = texts.chain(resource.as_deref()).chain(source.id.as_deref());
        !self.id.is_empty()
            && i64::try_from(*latency_us).is_ok()
            && !texts.into_iter().any(|t| t.contains('\0'))
    }
}

/// An entry of the log, with its place in the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditRow {
    /// Its number: one more than that of the entry before.
    pub sequence: u64,
    /// Names the entry.
    pub id: String,
    /// What it says.
    #[serde(flatten)]
    pub entry: AuditEntry,
    /// The salt of the digest of its persons; `None` once the company was erased.
    pub salt: Option<AuditSalt>,
    /// The digest of its persons.
    pub persons: AuditHash,
    /// Its hash, over all of this and the hash before.
    pub hash: AuditHash,
}

/// A place in the chain: after the entry of that number, which has that hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditHead {
    /// The number of the last entry; 0 before the first.
    pub sequence: u64,
    /// Its hash.
    pub hash: AuditHash,
}

impl AuditHead {
    /// Before the first entry.
    pub const START: Self = Self { sequence: 0, hash: AuditHash::ZERO };
}

/// A part of the chain, as one consistent view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditExport {
    /// Where the chain begins: after the last entry that was removed because it was old.
    pub base: AuditHead,
    /// Where it ends.
    pub head: AuditHead,
    /// The entries that were asked for, in their order.
    pub rows: Vec<AuditRow>,
}
