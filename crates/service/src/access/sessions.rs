//! Sessions: for browsers. A login with the password gives a cookie; the database knows its hash, so that it outlives a
//! restart of ours, and ends with the next change of the password.

use downloader::Secret;
use jiff::{SignedDuration, Timestamp};

use super::{Access, LoginSource, memory::Known, note, secret};
use crate::{
    Error, Resource,
    access::store::{AliveSince, SessionInsert},
    ids::new_session_id,
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
    pub async fn log_in<'a>(
        &self,
        password: &str,
        source: impl Into<LoginSource<'a>>,
        previous: Option<&str>,
    ) -> Result<(Secret, SessionView), Error> {
        let source = source.into();
        let password_hash = self.check_password(password, &source).await?;
        let now = self.clock.now();
        let drawn = secret::draw("")?;
        let previous = previous.map(secret::hash_of);
        let session = SessionView {
            id: new_session_id(),
            address: source.address.to_canonical().to_string(),
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
        let begun = self.memory.change(async {
            self.store.forget_expired_sessions(alive_at(now)).await?;
            self.store.insert_session(insert).await
        });
        if !begun.await? {
            return Err(Error::Unauthorized);
        }
        self.remember_network(source.address).await;
        tracing::info!(session = %session.id, address = %session.address, "session opened");
        Ok((drawn.text, session))
    }

    /// Ends the session of a cookie. One that has ended already is no failure.
    pub async fn log_out(&self, cookie: &str) -> Result<(), Error> {
        if let Some(session) = self.credentials().await?.session(&secret::hash_of(cookie)) {
            self.memory.change(self.store.delete_session(&session.view().id)).await?;
        }
        Ok(())
    }

    /// Every living session, the oldest first.
    pub async fn list_sessions(&self) -> Result<Vec<SessionView>, Error> {
        let alive = alive_at(self.clock.now());
        let mut sessions = self.credentials().await?.sessions();
        sessions.retain(|session| is_alive(session, alive));
        Ok(sessions)
    }

    /// Ends a session.
    pub async fn revoke_session(&self, id: &str) -> Result<(), Error> {
        if !self.memory.change(self.store.delete_session(id)).await? {
            return Err(Error::NotFound { resource: Resource::Session, id: id.to_owned() });
        }
        tracing::info!(session = id, "a session was ended");
        Ok(())
    }

    /// Ends every session, and says how many lived.
    pub async fn revoke_all_sessions(&self) -> Result<u64, Error> {
        let ended = self.memory.change(async {
            self.store.forget_expired_sessions(alive_at(self.clock.now())).await?;
            self.store.delete_all_sessions().await
        });
        let ended = ended.await?;
        tracing::info!(ended, "every session was ended");
        Ok(ended)
    }

    /// Whether the session of this id still lives. A connection that lasts is a use of it.
    pub(super) async fn is_living_session(&self, id: &str) -> Result<bool, Error> {
        match self.credentials().await?.session_by_id(id) {
            Some(session) => Ok(self.use_session(session).await),
            None => Ok(false),
        }
    }

    /// Whether a session lives; if so, this is a use of it. One that has ended is removed, so that a clock that is set back
    /// does not revive it.
    async fn use_session(&self, session: &Known<SessionView>) -> bool {
        if session.has_ended() {
            return false;
        }
        let (view, now) = (session.view(), self.clock.now());
        if !is_alive(&view, alive_at(now)) {
            if session.end() {
                note(&view.id, self.store.delete_session(&view.id).await.map(drop));
            }
            return false;
        }
        self.memory.use_session(session, now);
        true
    }

    /// The living session that a cookie stands for.
    pub(super) async fn session_of(&self, cookie: &str) -> Result<SessionView, Error> {
        let known = self.credentials().await?;
        let session = known.session(&secret::hash_of(cookie)).ok_or(Error::Unauthorized)?;
        if !self.use_session(session).await {
            return Err(Error::Unauthorized);
        }
        Ok(session.view())
    }
}

fn is_alive(session: &SessionView, alive: AliveSince) -> bool {
    session.last_used_at > alive.used && session.created_at > alive.created
}

fn alive_at(now: Timestamp) -> AliveSince {
    let before = |age| now.checked_sub(age).unwrap_or(Timestamp::UNIX_EPOCH);
    AliveSince { used: before(IDLE_END), created: before(ABSOLUTE_END) }
}
