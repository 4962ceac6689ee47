//! Paging and sorting as query parameters and as the keys beside a list. Limits live here and nowhere else.

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use service::page::{Order, Page, PageRequest};
use utoipa::{IntoParams, ToSchema};

/// Most items that a page may have.
pub const MOST_PER_PAGE: u32 = 100;
/// The last page that can be asked for: the document calls the number an `int32`.
const LAST_PAGE: u32 = i32::MAX as u32;

/// `page`: which part of a list, from 1.
#[derive(Debug, Clone, Copy)]
struct PageNumber(u32);

/// `per_page`: how many items a part has.
#[derive(Debug, Clone, Copy)]
struct PerPage(u32);

/// `order`: which way a list is sorted.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SortOrder {
    /// Smallest first.
    Asc,
    /// Largest first.
    Desc,
}

/// Which part of a list is wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PartQuery {
    /// Which part of the list, from 1.
    #[param(value_type = Option<u32>, minimum = 1, example = 1)]
    page: Option<PageNumber>,
    /// How many items a part has.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, example = 20)]
    per_page: Option<PerPage>,
}

/// What is asked of a list: which items are wanted, and which part of them.
#[derive(Debug)]
pub struct ListQuery<T>(pub T, pub PageRequest);

impl<'de> Deserialize<'de> for PageNumber {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = String::deserialize(input)?;
        match text.parse() {
            Ok(number) if (1..=LAST_PAGE).contains(&number) => Ok(Self(number)),
            _ => Err(D::Error::custom(format!("{text:?} is not a whole number from 1 to {LAST_PAGE}"))),
        }
    }
}

impl<'de> Deserialize<'de> for PerPage {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = String::deserialize(input)?;
        match text.parse() {
            Ok(number) if (1..=MOST_PER_PAGE).contains(&number) => Ok(Self(number)),
            _ => Err(D::Error::custom(format!("{text:?} is not a whole number from 1 to {MOST_PER_PAGE}"))),
        }
    }
}

/// The first twenty where nothing is said.
impl From<PartQuery> for PageRequest {
    fn from(query: PartQuery) -> Self {
        let default = Self::default();
        Self {
            page: query.page.map_or(default.page, |page| page.0),
            per_page: query.per_page.map_or(default.per_page, |per_page| per_page.0),
        }
    }
}

/// Which part of a list an answer has.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
pub struct ListPart {
    /// How many items the whole list has.
    pub total: u64,
    /// Which page this is.
    pub page: u32,
    /// How many items a page has.
    pub per_page: u32,
    /// There is a later page.
    pub has_next: bool,
    /// There is an earlier page.
    pub has_prev: bool,
}

impl<T> From<&Page<T>> for ListPart {
    fn from(page: &Page<T>) -> Self {
        Self {
            total: page.total,
            page: page.request.page,
            per_page: page.request.per_page,
            has_next: page.has_next(),
            has_prev: page.has_prev(),
        }
    }
}

/// A history that was deleted.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
pub struct HistoryCleared {
    /// How many entries it had.
    pub deleted: u64,
}

/// The order that the parameter asks for, or the list's own.
pub fn order_or(order: Option<SortOrder>, own: Order) -> Order {
    match order {
        None => own,
        Some(SortOrder::Asc) => Order::Ascending,
        Some(SortOrder::Desc) => Order::Descending,
    }
}
