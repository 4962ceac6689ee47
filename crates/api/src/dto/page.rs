//! Paging and sorting as query parameters and as the keys beside a list. Limits live here and nowhere else.

use serde::{Deserialize, Deserializer, de::Error as _};
use service::page::{Order, PageRequest};
use utoipa::{IntoParams, ToSchema};

/// Most items that a page may have.
pub const MOST_PER_PAGE: u32 = 100;
/// The last page that can be asked for: the document calls the number an `int32`.
const LAST_PAGE: u32 = i32::MAX as u32;

/// `page`: which part of a list, from 1.
#[derive(Debug, Clone, Copy)]
pub struct PageNumber(u32);

/// `per_page`: how many items a part has.
#[derive(Debug, Clone, Copy)]
pub struct PerPage(u32);

/// `order`: which way a list is sorted.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SortOrder {
    /// Smallest first.
    Asc,
    /// Largest first.
    Desc,
}

/// Which part of a list is wanted, of one that has an order of its own.
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

impl From<PartQuery> for PageRequest {
    fn from(query: PartQuery) -> Self {
        page_request(query.page, query.per_page)
    }
}

/// The page that the parameters ask for: the first twenty where they say nothing.
pub fn page_request(page: Option<PageNumber>, per_page: Option<PerPage>) -> PageRequest {
    let default = PageRequest::default();
    PageRequest {
        page: page.map_or(default.page, |page| page.0),
        per_page: per_page.map_or(default.per_page, |per_page| per_page.0),
    }
}

/// The order that the parameter asks for, or the list's own.
pub fn order_or(order: Option<SortOrder>, own: Order) -> Order {
    match order {
        None => own,
        Some(SortOrder::Asc) => Order::Ascending,
        Some(SortOrder::Desc) => Order::Descending,
    }
}
