//! What is wrong with a catalog: everything at once, each with its place and a suggestion.

use std::fmt;

/// One problem of a catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// Which part of the catalog, for example `plans.pro.grants.reports`.
    pub place: String,
    /// What is wrong, in one line.
    pub message: String,
    /// What could be meant instead.
    pub suggestion: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.line, self.column)?;
        if !self.place.is_empty() {
            write!(f, "{}: ", self.place)?;
        }
        f.write_str(&self.message)?;
        match &self.suggestion {
            Some(suggestion) => write!(f, "; {suggestion}"),
            None => Ok(()),
        }
    }
}

/// A catalog that cannot be used, with all of its problems.
///
/// `Display` prints one problem a line, each led by the file's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogError {
    pub(crate) file: String,
    pub(crate) problems: Vec<Problem>,
}

impl CatalogError {
    /// The name under which the catalog was loaded.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Every problem, in the order of lines; never empty.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for CatalogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{}:{problem}", self.file)?;
        }
        Ok(())
    }
}

impl std::error::Error for CatalogError {}
