//! Why the platform does not start.

use std::fmt;

/// Why the platform does not start: one line for each thing that is wrong. Never empty, and never a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartError {
    lines: Vec<String>,
}

impl StartError {
    /// One thing that is wrong.
    #[must_use]
    pub fn one(line: impl Into<String>) -> Self {
        Self { lines: vec![one_line(&line.into())] }
    }

    pub(crate) fn all<L: AsRef<str>>(lines: impl IntoIterator<Item = L>) -> Self {
        Self { lines: lines.into_iter().map(|line| one_line(line.as_ref())).collect() }
    }

    /// What is wrong, one thing a line.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        &self.lines
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines.join("\n"))
    }
}

impl std::error::Error for StartError {}

/// The text without line breaks, so that one problem is one line whatever a file name or a driver says.
fn one_line(text: &str) -> String {
    text.split(char::is_control).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// An error with its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    one_line(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_stays_on_its_line() {
        let error = StartError::one("cannot read `a\nb`\r\n");
        assert_eq!(error.to_string(), "cannot read `a b`");
    }
}
