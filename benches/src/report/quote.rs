//! What the README of the project quotes of the report, between two marks.

use crate::frame::{Claim, Table};

const BEGIN: &str = "<!-- figures: written by scripts/bench.sh -->\n";
const END: &str = "<!-- end of figures -->";

/// What is quoted: parts of what claims say.
const QUOTED: [&str; 11] = [
    "against the floor, 1,000 policies",
    "against ours, 10 policies",
    "against ours, 10,000 policies",
    "against `evaluate`, 1,000 policies",
    "against a raw GET",
    "of the same rows, PostgreSQL, fsync off, 1 task",
    "with a key, PostgreSQL, fsync off, 1 task",
    "out of a lease, against the raw UPDATE, PostgreSQL, fsync off",
    "time over a layer that does nothing",
    "against raw HMAC-SHA256",
    "per cached company",
];

/// The README with the figures of this run; `None` if it has no place for them.
pub(super) fn update(readme: &str, claims: &[&Claim]) -> Option<String> {
    let (before, rest) = readme.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    let mut table = Table::new(&["path", "compared", "measured", "target"]);
    for claim in claims.iter().filter(|claim| QUOTED.iter().any(|part| claim.what.contains(part))) {
        table.row([claim.path.to_owned(), claim.what.clone(), claim.measured(), claim.target()]);
    }
    Some(format!("{before}{BEGIN}{}{END}{after}", table.to_markdown()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::{Spread, Target};

    fn claim(what: &str) -> Claim {
        Claim::ratio("path", what, Target::AtMost(1.5), Spread::exactly(1.25), "")
    }

    #[test]
    fn figures_replace_those_of_the_last_run_and_nothing_else() {
        let (quoted, other) = (claim("against a raw GET"), claim("of no interest"));
        let readme = format!("above\n{BEGIN}| old |\n{END}\nbelow\n");
        let once = update(&readme, &[&quoted, &other]).unwrap();
        assert!(once.starts_with("above\n") && once.ends_with("\nbelow\n"), "{once}");
        assert!(once.contains("| path | against a raw GET | 1.25 ×   | ≤ 1.5 × |\n"), "{once}");
        assert!(!once.contains("old") && !once.contains("of no interest"), "{once}");
        assert_eq!(update(&once, &[&quoted, &other]).unwrap(), once);
    }

    #[test]
    fn a_readme_without_marks_is_left_alone() {
        assert_eq!(update("nothing here", &[&claim("against a raw GET")]), None);
    }
}
