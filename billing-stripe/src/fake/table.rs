//! Rows in the order in which they were made, found by id.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::wire::Identified;

/// Rows in the order in which they were made, found by id.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "Vec<T>", into = "Vec<T>")]
#[serde(bound(
    serialize = "T: Identified + Clone + Serialize",
    deserialize = "T: Identified + Deserialize<'de>"
))]
pub(super) struct Table<T> {
    rows: Vec<T>,
    places: HashMap<String, usize>,
}

impl<T: Identified> Default for Table<T> {
    fn default() -> Self {
        Self { rows: Vec::new(), places: HashMap::new() }
    }
}

impl<T: Identified> Table<T> {
    pub(super) fn get(&self, id: &str) -> Option<&T> {
        self.rows.get(*self.places.get(id)?)
    }

    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut T> {
        self.rows.get_mut(*self.places.get(id)?)
    }

    /// Adds `row`, or puts it in the place of the one with its id.
    pub(super) fn put(&mut self, row: T) {
        if let Some(old) = self.get_mut(row.id()) {
            *old = row;
            return;
        }
        self.places.insert(row.id().to_owned(), self.rows.len());
        self.rows.push(row);
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The rows, oldest first.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.rows.iter()
    }
}

impl<T: Identified> From<Vec<T>> for Table<T> {
    fn from(rows: Vec<T>) -> Self {
        let places = rows.iter().enumerate().map(|(place, row)| (row.id().to_owned(), place)).collect();
        Self { rows, places }
    }
}

impl<T> From<Table<T>> for Vec<T> {
    fn from(table: Table<T>) -> Self {
        table.rows
    }
}
