//! Verifying a chain, without its store.

use std::collections::BTreeMap;
use std::fmt;

use super::chain::{PSEUDONYM, hash, persons};
use super::hex::AuditHash;
use super::row::{AuditHead, AuditRow};

/// Why a chain is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChainProblem {
    /// The entry is not there: another one stands in its place.
    Missing,
    /// What the entry says is not what was appended after the one before.
    Changed,
    /// Whom the entry is about is not what was appended.
    PersonsChanged,
    /// The persons were taken out in another way than by an erasure.
    NotErased,
    /// The chain has another hash here than the anchor says.
    NotAnchored,
    /// The chain ends here, and should be longer.
    Short,
}

impl fmt::Display for ChainProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "it is missing",
            Self::Changed => "it is not what was appended",
            Self::PersonsChanged => "whom it is about is not what was appended",
            Self::NotErased => "its persons are gone, but not by an erasure",
            Self::NotAnchored => "its hash is not the one that was kept elsewhere",
            Self::Short => "the chain should go on after it",
        })
    }
}

/// A chain that is broken, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("entry {sequence} of the audit log: {problem}")]
pub struct BrokenChain {
    /// The number of the first entry that is wrong.
    pub sequence: u64,
    /// What is wrong.
    pub problem: ChainProblem,
}

/// What was verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// The last entry; keep it somewhere else, and it is the next anchor.
    pub head: AuditHead,
    /// How many entries there are.
    pub rows: u64,
    /// How many of them are of erased companies.
    pub erased: u64,
    /// How many anchors could not be checked, because what they speak of was removed.
    pub unchecked_anchors: usize,
}

/// Verifies a chain, entry by entry.
///
/// ```
/// use entitlements_core::audit::{AuditHead, Verifier};
///
/// let verifier = Verifier::new(AuditHead::START);
/// // for row in rows { verifier.check(&row)?; }
/// let verified = verifier.finish(AuditHead::START)?;
/// assert_eq!(verified.rows, 0);
/// # Ok::<(), entitlements_core::audit::BrokenChain>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Verifier {
    last: AuditHead,
    anchors: BTreeMap<u64, AuditHash>,
    rows: u64,
    erased: u64,
    unchecked_anchors: usize,
}

impl Verifier {
    /// Begins after `base`.
    pub const fn new(base: AuditHead) -> Self {
        Self { last: base, anchors: BTreeMap::new(), rows: 0, erased: 0, unchecked_anchors: 0 }
    }

    /// Takes a head that was kept somewhere else: the chain must go through it.
    ///
    /// # Errors
    ///
    /// When the chain begins at that place with another hash.
    pub fn with_anchor(mut self, anchor: AuditHead) -> Result<Self, BrokenChain> {
        match anchor.sequence.cmp(&self.last.sequence) {
            std::cmp::Ordering::Less => self.unchecked_anchors += 1,
            std::cmp::Ordering::Equal if anchor.hash != self.last.hash => {
                return Err(broken(anchor.sequence, ChainProblem::NotAnchored));
            }
            std::cmp::Ordering::Equal => {}
            std::cmp::Ordering::Greater => {
                if self.anchors.insert(anchor.sequence, anchor.hash).is_some_and(|other| other != anchor.hash)
                {
                    return Err(broken(anchor.sequence, ChainProblem::NotAnchored));
                }
            }
        }
        Ok(self)
    }

    /// Checks the next entry.
    ///
    /// # Errors
    ///
    /// When the chain is broken at it.
    pub fn check(&mut self, row: &AuditRow) -> Result<(), BrokenChain> {
        let sequence = self.last.sequence.saturating_add(1);
        if row.sequence != sequence {
            return Err(broken(sequence, ChainProblem::Missing));
        }
        if hash(&self.last.hash, row) != row.hash {
            return Err(broken(sequence, ChainProblem::Changed));
        }
        match &row.salt {
            Some(salt) if persons(salt, &row.entry) != row.persons => {
                return Err(broken(sequence, ChainProblem::PersonsChanged));
            }
            Some(_) => {}
            None if is_erased(row) => self.erased += 1,
            None => return Err(broken(sequence, ChainProblem::NotErased)),
        }
        if self.anchors.remove(&sequence).is_some_and(|anchor| anchor != row.hash) {
            return Err(broken(sequence, ChainProblem::NotAnchored));
        }
        self.last = AuditHead { sequence, hash: row.hash };
        self.rows += 1;
        Ok(())
    }

    /// The last entry that was checked.
    #[must_use]
    pub const fn last(&self) -> AuditHead {
        self.last
    }

    /// Says that all entries were checked, and that the store believes that the chain ends at `head`.
    ///
    /// # Errors
    ///
    /// When the chain ends before, or before an anchor, or with another hash.
    pub fn finish(self, head: AuditHead) -> Result<Verified, BrokenChain> {
        if self.last.sequence < head.sequence || !self.anchors.is_empty() {
            return Err(broken(self.last.sequence, ChainProblem::Short));
        }
        if self.last != head {
            return Err(broken(self.last.sequence, ChainProblem::Changed));
        }
        Ok(Verified { head, rows: self.rows, erased: self.erased, unchecked_anchors: self.unchecked_anchors })
    }
}

/// Whether it looks as an erasure leaves it.
fn is_erased(row: &AuditRow) -> bool {
    let entry = &row.entry;
    entry.company.as_str().starts_with(PSEUDONYM)
        && entry.user.is_none()
        && entry.resource.is_none()
        && !(entry.source.is_of_the_company() && entry.source.id.is_some())
}

const fn broken(sequence: u64, problem: ChainProblem) -> BrokenChain {
    BrokenChain { sequence, problem }
}
