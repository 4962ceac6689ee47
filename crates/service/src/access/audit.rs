//! Who did what: a line for each operation that changes something, and for each login. The trail is bounded; the oldest
//! lines make room.

use std::net::IpAddr;

use jiff::Timestamp;

use super::{Access, Actor, Identity};
use crate::{
    Error,
    page::{Page, PageRequest},
};

/// How many lines are kept, in some 20 MB at most.
const MOST_LINES: i64 = 50_000;

/// A target is cut after so many characters: it is what a request named, of any length.
const LONGEST_TARGET: usize = 300;

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was not allowed or not possible.
    Refused,
    /// It failed.
    Failed,
}

/// A line that is to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAuditRecord {
    /// What kind of credentials.
    pub actor: Actor,
    /// The id of the key or session.
    pub actor_id: String,
    /// The name of the key, as it was then.
    pub actor_name: String,
    /// Where the request came from.
    pub address: String,
    /// The operation, by its name in the document.
    pub operation: String,
    /// What it was done to, as the request named it.
    pub target: String,
    /// How it ended.
    pub outcome: Outcome,
}

/// A line of the trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// Its number.
    pub id: u64,
    /// When.
    pub at: Timestamp,
    /// What.
    pub entry: NewAuditRecord,
}

impl Outcome {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }

    pub(crate) fn parse(word: &str) -> Self {
        [Self::Done, Self::Refused].into_iter().find(|outcome| outcome.as_str() == word).unwrap_or(Self::Failed)
    }
}

impl NewAuditRecord {
    /// A line about what `identity` did from `address`; `None`: somebody who proved nothing.
    pub fn new(identity: Option<&Identity>, address: IpAddr, operation: &str, target: &str, outcome: Outcome) -> Self {
        Self {
            actor: identity.map_or(Actor::Nobody, |identity| identity.actor),
            actor_id: identity.map(|identity| identity.id.clone()).unwrap_or_default(),
            actor_name: identity.map(|identity| identity.name.clone()).unwrap_or_default(),
            address: address.to_canonical().to_string(),
            operation: operation.to_owned(),
            target: target.chars().take(LONGEST_TARGET).collect(),
            outcome,
        }
    }
}

impl Access {
    /// Adds a line to the trail.
    pub async fn record(&self, line: &NewAuditRecord) -> Result<(), Error> {
        self.store.insert_audit_record(line, MOST_LINES, self.clock.now()).await
    }

    /// A page of the trail, the latest line first.
    pub async fn list_audit(&self, request: PageRequest) -> Result<Page<AuditRecord>, Error> {
        let (items, total) = self.store.audit_records(request).await?;
        Ok(Page { items, total, request })
    }
}
