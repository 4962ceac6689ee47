//! Sessions: rows that stand for a cookie in somebody's browser. How long one lives is for `access` to say.

use jiff::Timestamp;

use crate::{
    Error,
    access::SessionView,
    access::store::SecretHash,
    database::{Store, milliseconds, timestamp},
};

/// A session beside its hash.
pub(crate) struct StoredSession {
    pub view: SessionView,
    pub hash: SecretHash,
}

/// A session that is about to begin.
pub(crate) struct SessionInsert<'a> {
    pub view: &'a SessionView,
    pub hash: &'a SecretHash,
    /// The session that it takes the place of.
    pub previous: Option<&'a SecretHash>,
    /// The hash of the password that opened it: it begins only while that one is in force.
    pub password_hash: &'a str,
    /// How many sessions there may be at once; those that were used longest ago go.
    pub most: i64,
}

/// Which sessions are alive: those that were used and made later than this.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AliveSince {
    pub used: Timestamp,
    pub created: Timestamp,
}

struct RawSession {
    id: String,
    hash: Vec<u8>,
    address: String,
    created_at: i64,
    last_used_at: i64,
}

impl StoredSession {
    /// `None` where the hash is none of ours: it opens nothing.
    fn of(raw: RawSession) -> Option<Self> {
        let hash = raw.hash.try_into().ok()?;
        let view = SessionView {
            id: raw.id,
            address: raw.address,
            created_at: timestamp(raw.created_at),
            last_used_at: timestamp(raw.last_used_at),
        };
        Some(Self { view, hash })
    }
}

impl Store {
    /// Keeps a new session. Says whether it began: not if the password changed meanwhile.
    pub(crate) async fn insert_session(&self, new: SessionInsert<'_>) -> Result<bool, Error> {
        let (hash, previous) = (new.hash.as_slice(), new.previous.map(|hash| hash.as_slice()));
        let (created, used) = (milliseconds(new.view.created_at), milliseconds(new.view.last_used_at));
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let done = sqlx::query!(
            "INSERT INTO sessions (id, hash, address, created_at, last_used_at)
             SELECT ?1, ?2, ?3, ?4, ?5 WHERE ?6 = (SELECT hash FROM passwords ORDER BY origin LIMIT 1)",
            new.view.id,
            hash,
            new.view.address,
            created,
            used,
            new.password_hash
        )
        .execute(&mut *transaction)
        .await?;
        sqlx::query!("DELETE FROM sessions WHERE hash = ?", previous).execute(&mut *transaction).await?;
        sqlx::query!(
            "DELETE FROM sessions WHERE id NOT IN (SELECT id FROM sessions ORDER BY last_used_at DESC, id DESC LIMIT ?)",
            new.most
        )
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(done.rows_affected() > 0)
    }

    /// Every session beside its hash, alive or not, in no order.
    pub(crate) async fn stored_sessions(&self) -> Result<Vec<StoredSession>, Error> {
        let rows = sqlx::query_as!(RawSession, "SELECT * FROM sessions").fetch_all(&self.pool).await?;
        Ok(rows.into_iter().filter_map(StoredSession::of).collect())
    }

    /// Forgets the sessions that are not alive.
    pub(crate) async fn forget_expired_sessions(&self, alive: AliveSince) -> Result<(), Error> {
        let (used, created) = (milliseconds(alive.used), milliseconds(alive.created));
        sqlx::query!("DELETE FROM sessions WHERE last_used_at <= ? OR created_at <= ?", used, created)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Notes that a session was used.
    pub(crate) async fn touch_session(&self, id: &str, now: Timestamp) -> Result<(), Error> {
        let now = milliseconds(now);
        sqlx::query!("UPDATE sessions SET last_used_at = ? WHERE id = ?", now, id).execute(&self.pool).await?;
        Ok(())
    }

    /// Removes every session. Says how many there were.
    pub(crate) async fn delete_all_sessions(&self) -> Result<u64, Error> {
        Ok(sqlx::query!("DELETE FROM sessions").execute(&self.pool).await?.rows_affected())
    }

    /// Removes a session. Says whether there was one.
    pub(crate) async fn delete_session(&self, id: &str) -> Result<bool, Error> {
        let done = sqlx::query!("DELETE FROM sessions WHERE id = ?", id).execute(&self.pool).await?;
        Ok(done.rows_affected() > 0)
    }
}
