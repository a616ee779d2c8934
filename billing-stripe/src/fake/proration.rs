//! What a change in the middle of a period costs.

use super::invoices::Line;
use super::state::State;
use super::subscriptions::{Item, Subscription};

/// The share of `amount` for the time from `at` to the end of the item's period, rounded to the nearest unit.
fn share(amount: i64, item: &Item, at: i64) -> i64 {
    let whole = i128::from(item.end.saturating_sub(item.start)).max(1);
    let rest = i128::from(item.end.saturating_sub(at.max(item.start))).max(0);
    let doubled = i128::from(amount) * rest * 2;
    let rounded = (doubled + whole).div_euclid(whole * 2);
    i64::try_from(rounded).unwrap_or(i64::MAX)
}

fn line(state: &State, item: &Item, amount: i64, start: i64, what: &str) -> Line {
    let name = state.name_of(&item.price);
    Line {
        description: format!("{what} time on {name}"),
        amount,
        price: Some(item.price.clone()),
        quantity: item.quantity,
        start,
        end: item.end,
        proration: true,
        item: Some(item.id.clone()),
        ..Line::default()
    }
}

/// What is given back for the rest of the period.
pub(super) fn credit(state: &State, it: &Subscription, at: i64) -> Vec<Line> {
    let given_back = |item: &Item| line(state, item, -share(state.amount(item), item, at), at, "Unused");
    it.items.iter().filter(|item| state.amount(item) != 0).map(given_back).collect()
}

/// What is given back and what is due when `old` becomes `new` at `at`. When the period begins anew, the whole of it is
/// due.
pub(super) fn lines(
    state: &State,
    old: &Subscription,
    new: &Subscription,
    at: i64,
    restart: bool,
) -> Vec<Line> {
    let mut lines = Vec::new();
    for item in &old.items {
        let kept = new.items.contains(item);
        if !kept && state.amount(item) != 0 {
            lines.push(line(state, item, -share(state.amount(item), item, at), at, "Unused"));
        }
    }
    for item in &new.items {
        let kept = old.items.contains(item);
        if !kept && state.amount(item) != 0 {
            let amount = state.amount(item);
            let amount = if restart { amount } else { share(amount, item, at) };
            lines.push(line(state, item, amount, at, "Remaining"));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::{Item, share};

    #[test]
    fn the_share_is_that_of_the_rest_of_the_period() {
        let item = |start, end| Item {
            id: "si".into(),
            price: "p".into(),
            quantity: Some(1),
            created: 0,
            start,
            end,
        };
        assert_eq!(share(3000, &item(0, 30), 15), 1500);
        assert_eq!(share(3000, &item(0, 30), 0), 3000);
        assert_eq!(share(3000, &item(0, 30), 30), 0);
        assert_eq!(share(100, &item(0, 3), 1), 67, "two thirds, rounded");
        assert_eq!(share(100, &item(0, 3), 99), 0, "never negative");
    }
}
