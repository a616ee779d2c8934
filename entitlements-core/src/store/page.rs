//! Pages of long lists.

/// The most items a page may have.
pub const MAX_PAGE: usize = 1000;

/// Which part of a list is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// At most this many items; 1 to [`MAX_PAGE`].
    pub limit: usize,
    /// The [`next`](Page::next) of the page before; `None` for the first page.
    pub cursor: Option<String>,
}

impl PageRequest {
    /// The first `limit` items.
    #[must_use]
    pub fn first(limit: usize) -> Self {
        Self { limit: limit.clamp(1, MAX_PAGE), cursor: None }
    }
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// The cursor of the next page; `None` if this is the last. It names the last item of this page.
    pub next: Option<String>,
}
