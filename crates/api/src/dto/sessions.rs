//! Sessions as JSON.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use service::{access::SessionView, page::Page};
use utoipa::ToSchema;

/// A session.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// Its id.
    pub id: String,
    /// Where the login came from.
    pub address: String,
    /// When it began.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it was last used, to the minute.
    #[schema(value_type = String, format = DateTime)]
    pub last_used_at: Timestamp,
    /// It is the one that asks.
    pub current: bool,
}

/// A part of the list of sessions, the oldest first.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct SessionList {
    /// The sessions of this page.
    pub sessions: Vec<Session>,
    /// How many there are.
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

/// Sessions ended.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct SessionsRevoked {
    /// `revoked`
    pub status: String,
    /// How many.
    pub revoked: u64,
}

impl SessionList {
    /// The list as somebody with this id sees it.
    pub fn new(page: Page<SessionView>, asker: &str) -> Self {
        let convert = |view: SessionView| Session {
            current: view.id == asker,
            id: view.id,
            address: view.address,
            created_at: view.created_at,
            last_used_at: view.last_used_at,
        };
        Self {
            total: page.total,
            page: page.request.page,
            per_page: page.request.per_page,
            has_next: page.has_next(),
            has_prev: page.has_prev(),
            sessions: page.items.into_iter().map(convert).collect(),
        }
    }
}
