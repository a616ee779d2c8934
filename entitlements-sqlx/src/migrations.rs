//! Which versions of the schema a database has, and which it needs.

use entitlements_core::store::{StoreError, StoreErrorKind};

/// A version of the schema.
pub(crate) struct Migration {
    pub(crate) version: i64,
    pub(crate) name: &'static str,
    /// What makes it out of the versions before.
    pub(crate) statements: &'static str,
}

/// A version that a database has, with the checksum of what made it.
pub(crate) type Applied = (i64, Option<i64>);

impl Migration {
    pub(crate) const fn new(version: i64, name: &'static str, statements: &'static str) -> Self {
        Self { version, name, statements }
    }

    /// Tells other statements from these (FNV-1a, 64 bits), however their lines end.
    pub(crate) fn checksum(&self) -> i64 {
        let bytes = self.statements.bytes().filter(|byte| *byte != b'\r');
        let hash = bytes.fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
        });
        hash.cast_signed()
    }
}

/// The versions that are missing, in their order.
///
/// # Errors
///
/// [`Schema`](StoreErrorKind::Schema) when the database has a version that is not known, or one that was made by other statements.
pub(crate) fn missing<'m>(
    operation: &'static str,
    known: &'m [Migration],
    applied: &[Applied],
) -> Result<Vec<&'m Migration>, StoreError> {
    let other = |why: String| StoreError::new(StoreErrorKind::Schema, operation).with_source(why);
    for (version, checksum) in applied {
        let Some(migration) = known.iter().find(|migration| migration.version == *version) else {
            let newest = known.iter().map(|migration| migration.version).max().unwrap_or(0);
            return Err(other(format!("the database has schema {version}, and this version knows {newest}")));
        };
        if checksum.is_some_and(|checksum| checksum != migration.checksum()) {
            return Err(other(format!("schema {version} of the database was made by other statements")));
        }
    }
    let is_missing =
        |migration: &&Migration| !applied.iter().any(|(version, _)| *version == migration.version);
    Ok(known.iter().filter(is_missing).collect())
}

/// Refuses a database that is not to be changed, and does not have every version.
///
/// # Errors
///
/// [`Schema`](StoreErrorKind::Schema) with the versions, or as [`missing`].
pub(crate) fn nothing_missing(
    operation: &'static str,
    known: &[Migration],
    applied: &[Applied],
) -> Result<(), StoreError> {
    if missing(operation, known, applied)?.is_empty() {
        return Ok(());
    }
    let newest = |versions: &mut dyn Iterator<Item = i64>| versions.max().unwrap_or(0);
    let has = newest(&mut applied.iter().map(|(version, _)| *version));
    let needs = newest(&mut known.iter().map(|migration| migration.version));
    let why = format!(
        "the database has schema {has}, and this version reads {needs}; it is not brought up to date here"
    );
    Err(StoreError::new(StoreErrorKind::Schema, operation).with_source(why))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [Migration; 3] =
        [Migration::new(1, "one", "a"), Migration::new(2, "two", "b"), Migration::new(3, "three", "c\n")];

    fn versions(applied: &[Applied]) -> Result<Vec<i64>, StoreErrorKind> {
        let missing = missing("test", &KNOWN, applied).map_err(|error| error.kind())?;
        Ok(missing.iter().map(|migration| migration.version).collect())
    }

    #[test]
    fn what_is_missing_is_applied_also_in_the_middle() {
        assert_eq!(versions(&[]), Ok(vec![1, 2, 3]));
        assert_eq!(versions(&[(1, None), (3, Some(KNOWN[2].checksum()))]), Ok(vec![2]));
        assert_eq!(versions(&[(1, None), (2, None), (3, None)]), Ok(vec![]));
    }

    #[test]
    fn a_version_that_is_not_known_or_was_made_otherwise_is_another_schema() {
        assert_eq!(versions(&[(4, None)]), Err(StoreErrorKind::Schema));
        assert_eq!(versions(&[(1, Some(KNOWN[1].checksum()))]), Err(StoreErrorKind::Schema));
    }

    #[test]
    fn a_checksum_does_not_depend_on_how_lines_end() {
        assert_eq!(Migration::new(3, "three", "c\r\n").checksum(), KNOWN[2].checksum());
        assert_ne!(KNOWN[0].checksum(), KNOWN[1].checksum());
    }
}
