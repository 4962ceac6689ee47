//! Sessions as JSON.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use service::{access::SessionView, page::Page};
use utoipa::ToSchema;

use super::page::ListPart;

/// A session.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// Its id.
    pub id: String,
    /// Where the login came from.
    pub address: String,
    /// When it began.
    #[schema(value_type = String, format = DateTime)]
    #[serde(serialize_with = "super::units::milliseconds")]
    pub created_at: Timestamp,
    /// When it was last used, to the minute.
    #[schema(value_type = String, format = DateTime)]
    #[serde(serialize_with = "super::units::milliseconds")]
    pub last_used_at: Timestamp,
    /// It is the one that asks.
    pub current: bool,
}

/// A part of the list of sessions, the oldest first.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct SessionList {
    /// The sessions of this page.
    pub sessions: Vec<Session>,
    /// Which part of it this is.
    #[serde(flatten)]
    pub part: ListPart,
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
        Self { part: ListPart::from(&page), sessions: page.items.into_iter().map(convert).collect() }
    }
}
