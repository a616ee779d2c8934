//! A table: lists of policies under the numbers of texts.

use rustc_hash::FxHashMap;

use super::dispatch::Entry;

/// Lists of policies by the number of a text.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// A power of two of them, at least a quarter of them vacant; none without lists.
    cells: Box<[Cell]>,
    /// The lists of more than one, end to end.
    lists: Box<[Entry]>,
}

#[derive(Clone, Copy, Debug)]
struct Cell {
    number: u32,
    list: List,
}

/// A list that is mostly of one.
#[derive(Clone, Copy, Debug)]
enum List {
    One(Entry),
    Many { start: u32, end: u32 },
}

const VACANT: Cell = Cell { number: u32::MAX, list: List::Many { start: 0, end: 0 } };

impl Table {
    pub(super) fn of(lists: FxHashMap<u32, Vec<Entry>>) -> Self {
        let size = if lists.is_empty() { 0 } else { (lists.len() * 4 / 3 + 1).next_power_of_two() };
        let mut cells = vec![VACANT; size];
        let mut many: Vec<Entry> = Vec::new();
        let mut lists: Vec<_> = lists.into_iter().collect();
        lists.sort_unstable_by_key(|(number, _)| *number);
        for (number, list) in lists {
            let cell = match list.as_slice() {
                [one] => Cell { number, list: List::One(*one) },
                more => {
                    let start = place(many.len());
                    many.extend(more);
                    Cell { number, list: List::Many { start, end: place(many.len()) } }
                }
            };
            let first = first_place(number);
            let free = (first..first + size)
                .map(|at| at & (size - 1))
                .find(|at| cells.get(*at).is_some_and(|cell| cell.number == VACANT.number));
            if let Some(free) = free.and_then(|at| cells.get_mut(at)) {
                *free = cell;
            }
        }
        Self { cells: cells.into(), lists: many.into() }
    }

    /// The list under a number; empty if there is none.
    #[inline]
    pub(super) fn get(&self, number: u32) -> &[Entry] {
        let Some(last) = self.cells.len().checked_sub(1) else { return &[] };
        let mut at = first_place(number);
        while let Some(cell) = self.cells.get(at & last) {
            if cell.number == number {
                return cell.list.entries(&self.lists);
            }
            if cell.number == VACANT.number {
                break;
            }
            at += 1;
        }
        &[]
    }

    /// Every entry, some policies more than once, in no order.
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.cells.iter().flat_map(|cell| cell.list.entries(&self.lists))
    }
}

impl List {
    #[inline]
    fn entries<'s>(&'s self, lists: &'s [Entry]) -> &'s [Entry] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many { start, end } => lists.get(*start as usize..*end as usize).unwrap_or_default(),
        }
    }
}

fn place(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// Where to begin to look.
const fn first_place(number: u32) -> usize {
    // The upper half of the product is mixed best.
    ((number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize
}

#[cfg(test)]
mod tests {
    use super::super::dispatch::Proved;
    use super::*;

    #[test]
    fn every_list_is_found_under_its_number_and_nothing_under_others() {
        let entry = |rank| Entry { rank, proved: Proved::Nothing };
        for count in [0, 1, 2, 3, 4, 7, 100, 1000] {
            let list = |number: u32| (0..=number % 3).map(|n| entry(number * 10 + n)).collect::<Vec<_>>();
            let numbers = || (0..count).map(|n| n * 7);
            let table = Table::of(numbers().map(|number| (number, list(number))).collect());
            for number in numbers() {
                assert_eq!(table.get(number), list(number), "{number} of {count}");
            }
            for number in (0..count * 7).filter(|number| number % 7 != 0).chain([u32::MAX - 1, u32::MAX]) {
                assert_eq!(table.get(number), [], "{number} of {count}");
            }
            assert_eq!(table.entries().count(), numbers().map(|number| list(number).len()).sum::<usize>());
        }
    }
}
