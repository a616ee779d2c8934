//! The hashes of the chain.

use sha2::{Digest, Sha256};

use super::entry::{AuditEntry, whole_micros};
use super::hex::{AuditHash, AuditSalt};
use super::row::{AuditHead, AuditRecord, AuditRow};

/// What the name of an erased company in the log begins with.
pub const PSEUDONYM: &str = "erased:";

/// The rows that `records` become after `head`, in their order.
///
/// Stores call it: what they keep must be what was hashed, so instants are cut to whole microseconds here.
#[must_use]
pub fn link(head: AuditHead, records: &[AuditRecord]) -> Vec<AuditRow> {
    let mut before = head;
    records
        .iter()
        .map(|record| {
            let mut entry = record.entry.clone();
            entry.at = whole_micros(entry.at);
            let mut row = AuditRow {
                sequence: before.sequence.saturating_add(1),
                id: record.id.clone(),
                persons: persons(&record.salt, &entry),
                salt: Some(record.salt),
                entry,
                hash: AuditHash::ZERO,
            };
            row.hash = hash(&before.hash, &row);
            before = AuditHead { sequence: row.sequence, hash: row.hash };
            row
        })
        .collect()
}

/// The digest of whom an entry is about.
pub(super) fn persons(salt: &AuditSalt, entry: &AuditEntry) -> AuditHash {
    let grant = if entry.source.is_of_the_company() { entry.source.id.as_deref() } else { None };
    Fields::new("entitlements audit persons 1")
        .bytes(salt.as_bytes())
        .text(entry.company.as_str())
        .optional(entry.user.as_ref().map(AsRef::as_ref))
        .optional(entry.resource.as_deref())
        .optional(grant)
        .digest()
}

/// The hash of a row after one with the hash `before`.
pub(super) fn hash(before: &AuditHash, row: &AuditRow) -> AuditHash {
    let entry = &row.entry;
    let source = if entry.source.is_of_the_company() { None } else { entry.source.id.as_deref() };
    Fields::new("entitlements audit row 1")
        .bytes(before.as_bytes())
        .number(row.sequence)
        .text(&row.id)
        .bytes(&entry.at.timestamp_micros().to_be_bytes())
        .text(&entry.feature)
        .text(entry.action.as_str())
        .number(u64::from(entry.allowed))
        .text(&entry.reason)
        .text(&entry.source.kind)
        .optional(source)
        .text(entry.tier.as_str())
        .number(entry.latency_us)
        .bytes(row.persons.as_bytes())
        .digest()
}

/// A digest of fields that cannot run into each other.
struct Fields(Sha256);

impl Fields {
    fn new(purpose: &str) -> Self {
        Self(Sha256::new()).text(purpose)
    }

    fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
        self.0.update(bytes);
        self
    }

    fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    fn number(self, number: u64) -> Self {
        self.bytes(&number.to_be_bytes())
    }

    fn optional(self, text: Option<&str>) -> Self {
        match text {
            Some(text) => self.number(1).text(text),
            None => self.number(0),
        }
    }

    fn digest(self) -> AuditHash {
        AuditHash::new(self.0.finalize().into())
    }
}
