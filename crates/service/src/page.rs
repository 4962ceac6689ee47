//! How lists are cut: a page, an order. Limits and names are the API's; this only applies them.

/// Which way a list is sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// Smallest first.
    #[default]
    Ascending,
    /// Largest first.
    Descending,
}

/// Which part of a list is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    /// From 1.
    pub page: u32,
    /// 1 to 100.
    pub per_page: u32,
}

impl Default for PageRequest {
    fn default() -> Self {
        Self { page: 1, per_page: 20 }
    }
}

/// A part of a list, and how long the whole is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items of this page, in order.
    pub items: Vec<T>,
    /// How many items the whole list has.
    pub total: u64,
    /// The page that was asked for.
    pub request: PageRequest,
}

impl<T> Page<T> {
    /// Cuts the page out of the whole list; a page past the end is empty.
    pub fn cut(all: Vec<T>, request: PageRequest) -> Self {
        let total = all.len() as u64;
        let items = all.into_iter().skip(request.offset()).take(request.per_page as usize).collect();
        Self { items, total, request }
    }

    /// The same page of other items.
    pub fn map<U>(self, convert: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(convert).collect(), total: self.total, request: self.request }
    }

    /// Whether a later page has items.
    pub fn has_next(&self) -> bool {
        (self.request.offset() as u64).saturating_add(u64::from(self.request.per_page)) < self.total
    }

    /// Whether there is an earlier page.
    pub fn has_prev(&self) -> bool {
        self.request.page > 1
    }
}

impl PageRequest {
    /// How many items come before this page.
    pub fn offset(self) -> usize {
        (self.page.saturating_sub(1) as usize).saturating_mul(self.per_page as usize)
    }
}

/// Sorts stably by a key, in the wanted direction.
pub(crate) fn sort_by_key<T, K: Ord>(items: &mut [T], order: Order, key: impl Fn(&T) -> K) {
    match order {
        Order::Ascending => items.sort_by_key(|item| key(item)),
        Order::Descending => items.sort_by_key(|item| std::cmp::Reverse(key(item))),
    }
}
