//! The reader: typed reads of nodes that report every problem and go on.

use std::fmt;

use super::node::{Field, Node, NodeKind};
use crate::id::check_id;
use crate::{Action, ActionSet, Amount};

/// Which part of the catalog is being read, for example `plans.pro.grants.reports`.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    parent: Option<&'a Place<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Root,
    Key(&'a str),
    Index(usize),
}

impl<'a> Place<'a> {
    pub(super) const ROOT: Place<'static> = Place { parent: None, step: Step::Root };

    pub(super) const fn key(&'a self, key: &'a str) -> Self {
        Self { parent: Some(self), step: Step::Key(key) }
    }

    pub(super) const fn index(&'a self, index: usize) -> Self {
        Self { parent: Some(self), step: Step::Index(index) }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(parent) = self.parent else { return Ok(()) };
        parent.fmt(f)?;
        match self.step {
            Step::Root => Ok(()),
            Step::Index(index) => write!(f, "[{index}]"),
            Step::Key(key) => {
                let dot = if parent.parent.is_some() { "." } else { "" };
                let bare = !key.is_empty()
                    && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
                if bare { write!(f, "{dot}{key}") } else { write!(f, "{dot}{key:?}") }
            }
        }
    }
}

/// A problem, before its line is known.
#[derive(Debug)]
pub(super) struct Found {
    /// Bytes from the start of the text.
    pub(super) at: usize,
    pub(super) place: String,
    pub(super) message: String,
    pub(super) suggestion: Option<String>,
    /// Whether the problem depends on other parts of the text: something is missing or unknown.
    pub(super) relative: bool,
}

/// The fields of a table whose keys have been checked.
#[derive(Clone, Copy)]
pub(super) struct Fields<'n>(&'n [Field]);

impl<'n> Fields<'n> {
    pub(super) fn get(self, key: &str) -> Option<&'n Node> {
        self.0.iter().find(|field| &*field.key == key).map(|field| &field.value)
    }
}

/// Reads nodes and gathers the problems. Whatever answers `None` has reported why.
#[derive(Debug, Default)]
pub(super) struct Reader {
    pub(super) found: Vec<Found>,
}

impl Reader {
    /// Reports a value that is wrong by itself.
    pub(super) fn wrong(&mut self, at: usize, place: &Place<'_>, message: impl Into<String>) {
        self.report(at, place, message.into(), None, false);
    }

    /// Reports that `wanted` was expected.
    pub(super) fn expected(&mut self, node: &Node, place: &Place<'_>, wanted: &str) {
        self.wrong(node.at, place, format!("expected {wanted}, found {}", node.description()));
    }

    /// Reports something that is not there, or that breaks a rule together with other parts.
    pub(super) fn unmet(&mut self, at: usize, place: &Place<'_>, message: impl Into<String>) {
        self.report(at, place, message.into(), None, true);
    }

    /// What a table holds under `key`. Reports that it is missing, unless one of the keys is that one, misspelt: it
    /// has been reported.
    pub(super) fn need<'n>(
        &mut self,
        at: usize,
        place: &Place<'_>,
        fields: Fields<'n>,
        key: &str,
        message: &str,
    ) -> Option<&'n Node> {
        let node = fields.get(key);
        if node.is_none() && !fields.0.iter().any(|field| nearest(&field.key, [key]).is_some()) {
            self.unmet(at, place, message);
        }
        node
    }

    /// Reports a name that does not exist.
    pub(super) fn unknown<'k>(
        &mut self,
        at: usize,
        place: &Place<'_>,
        what: &str,
        name: &str,
        known: impl IntoIterator<Item = &'k str>,
    ) {
        let suggestion = nearest(name, known).map(|near| format!("did you mean `{near}`?"));
        self.report(at, place, format!("unknown {what} `{}`", name.escape_debug()), suggestion, true);
    }

    /// Reports a word that is none of `known`.
    pub(super) fn unknown_word(
        &mut self,
        at: usize,
        place: &Place<'_>,
        what: &str,
        word: &str,
        known: &[&str],
    ) {
        let suggestion = nearest(word, known.iter().copied())
            .map_or_else(|| format!("expected {}", list_of(known)), |near| format!("did you mean `{near}`?"));
        self.report(at, place, format!("unknown {what} `{}`", word.escape_debug()), Some(suggestion), false);
    }

    fn report(
        &mut self,
        at: usize,
        place: &Place<'_>,
        message: String,
        suggestion: Option<String>,
        relative: bool,
    ) {
        self.found.push(Found { at, place: place.to_string(), message, suggestion, relative });
    }

    /// Any table.
    pub(super) fn table<'n>(&mut self, node: &'n Node, place: &Place<'_>) -> Option<&'n [Field]> {
        if let NodeKind::Table(fields) = &node.kind {
            return Some(fields);
        }
        self.expected(node, place, "a table");
        None
    }

    /// A table whose keys are names that the catalog gives: ids.
    pub(super) fn names<'n>(&mut self, node: &'n Node, place: &Place<'_>) -> Option<&'n [Field]> {
        let fields = self.table(node, place)?;
        for field in fields {
            if let Err(error) = check_id(&field.key) {
                self.wrong(field.at, &place.key(&field.key), format!("the name {error}"));
            }
        }
        Some(fields)
    }

    /// A table with none but `known` keys.
    pub(super) fn fields<'n>(
        &mut self,
        node: &'n Node,
        place: &Place<'_>,
        known: &[&str],
    ) -> Option<Fields<'n>> {
        let fields = self.table(node, place)?;
        for field in fields.iter().filter(|field| !known.contains(&&*field.key)) {
            self.unknown_word(field.at, &place.key(&field.key), "key", &field.key, known);
        }
        Some(Fields(fields))
    }

    pub(super) fn list<'n>(&mut self, node: &'n Node, place: &Place<'_>) -> Option<&'n [Node]> {
        if let NodeKind::List(items) = &node.kind {
            return Some(items);
        }
        self.expected(node, place, "a list");
        None
    }

    pub(super) fn text<'n>(&mut self, node: &'n Node, place: &Place<'_>) -> Option<&'n str> {
        if let NodeKind::Text(text) = &node.kind {
            return Some(text);
        }
        self.expected(node, place, "a text");
        None
    }

    /// One of the words, with what it stands for.
    pub(super) fn word<T: Copy>(
        &mut self,
        node: &Node,
        place: &Place<'_>,
        what: &str,
        words: &[(&str, T)],
    ) -> Option<T> {
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let NodeKind::Text(text) = &node.kind else {
            self.expected(node, place, &list_of(&known));
            return None;
        };
        let meaning = words.iter().find(|(word, _)| **word == **text).map(|(_, meaning)| *meaning);
        if meaning.is_none() {
            self.unknown_word(node.at, place, what, text, &known);
        }
        meaning
    }

    /// A whole number from `least` to `most`.
    pub(super) fn whole(&mut self, node: &Node, place: &Place<'_>, least: u64, most: u64) -> Option<u64> {
        match node.kind {
            NodeKind::Integer(number) if number < 0 && least == 0 => {
                self.wrong(node.at, place, "must not be negative");
            }
            NodeKind::Integer(number) if number < least.into() => {
                self.wrong(node.at, place, format!("must be at least {least}"));
            }
            NodeKind::Integer(number) => match u64::try_from(number).ok().filter(|n| *n <= most) {
                Some(number) => return Some(number),
                None => self.wrong(node.at, place, format!("must be at most {most}")),
            },
            NodeKind::Float(_) => self.wrong(node.at, place, "must be a whole number"),
            _ => self.expected(node, place, "a whole number"),
        }
        None
    }

    /// A number of units, at least `least`.
    pub(super) fn amount(&mut self, node: &Node, place: &Place<'_>, least: u64) -> Option<Amount> {
        self.whole(node, place, least, Amount::MAX.get()).and_then(Amount::new)
    }

    /// A list of actions: at least one, none of them twice.
    pub(super) fn actions(&mut self, node: &Node, place: &Place<'_>) -> Option<ActionSet> {
        let items = self.list(node, place)?;
        if items.is_empty() {
            self.wrong(node.at, place, "must name at least one action");
            return None;
        }
        let mut actions = Some(ActionSet::NONE);
        for (index, item) in items.iter().enumerate() {
            let place = place.index(index);
            let words = Action::ALL.map(|action| (action.as_str(), action));
            let Some(action) = self.word(item, &place, "action", &words) else {
                actions = None;
                continue;
            };
            if actions.is_some_and(|before| before.contains(action)) {
                self.wrong(item.at, &place, format!("`{action}` is named twice"));
            }
            actions = actions.map(|before| before.with(action));
        }
        actions
    }
}

/// The known name that was probably meant, if one is near.
fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let name = name.to_lowercase();
    let reach = (name.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .filter(|candidate| candidate.len().abs_diff(name.len()) <= 4 * reach)
        .map(|candidate| (strsim::damerau_levenshtein(&name, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= reach)
        .min()
        .map(|(_, candidate)| candidate)
}

/// `` `a`, `b` or `c` ``.
fn list_of(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_name_is_found_and_a_far_one_is_not() {
        let known = ["export", "reports", "seats"];
        assert_eq!(nearest("exprot", known), Some("export"));
        assert_eq!(nearest("Reports", known), Some("reports"));
        assert_eq!(nearest("seat", known), Some("seats"));
        assert_eq!(nearest("invoices", known), None);
        assert_eq!(nearest("", known), None);
    }

    #[test]
    fn a_place_is_written_as_a_toml_key() {
        let plans = Place::ROOT.key("plans");
        let plan = plans.key("a.b");
        let quotas = plan.key("reports");
        assert_eq!(quotas.index(1).to_string(), "plans.\"a.b\".reports[1]");
        assert_eq!(Place::ROOT.to_string(), "");
    }
}
