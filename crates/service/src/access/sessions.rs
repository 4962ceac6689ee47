//! Sessions: for browsers. A login with the password gives a cookie; the database knows its hash, so that it outlives a
//! restart of ours, and ends with the next change of the password.

use std::net::IpAddr;

use downloader::Secret;
use jiff::{SignedDuration, Timestamp};

use super::{Access, keys::USE_IS_NOTED_EVERY, note, secret};
use crate::{
    Error, Resource,
    ids::new_session_id,
    store::{AliveSince, SessionInsert, StoredSession},
};

/// A session that nobody uses for so long has ended.
pub const IDLE_END: SignedDuration = SignedDuration::from_hours(24);
/// A session ends after so long, however busy it is.
pub const ABSOLUTE_END: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How many sessions there are at most; the one that was used longest ago makes room.
const MOST_SESSIONS: i64 = 200;

/// What is known of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionView {
    /// Its id, which opens nothing.
    pub id: String,
    /// Where the login came from.
    pub address: String,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last used, to the minute.
    pub last_used_at: Timestamp,
}

impl Access {
    /// Opens a session with the password. It takes the place of the session that the browser had: a cookie that somebody
    /// planted before the login is worth nothing after it.
    pub async fn log_in(
        &self,
        password: &str,
        address: IpAddr,
        previous: Option<&str>,
    ) -> Result<(Secret, SessionView), Error> {
        let password_hash = self.check_password(password, address).await?;
        let now = self.clock.now();
        self.store.forget_expired_sessions(alive_at(now)).await?;
        let drawn = secret::draw("")?;
        let previous = previous.map(secret::hash_of);
        let session = SessionView {
            id: new_session_id(),
            address: address.to_canonical().to_string(),
            created_at: now,
            last_used_at: now,
        };
        let insert = SessionInsert {
            view: &session,
            hash: &drawn.hash,
            previous: previous.as_ref(),
            password_hash: &password_hash,
            most: MOST_SESSIONS,
        };
        if !self.store.insert_session(insert).await? {
            return Err(Error::Unauthorized);
        }
        tracing::info!(session = %session.id, address = %session.address, "somebody logged in");
        Ok((drawn.text, session))
    }

    /// Ends the session of a cookie. One that has ended already is no failure.
    pub async fn log_out(&self, cookie: &str) -> Result<(), Error> {
        if let Some(stored) = self.store.session_by_hash(&secret::hash_of(cookie)).await? {
            self.store.delete_session(&stored.view.id).await?;
        }
        Ok(())
    }

    /// Every living session, the oldest first.
    pub async fn list_sessions(&self) -> Result<Vec<SessionView>, Error> {
        self.store.sessions(alive_at(self.clock.now())).await
    }

    /// Ends a session.
    pub async fn revoke_session(&self, id: &str) -> Result<(), Error> {
        if !self.store.delete_session(id).await? {
            return Err(Error::NotFound { resource: Resource::Session, id: id.to_owned() });
        }
        tracing::info!(session = id, "a session was ended");
        Ok(())
    }

    /// Ends every session, and says how many lived.
    pub async fn revoke_all_sessions(&self) -> Result<u64, Error> {
        self.store.forget_expired_sessions(alive_at(self.clock.now())).await?;
        let ended = self.store.delete_all_sessions().await?;
        tracing::info!(ended, "every session was ended");
        Ok(ended)
    }

    /// Whether the session of this id still lives. A connection that lasts is a use of it.
    pub(super) async fn is_living_session(&self, id: &str) -> Result<bool, Error> {
        let now = self.clock.now();
        let living = self.store.sessions(alive_at(now)).await?;
        let Some(session) = living.iter().find(|session| session.id == id) else { return Ok(false) };
        if now.duration_since(session.last_used_at) >= USE_IS_NOTED_EVERY {
            note(id, self.store.touch_session(id, now).await);
        }
        Ok(true)
    }

    /// The living session that a cookie stands for.
    pub(super) async fn session_of(&self, cookie: &str) -> Result<SessionView, Error> {
        let hash = secret::hash_of(cookie);
        let Some(StoredSession { view, hash: stored }) = self.store.session_by_hash(&hash).await? else {
            return Err(Error::Unauthorized);
        };
        let now = self.clock.now();
        let alive = alive_at(now);
        let is_alive = view.last_used_at > alive.used && view.created_at > alive.created;
        if !secret::is_same(&hash, &stored) || !is_alive {
            return Err(Error::Unauthorized);
        }
        if now.duration_since(view.last_used_at) >= USE_IS_NOTED_EVERY {
            note(&view.id, self.store.touch_session(&view.id, now).await);
        }
        Ok(view)
    }
}

fn alive_at(now: Timestamp) -> AliveSince {
    let before = |age| now.checked_sub(age).unwrap_or(Timestamp::UNIX_EPOCH);
    AliveSince { used: before(IDLE_END), created: before(ABSOLUTE_END) }
}
