//! Keys: for programs. One is shown once, when it is made; what stays is its hash and how it begins.

use std::sync::Arc;

use downloader::Secret;
use jiff::{SignedDuration, Timestamp};

use super::{Access, Role, memory::Known, note, secret};
use crate::{Error, Resource, ids::new_key_id, text};

/// How every key begins, for scanners of leaked secrets.
pub const KEY_PREFIX: &str = "cdk_";

/// How much of a key stays readable in lists.
const HINT_LENGTH: usize = KEY_PREFIX.len() + 4;

const LONGEST_NAME: usize = 100;

/// How exactly "last used" is known.
pub(super) const USE_IS_NOTED_EVERY: SignedDuration = SignedDuration::from_secs(60);

/// What is known of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyView {
    /// Its id.
    pub id: String,
    /// What its maker calls it.
    pub name: String,
    /// How far it reaches.
    pub role: Role,
    /// How it begins.
    pub hint: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops to work; `None`: never.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the minute; `None`: never.
    pub last_used_at: Option<Timestamp>,
}

/// A key that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewKey {
    /// What to call it.
    pub name: String,
    /// How far it reaches.
    pub role: Role,
    /// When it stops to work; `None`: never.
    pub expires_at: Option<Timestamp>,
}

impl Access {
    /// Makes a key. The secret is never to be had again.
    pub async fn generate_key(&self, new: NewKey) -> Result<(Secret, KeyView), Error> {
        let name = new.name.trim();
        if name.is_empty() || name.chars().count() > LONGEST_NAME || name.chars().any(text::is_unprintable) {
            let message = format!(
                "the name of a key is 1 to {LONGEST_NAME} characters in one line, without control or invisible characters"
            );
            return Err(Error::invalid("name", message));
        }
        let now = self.clock.now();
        if new.expires_at.is_some_and(|end| end <= now) {
            return Err(Error::invalid("expires_at", "a key can only expire in the future"));
        }
        let drawn = secret::draw(KEY_PREFIX)?;
        let key = KeyView {
            id: new_key_id(),
            name: name.to_owned(),
            role: new.role,
            hint: drawn.text.reveal().chars().take(HINT_LENGTH).collect(),
            created_at: now,
            expires_at: new.expires_at,
            last_used_at: None,
        };
        self.memory.change(self.store.insert_key(&key, &drawn.hash)).await?;
        tracing::info!(key = %key.id, name = %key.name, role = key.role.as_str(), "a key was made");
        Ok((drawn.text, key))
    }

    /// Every key, the oldest first; expired ones too.
    pub async fn list_keys(&self) -> Result<Vec<KeyView>, Error> {
        Ok(self.credentials().await?.keys())
    }

    /// Ends a key: the next request with it is refused, whichever process asked for the end.
    pub async fn revoke_key(&self, id: &str) -> Result<(), Error> {
        if !self.memory.change(self.store.delete_key(id)).await? {
            return Err(Error::NotFound { resource: Resource::Key, id: id.to_owned() });
        }
        tracing::info!(key = id, "a key was revoked");
        Ok(())
    }

    /// Whether the key of this id still works.
    pub(super) async fn is_living_key(&self, id: &str) -> Result<bool, Error> {
        match self.credentials().await?.key_by_id(id) {
            Some(key) => Ok(self.is_living(key).await),
            None => Ok(false),
        }
    }

    /// Whether a key has not expired. One that was refused once stays refused when the clock is set back.
    async fn is_living(&self, key: &Known<KeyView>) -> bool {
        if key.has_ended() {
            return false;
        }
        let (now, view) = (self.clock.now(), key.key());
        let has_expired = view.expires_at.is_some_and(|end| end <= now);
        if has_expired && key.end() {
            note(&view.id, self.store.mark_key_refused(&view.id, now).await);
        }
        !has_expired
    }

    /// The living key that `text` is.
    pub(super) async fn key_of(&self, text: &str) -> Result<Arc<Known<KeyView>>, Error> {
        let known = self.credentials().await?;
        let key = known.key(&secret::hash_of(text)).ok_or(Error::Unauthorized)?;
        if !self.is_living(key).await {
            return Err(Error::Unauthorized);
        }
        self.memory.use_key(key, self.clock.now());
        Ok(Arc::clone(key))
    }
}
