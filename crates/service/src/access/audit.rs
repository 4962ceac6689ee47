//! Who did what: a line for each operation that changes something, and for each login. The trail is bounded by class, so that
//! lines which anybody can cause never push out those that matter.

use std::net::IpAddr;

use jiff::Timestamp;

use super::{Access, Actor, Identity};
use crate::{
    Error,
    page::{Page, PageRequest},
};

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

/// What a line of the trail is worth. Each class has a quota of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditClass {
    /// Something was changed, or somebody logged in.
    Change,
    /// A password was tried and was wrong.
    Login,
    /// An operation failed.
    Failure,
    /// An operation was refused.
    Refusal,
}

/// How many lines of each class are kept: 50,000 in all by default, in some 20 MB at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditQuotas {
    /// Changes and successful logins.
    pub changes: u32,
    /// Wrong passwords.
    pub logins: u32,
    /// Operations that failed.
    pub failures: u32,
    /// Operations that were refused.
    pub refusals: u32,
}

impl Default for AuditQuotas {
    fn default() -> Self {
        Self { changes: 30_000, logins: 5_000, failures: 5_000, refusals: 10_000 }
    }
}

impl AuditQuotas {
    fn of(self, class: AuditClass) -> i64 {
        i64::from(match class {
            AuditClass::Change => self.changes,
            AuditClass::Login => self.logins,
            AuditClass::Failure => self.failures,
            AuditClass::Refusal => self.refusals,
        })
    }
}

impl AuditClass {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Change => "change",
            Self::Login => "login",
            Self::Failure => "failure",
            Self::Refusal => "refusal",
        }
    }
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
    /// Adds a line to the trail; the oldest one of its class makes room.
    pub async fn record(&self, line: &NewAuditRecord, class: AuditClass) -> Result<(), Error> {
        self.store.insert_audit_record(line, class, self.audit_quotas.of(class), self.clock.now()).await
    }

    /// A page of the trail, the latest line first.
    pub async fn list_audit(&self, request: PageRequest) -> Result<Page<AuditRecord>, Error> {
        let (items, total) = self.store.audit_records(request).await?;
        Ok(Page { items, total, request })
    }
}
