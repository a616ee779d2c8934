//! The log as lines of JSON, which can be kept and verified anywhere.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::entry::{AuditEntry, AuditSource};
use super::row::{AuditHead, AuditRow};
use super::verify::{BrokenChain, Verified, Verifier};

/// A line of an exported log. The first one says where the chain begins and ends; the others are its entries, in their order.
///
/// ```
/// use entitlements_core::audit::{AuditHead, AuditLine};
///
/// let ends = AuditLine::Ends { base: AuditHead::START, head: AuditHead::START };
/// let zeros = "0".repeat(64);
/// assert_eq!(
///     ends.to_string(),
///     format!(r#"{{"base":{{"hash":"{zeros}","sequence":0}},"head":{{"hash":"{zeros}","sequence":0}}}}"#),
/// );
/// assert_eq!(ends.to_string().parse(), Ok(ends));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuditLine {
    /// Where the chain begins and ends.
    Ends {
        /// After the last entry that was removed because it was old.
        base: AuditHead,
        /// The last entry.
        head: AuditHead,
    },
    /// An entry.
    Entry(Box<AuditRow>),
}

/// A line that is not one of an exported log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidLine {
    /// No object of JSON.
    #[error("expected an object of JSON: {0}")]
    Json(String),
    /// A field that has to be there, and is not.
    #[error("field `{0}` is missing")]
    Missing(&'static str),
    /// A field that cannot be read.
    #[error("field `{field}`: {problem}")]
    Field {
        /// Which one.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A field that nothing is known of, and that the hashes do not cover.
    #[error("field `{0}` is not known")]
    Unknown(String),
    /// The ends of the chain are not in the first line, or in another one, too.
    #[error("the first line, and no other, says where the log begins and ends")]
    Ends,
}

/// Why an exported log does not verify, and in which line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BrokenExport {
    /// A line that cannot be read.
    #[error("line {line} of the export")]
    Line {
        /// Which line, from 1.
        line: u64,
        /// What is wrong with it.
        source: InvalidLine,
    },
    /// A line that can be read, at which the chain is broken.
    #[error("line {line} of the export")]
    Chain {
        /// Which line, from 1; the last one when more should follow.
        line: u64,
        /// What is wrong.
        source: BrokenChain,
    },
}

/// Verifies an exported log, line by line.
///
/// ```
/// use entitlements_core::audit::{AuditHead, AuditLine, ExportVerifier};
///
/// let mut verifier = ExportVerifier::new([]);
/// verifier.check(&AuditLine::Ends { base: AuditHead::START, head: AuditHead::START }.to_string())?;
/// assert_eq!(verifier.finish()?.rows, 0);
///
/// let mut verifier = ExportVerifier::new([]);
/// let error = verifier.check("{\"sequence\": true}").unwrap_err();
/// assert_eq!(error.to_string(), "line 1 of the export");
/// # Ok::<(), entitlements_core::audit::BrokenExport>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct ExportVerifier {
    anchors: Vec<AuditHead>,
    line: u64,
    /// From the first line on.
    chain: Option<(Verifier, AuditHead)>,
}

impl ExportVerifier {
    /// With heads that were kept somewhere else: the chain must go through them.
    pub fn new(anchors: impl Into<Vec<AuditHead>>) -> Self {
        Self { anchors: anchors.into(), line: 0, chain: None }
    }

    /// Checks the next line.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or the chain is broken at it.
    pub fn check(&mut self, line: &str) -> Result<(), BrokenExport> {
        self.line += 1;
        let number = self.line;
        let unreadable = |source| BrokenExport::Line { line: number, source };
        let broken = |source| BrokenExport::Chain { line: number, source };
        match (line.parse().map_err(unreadable)?, &mut self.chain) {
            (AuditLine::Ends { base, head }, None) => {
                let mut verifier = Verifier::new(base);
                for anchor in &self.anchors {
                    verifier = verifier.with_anchor(*anchor).map_err(broken)?;
                }
                self.chain = Some((verifier, head));
                Ok(())
            }
            (AuditLine::Entry(row), Some((verifier, _))) => verifier.check(&row).map_err(broken),
            _ => Err(unreadable(InvalidLine::Ends)),
        }
    }

    /// Says that all lines were checked.
    ///
    /// # Errors
    ///
    /// When the chain ends before it should, or there was no line.
    pub fn finish(self) -> Result<Verified, BrokenExport> {
        let line = self.line.max(1);
        let Some((verifier, head)) = self.chain else {
            return Err(BrokenExport::Line { line, source: InvalidLine::Ends });
        };
        verifier.finish(head).map_err(|source| BrokenExport::Chain { line, source })
    }
}

impl fmt::Display for AuditLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = match self {
            Self::Ends { base, head } => json!({ "base": base, "head": head }),
            Self::Entry(row) => serde_json::to_value(row).map_err(|_| fmt::Error)?,
        };
        value.fmt(f)
    }
}

impl FromStr for AuditLine {
    type Err = InvalidLine;

    fn from_str(text: &str) -> Result<Self, InvalidLine> {
        let fields = serde_json::from_str(text).map_err(|error| InvalidLine::Json(error.to_string()))?;
        let mut fields = Fields(fields);
        let line = if fields.0.contains_key("base") {
            Self::Ends { base: fields.take("base")?, head: fields.take("head")? }
        } else {
            Self::Entry(Box::new(fields.row()?))
        };
        match fields.0.into_iter().next() {
            Some((name, _)) => Err(InvalidLine::Unknown(name)),
            None => Ok(line),
        }
    }
}

/// What a line still has to say. Read one by one, so that what is wrong has a name.
struct Fields(Map<String, Value>);

impl Fields {
    fn row(&mut self) -> Result<AuditRow, InvalidLine> {
        let source: SourceFields = self.take("source")?;
        Ok(AuditRow {
            sequence: self.take("sequence")?,
            id: self.take("id")?,
            entry: AuditEntry {
                at: self.take("at")?,
                company: self.take("company")?,
                user: self.optional("user")?,
                feature: self.take::<String>("feature")?.into(),
                action: self.take("action")?,
                resource: self.optional("resource")?,
                allowed: self.take("allowed")?,
                reason: self.take::<String>("reason")?.into(),
                source: AuditSource { kind: source.kind.into(), id: source.id.map(Into::into) },
                tier: self.take("tier")?,
                latency_us: self.take("latencyUs")?,
            },
            salt: self.optional("salt")?,
            persons: self.take("persons")?,
            hash: self.take("hash")?,
        })
    }

    fn take<T: DeserializeOwned>(&mut self, field: &'static str) -> Result<T, InvalidLine> {
        self.optional(field)?.ok_or(InvalidLine::Missing(field))
    }

    fn optional<T: DeserializeOwned>(&mut self, field: &'static str) -> Result<Option<T>, InvalidLine> {
        let value = self.0.remove(field).unwrap_or(Value::Null);
        serde_json::from_value(value)
            .map_err(|error| InvalidLine::Field { field, problem: error.to_string() })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceFields {
    #[serde(rename = "type")]
    kind: String,
    id: Option<String>,
}
