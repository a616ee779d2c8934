//! Symbols: names and fingerprints of catalogs, kept once for the life of the process.

use std::borrow::Borrow;
use std::collections::HashSet;
use std::fmt;
use std::ops::Deref;
use std::sync::{LazyLock, Mutex, PoisonError};

static NAMES: LazyLock<Mutex<HashSet<&'static str>>> = LazyLock::new(Mutex::default);
static HASHES: LazyLock<Mutex<HashSet<&'static [u8; 32]>>> = LazyLock::new(Mutex::default);

/// Keeps the fingerprint of a catalog: decisions name it by reference, as they do with names.
pub(super) fn keep_hash(bytes: [u8; 32]) -> &'static [u8; 32] {
    let mut hashes = HASHES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = hashes.get(&bytes) {
        return known;
    }
    let kept: &'static [u8; 32] = Box::leak(bytes.into());
    hashes.insert(kept);
    kept
}

/// A name out of a catalog.
///
/// Decisions name features and plans on every request, from every thread. A shared counter per name would make the
/// threads wait for each other, so names are never counted: each distinct name is kept for the life of the process. Only
/// catalogs make symbols, never requests, so their number is bounded by what the operator wrote.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Symbol(&'static str);

impl Symbol {
    /// The symbol of `name`.
    pub(crate) fn of(name: &str) -> Self {
        let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = names.get(name) {
            return Self(known);
        }
        let kept: &'static str = Box::leak(name.into());
        names.insert(kept);
        Self(kept)
    }

    pub(crate) const fn as_str(self) -> &'static str {
        self.0
    }
}

impl Deref for Symbol {
    type Target = str;

    fn deref(&self) -> &str {
        self.0
    }
}

impl Borrow<str> for Symbol {
    fn borrow(&self) -> &str {
        self.0
    }
}

impl fmt::Debug for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_fingerprint_is_kept_once() {
        assert!(std::ptr::eq(keep_hash([7; 32]), keep_hash([7; 32])));
        assert_ne!(keep_hash([7; 32]), keep_hash([8; 32]));
    }

    #[test]
    fn one_name_is_kept_once() {
        assert!(std::ptr::eq(Symbol::of("kept-once").as_str(), Symbol::of("kept-once").as_str()));
    }
}
