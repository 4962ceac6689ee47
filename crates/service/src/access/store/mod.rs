//! Keys and the password. Only hashes of secrets come here; whether they suffice is for `access` to say.

mod audit;
mod sessions;

pub(crate) use sessions::{AliveSince, SessionInsert};

use jiff::Timestamp;

use crate::{
    Error,
    access::{KeyView, Role},
    database::{Store, milliseconds, timestamp},
};

/// SHA-256 of a secret that is long and random enough to need nothing slower.
pub(crate) type SecretHash = [u8; 32];

/// A key beside its hash.
pub(crate) struct StoredKey {
    pub view: KeyView,
    pub hash: SecretHash,
    /// It was refused as expired: it stays refused, whatever the clock says later.
    pub was_refused: bool,
}

/// What a workspace is to its browsers.
#[derive(Debug, Clone)]
pub(crate) struct WorkspaceCookies {
    /// A part of the names of its cookies.
    pub id: String,
    /// Signs the cookie of browsers that logged in before.
    pub browser_key: Vec<u8>,
}

/// Where a password comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PasswordOrigin {
    /// The operator's setting.
    Setting,
    /// Kept in the database alone.
    Stored,
}

impl PasswordOrigin {
    fn as_str(self) -> &'static str {
        match self {
            Self::Setting => "setting",
            Self::Stored => "stored",
        }
    }
}

struct RawKey {
    id: String,
    name: String,
    role: String,
    hash: Vec<u8>,
    hint: String,
    created_at: i64,
    expires_at: Option<i64>,
    last_used_at: Option<i64>,
    refused_at: Option<i64>,
}

impl StoredKey {
    /// `None` where the hash is none of ours: it opens nothing.
    fn of(raw: RawKey) -> Option<Self> {
        let hash = raw.hash.try_into().ok()?;
        let view = KeyView {
            id: raw.id,
            name: raw.name,
            role: Role::parse(&raw.role).unwrap_or(Role::Read),
            hint: raw.hint,
            created_at: timestamp(raw.created_at),
            expires_at: raw.expires_at.map(timestamp),
            last_used_at: raw.last_used_at.map(timestamp),
        };
        Some(Self { view, hash, was_refused: raw.refused_at.is_some() })
    }
}

impl Store {
    /// Whether anybody can prove who they are, apart from what the operator's setting gave.
    pub(crate) async fn has_kept_credentials(&self) -> Result<bool, Error> {
        let found = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT 1 FROM passwords WHERE origin = 'stored') OR EXISTS (SELECT 1 FROM access_keys)
               AS "found!: bool""#
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(found)
    }

    /// Keeps a new key.
    pub(crate) async fn insert_key(&self, key: &KeyView, hash: &SecretHash) -> Result<(), Error> {
        let (role, hash) = (key.role.as_str(), hash.as_slice());
        let (created, expires) = (milliseconds(key.created_at), key.expires_at.map(milliseconds));
        sqlx::query!(
            "INSERT INTO access_keys (id, name, role, hash, hint, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
            key.id,
            key.name,
            role,
            hash,
            key.hint,
            created,
            expires
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Every key beside its hash, in no order.
    pub(crate) async fn stored_keys(&self) -> Result<Vec<StoredKey>, Error> {
        let rows = sqlx::query_as!(RawKey, "SELECT * FROM access_keys").fetch_all(&self.pool).await?;
        Ok(rows.into_iter().filter_map(StoredKey::of).collect())
    }

    /// Notes that a key was refused as expired.
    pub(crate) async fn mark_key_refused(&self, id: &str, now: Timestamp) -> Result<(), Error> {
        let now = milliseconds(now);
        sqlx::query!("UPDATE access_keys SET refused_at = ? WHERE id = ? AND refused_at IS NULL", now, id)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// What this workspace is to its browsers.
    pub(crate) async fn workspace_cookies(&self) -> Result<WorkspaceCookies, Error> {
        let row =
            sqlx::query!("SELECT cookie_id, browser_key FROM workspace WHERE id = 1").fetch_one(&self.pool).await?;
        Ok(WorkspaceCookies { id: row.cookie_id, browser_key: row.browser_key })
    }

    /// Whether a login succeeded from this network before.
    pub(crate) async fn is_known_network(&self, network: &str) -> Result<bool, Error> {
        let found = sqlx::query_scalar!(
            r#"SELECT EXISTS (SELECT 1 FROM known_networks WHERE network = ?) AS "found!: bool""#,
            network
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(found)
    }

    /// Notes that a login succeeded from this network, and forgets those beyond the `most` latest.
    pub(crate) async fn remember_network(&self, network: &str, now: Timestamp, most: i64) -> Result<(), Error> {
        let now = milliseconds(now);
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::query!(
            "INSERT INTO known_networks (network, last_login_at) VALUES (?1, ?2)
             ON CONFLICT (network) DO UPDATE SET last_login_at = ?2",
            network,
            now
        )
        .execute(&mut *transaction)
        .await?;
        sqlx::query!(
            "DELETE FROM known_networks WHERE network NOT IN
             (SELECT network FROM known_networks ORDER BY last_login_at DESC, network LIMIT ?)",
            most
        )
        .execute(&mut *transaction)
        .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Notes that a key was used.
    pub(crate) async fn touch_key(&self, id: &str, now: Timestamp) -> Result<(), Error> {
        let now = milliseconds(now);
        sqlx::query!("UPDATE access_keys SET last_used_at = ? WHERE id = ?", now, id).execute(&self.pool).await?;
        Ok(())
    }

    /// Removes a key. Says whether there was one.
    pub(crate) async fn delete_key(&self, id: &str) -> Result<bool, Error> {
        let done = sqlx::query!("DELETE FROM access_keys WHERE id = ?", id).execute(&self.pool).await?;
        Ok(done.rows_affected() > 0)
    }

    /// The hash of the password of one origin.
    pub(crate) async fn password_hash_of(&self, origin: PasswordOrigin) -> Result<Option<String>, Error> {
        let origin = origin.as_str();
        let hash = sqlx::query_scalar!("SELECT hash FROM passwords WHERE origin = ?", origin)
            .fetch_optional(&self.pool)
            .await?;
        Ok(hash)
    }

    /// Puts a password in its place, or takes it away, and ends every session with it.
    pub(crate) async fn replace_password(
        &self,
        origin: PasswordOrigin,
        hash: Option<&str>,
        now: Timestamp,
    ) -> Result<(), Error> {
        let (origin, now) = (origin.as_str(), milliseconds(now));
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        sqlx::query!("DELETE FROM passwords WHERE origin = ?", origin).execute(&mut *transaction).await?;
        if let Some(hash) = hash {
            sqlx::query!("INSERT INTO passwords (origin, hash, set_at) VALUES (?, ?, ?)", origin, hash, now)
                .execute(&mut *transaction)
                .await?;
        }
        sqlx::query!("DELETE FROM sessions").execute(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(())
    }
}
