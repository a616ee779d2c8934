//! Problems: from what the parser and the reader found to the list that people read.

use super::super::Problem;
use super::super::reader::Found;

/// The problems in the order of the text.
///
/// A syntax error says how far the text is understood: what the reader found beyond it is left out, and so is whatever
/// it misses, because the missing part may be the one that was not understood.
pub(super) fn in_order(text: &str, syntax: &[toml::de::Error], found: Vec<Found>) -> Vec<Problem> {
    let mut all = syntax_errors(text, syntax);
    match all.first().map(|first| line_start(text, first.at)) {
        Some(understood) => {
            all.extend(found.into_iter().filter(|found| found.at < understood && !found.relative));
        }
        None => all.extend(found),
    }
    all.sort_by_key(|found| found.at);
    let mut position = Position::start_of(text);
    all.into_iter()
        .map(|found| {
            let (line, column) = position.advance_to(found.at);
            Problem { line, column, place: found.place, message: found.message, suggestion: found.suggestion }
        })
        .collect()
}

/// The problem of a text in which none was found and that still makes no catalog.
pub(super) fn unexplained() -> Problem {
    Problem {
        line: 1,
        column: 1,
        place: String::new(),
        message: "cannot be compiled".into(),
        suggestion: None,
    }
}

/// The parser's errors, one a line: those that follow on the same line have the same cause. A list or table that is
/// never closed swallows the lines after it, so what follows its first error is left out too.
fn syntax_errors(text: &str, errors: &[toml::de::Error]) -> Vec<Found> {
    let mut errors: Vec<_> = errors
        .iter()
        .map(|error| (error.span().map_or(text.len(), |span| span.start), error.message()))
        .collect();
    errors.sort_by_key(|(at, _)| *at);
    let is_list = |message: &str| message.contains("array") || message.contains("inline table");
    let unclosed = errors.iter().any(|(_, message)| message.contains("unclosed") && is_list(message));
    let mut kept: Vec<Found> = Vec::new();
    for (at, message) in errors {
        let line = line_start(text, at);
        if kept.last().is_some_and(|last| line_start(text, last.at) == line) {
            continue;
        }
        let (message, place, suggestion, relative) = (message.to_owned(), String::new(), None, false);
        let last = unclosed && is_list(&message);
        kept.push(Found { at, place, message, suggestion, relative });
        if last {
            break;
        }
    }
    kept
}

/// Where the line that holds `at` begins.
fn line_start(text: &str, at: usize) -> usize {
    text.bytes().take(at).rposition(|b| b == b'\n').map_or(0, |newline| newline + 1)
}

/// A place in the text that only moves on.
struct Position<'t> {
    rest: std::iter::Peekable<std::str::CharIndices<'t>>,
    line: usize,
    column: usize,
}

impl<'t> Position<'t> {
    fn start_of(text: &'t str) -> Self {
        Self { rest: text.char_indices().peekable(), line: 1, column: 1 }
    }

    /// Moves to the byte at `at` and answers line and column.
    fn advance_to(&mut self, at: usize) -> (usize, usize) {
        while let Some((_, char)) = self.rest.next_if(|(index, _)| *index < at) {
            match char {
                '\n' => (self.line, self.column) = (self.line + 1, 1),
                '\u{feff}' if (self.line, self.column) == (1, 1) => {}
                _ => self.column += 1,
            }
        }
        (self.line, self.column)
    }
}
