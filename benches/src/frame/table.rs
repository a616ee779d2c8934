//! Tables in Markdown, and the numbers in them.

use std::fmt::Write as _;

use super::{Claim, Field, Spread};

/// What one benchmark has to say.
#[derive(Clone, Debug, Default)]
pub(crate) struct Section {
    pub(crate) title: &'static str,
    /// Paragraphs and tables, in Markdown.
    pub(crate) blocks: Vec<String>,
    pub(crate) claims: Vec<Claim>,
    /// What is drawn: a name, and points of policies and nanoseconds.
    pub(crate) lines: Vec<(String, Vec<(f64, f64)>)>,
}

impl Section {
    pub(crate) fn new(title: &'static str) -> Self {
        Self { title, ..Self::default() }
    }

    /// Adds a paragraph.
    pub(crate) fn say(&mut self, text: impl Into<String>) {
        self.blocks.push(text.into());
    }

    /// The whole section in Markdown.
    pub(crate) fn to_markdown(&self) -> String {
        let mut text = format!("## {}\n", self.title);
        for block in &self.blocks {
            let _ = write!(text, "\n{}\n", block.trim_end());
        }
        let mut table = Table::new(&["claim", "target", "measured", "quartiles", "kept"]);
        for claim in &self.claims {
            let kept = if claim.is_kept() { "yes" } else { "**no**" };
            let what = format!("{}: {}", claim.path, claim.what);
            table.row([what, claim.target(), claim.measured(), claim.spread(), kept.to_owned()]);
        }
        if !self.claims.is_empty() {
            let _ = write!(text, "\n{}", table.to_markdown());
        }
        text
    }

    /// Adds a table.
    pub(crate) fn show(&mut self, table: &Table) {
        self.blocks.push(table.to_markdown());
    }
}

/// A table, row by row.
#[derive(Clone, Debug)]
pub(crate) struct Table(Vec<Vec<String>>);

impl Table {
    pub(crate) fn new(heads: &[&str]) -> Self {
        Self(vec![heads.iter().map(ToString::to_string).collect()])
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.0.push(cells.into_iter().collect());
    }

    /// Each contender with its time, its ratio to the one called `base`, and its allocations.
    pub(crate) fn of(field: &Field, base: &str) -> Self {
        let mut table = Self::new(&["contender", "a call", "quartiles", "ratio", "allocations"]);
        for measured in field.iter() {
            let nanos = measured.nanos();
            let ratio =
                field.of(base).map_or_else(|_| String::new(), |base| number(measured.ratio_to(base).median));
            table.row([
                measured.name.clone(),
                duration(nanos.median),
                format!("{}–{}", duration(nanos.low), duration(nanos.high)),
                ratio,
                number(measured.allocations),
            ]);
        }
        table
    }

    /// The columns are padded, so that it reads well as text, too.
    pub(crate) fn to_markdown(&self) -> String {
        let columns = self.0.first().map_or(0, Vec::len);
        let width = |column: usize| {
            let cells = self.0.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or_default().max(3)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for (index, row) in self.0.iter().enumerate() {
            for (cell, width) in row.iter().zip(&widths) {
                let _ = write!(text, "| {cell:<width$} ");
            }
            text.push_str("|\n");
            if index == 0 {
                for width in &widths {
                    let _ = write!(text, "|{}", "-".repeat(width + 2));
                }
                text.push_str("|\n");
            }
        }
        text
    }
}

/// A number with three digits that count, and separated thousands.
pub(crate) fn number(value: f64) -> String {
    let size = value.abs();
    if size >= 1_000.0 {
        let digits = format!("{value:.0}");
        let separated = digits.char_indices().flat_map(|(index, digit)| {
            let comma = index > 0 && (digits.len() - index) % 3 == 0;
            comma.then_some(',').into_iter().chain([digit])
        });
        return separated.collect();
    }
    let places = if size >= 100.0 {
        0
    } else if size >= 10.0 {
        1
    } else {
        2
    };
    let text = format!("{value:.places$}");
    if places == 0 { text } else { text.trim_end_matches('0').trim_end_matches('.').to_owned() }
}

/// Nanoseconds in the unit that suits them.
pub(crate) fn duration(nanos: f64) -> String {
    if nanos < 1_000.0 {
        format!("{} ns", number(nanos))
    } else if nanos < 1e6 {
        format!("{} µs", number(nanos / 1e3))
    } else {
        format!("{} ms", number(nanos / 1e6))
    }
}

impl Spread {
    /// The median, and the quartiles in brackets.
    pub(crate) fn to_text(self) -> String {
        format!("{} ({}–{})", number(self.median), number(self.low), number(self.high))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_and_separated_thousands() {
        let texts = [0.0, 0.5, 1.254, 12.34, 123.4, 1234.5, 1_234_567.0].map(number);
        assert_eq!(texts, ["0", "0.5", "1.25", "12.3", "123", "1,234", "1,234,567"]);
        assert_eq!([12.0, 12_340.0, 2.5e6].map(duration), ["12 ns", "12.3 µs", "2.5 ms"]);
    }

    #[test]
    fn a_table_is_markdown_with_padded_columns() {
        let mut table = Table::new(&["a", "long head"]);
        table.row(["wide cell".to_owned(), "1".to_owned()]);
        let expected = "| a         | long head |\n|-----------|-----------|\n| wide cell | 1         |\n";
        assert_eq!(table.to_markdown(), expected);
    }
}
