//! Pages of lists, and the cursors between them.

use entitlements_core::billing::Invoice;
use entitlements_core::grant::Grant;
use entitlements_core::store::{Page, StoreError, StoreErrorKind};

/// One row more than a page has tells whether there is a next page.
pub(crate) fn one_more(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1)
}

/// The first `limit` items, with the cursor of the last one if there are more.
pub(crate) fn page_of<T>(mut items: Vec<T>, limit: usize, cursor: impl Fn(&T) -> String) -> Page<T> {
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(cursor);
    Page { items, next }
}

/// Names the last grant of a page.
pub(crate) fn grant_cursor(last: &Grant) -> String {
    format!("{}:{}", last.created_at.timestamp_micros(), last.id)
}

/// The creation and the id of the last grant of the page before; without a page before, what is before every grant.
pub(crate) fn after_grant(cursor: Option<&str>) -> Result<(i64, &str), StoreError> {
    // No id is empty.
    let Some(cursor) = cursor else { return Ok((i64::MIN, "")) };
    place(cursor).ok_or(StoreError::new(StoreErrorKind::Unsupported, "list grants from such a cursor"))
}

/// Names the last invoice of a page.
pub(crate) fn invoice_cursor(last: &Invoice) -> String {
    format!("{}:{}", last.created_at.timestamp_micros(), last.id)
}

/// The creation and the id of the last invoice of the page before; without a page before, what is after every invoice.
pub(crate) fn before_invoice(cursor: Option<&str>) -> Result<(i64, &str), StoreError> {
    let Some(cursor) = cursor else { return Ok((i64::MAX, "")) };
    place(cursor).ok_or(StoreError::new(StoreErrorKind::Unsupported, "list invoices from such a cursor"))
}

/// An instant and an id.
fn place(cursor: &str) -> Option<(i64, &str)> {
    let (micros, id) = cursor.split_once(':')?;
    Some((micros.parse().ok()?, id)).filter(|(_, id)| !id.is_empty())
}
