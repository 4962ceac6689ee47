//! The password: one, for people, as an argon2id hash. Checking it is slow by design, so that it is done by few at a time
//! and few times an address.

use std::{net::IpAddr, sync::Arc};

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use downloader::Secret;
use tokio::sync::Semaphore;

use super::{Access, Client, secret};
use crate::{Error, store::PasswordOrigin, tasks::blocking};

const SHORTEST: usize = 8;
const LONGEST: usize = 1024;

/// How many hashes are computed at once: each takes 19 MiB and a core for some 30 ms.
const AT_ONCE: usize = 2;
/// How many may wait for their turn. More are sent away: a login that waits for seconds helps nobody.
const WAITING: usize = 16;

/// The places at the slow hash.
#[derive(Debug, Clone)]
pub(super) struct Hashing {
    admitted: Arc<Semaphore>,
    running: Arc<Semaphore>,
}

impl Default for Hashing {
    fn default() -> Self {
        Self { admitted: Arc::new(Semaphore::new(AT_ONCE + WAITING)), running: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

impl Hashing {
    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
        let Ok(_admitted) = self.admitted.try_acquire() else {
            return Err(Error::RateLimited { retry_after: std::time::Duration::from_secs(1) });
        };
        let running = Arc::clone(&self.running).acquire_owned().await.map_err(Error::internal)?;
        blocking(move || {
            // Held by the work itself: a client that goes away frees no place while the core is still busy.
            let _running = running;
            work()
        })
        .await
    }

    async fn hash(&self, password: &str) -> Result<String, Error> {
        let password = password.to_owned();
        let hashed = self.run(move || {
            let hash: Result<PasswordHash, _> = Argon2::default().hash_password(password.as_bytes());
            hash.map(|hash| hash.to_string())
        });
        hashed.await?.map_err(|cause| Error::internal(cause.to_string()))
    }

    async fn matches(&self, password: &str, hash: &str) -> Result<bool, Error> {
        let (password, hash) = (password.to_owned(), hash.to_owned());
        let checked = self.run(move || {
            let hash = PasswordHash::new(&hash)?;
            Ok::<_, argon2::password_hash::phc::Error>(
                Argon2::default().verify_password(password.as_bytes(), &hash).is_ok(),
            )
        });
        checked.await?.map_err(|cause| Error::internal(cause.to_string()))
    }
}

/// What became of a new password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordSet {
    /// It is the password now.
    InForce,
    /// It is kept, but the operator's setting is the password for as long as it is there.
    BehindSetting,
}

impl Access {
    /// Keeps a new password and ends every session. White space around it does not count.
    pub async fn set_password(&self, password: &str) -> Result<PasswordSet, Error> {
        let password = password.trim();
        if password.chars().count() < SHORTEST || password.len() > LONGEST {
            let message = format!("a password is {SHORTEST} characters to {LONGEST} bytes long");
            return Err(Error::invalid("password", message));
        }
        let hash = self.hashing.hash(password).await?;
        self.store.replace_password(PasswordOrigin::Stored, Some(&hash), self.clock.now()).await?;
        tracing::info!("a new password was set; every session ended");
        let is_behind = self.store.password_hash_of(PasswordOrigin::Setting).await?.is_some();
        Ok(if is_behind { PasswordSet::BehindSetting } else { PasswordSet::InForce })
    }

    /// Makes a password where nobody could come in otherwise; `None` where a password or a key exists. It is to be shown
    /// once, now.
    pub async fn generate_first_password(&self) -> Result<Option<Secret>, Error> {
        if self.requires_credentials().await? {
            return Ok(None);
        }
        let password = secret::draw("")?.text;
        self.set_password(password.reveal()).await?;
        Ok(Some(password))
    }

    /// Brings the database in line with the setting. Another setting than at the last start ends every session.
    pub(super) async fn adopt_password_setting(&self, setting: Option<&Secret>) -> Result<(), Error> {
        let known = self.store.password_hash_of(PasswordOrigin::Setting).await?;
        let hash = match (setting.map(Secret::reveal), known) {
            (None, None) => return Ok(()),
            (None, Some(_)) => None,
            (Some(password), Some(hash)) if self.hashing.matches(password, &hash).await? => return Ok(()),
            (Some(password), _) => {
                if password.chars().count() < SHORTEST {
                    tracing::warn!(
                        "ACCESS_PASSWORD is shorter than {SHORTEST} characters; a longer one is harder to guess"
                    );
                }
                Some(self.hashing.hash(password).await?)
            }
        };
        self.store.replace_password(PasswordOrigin::Setting, hash.as_deref(), self.clock.now()).await
    }

    /// Checks the password for somebody at `address`, and answers with the hash that it matched. Attempts are counted, right
    /// ones too: an address that guesses gets slow.
    pub(super) async fn check_password(&self, password: &str, address: IpAddr) -> Result<String, Error> {
        let address = address.to_canonical();
        if let Some(retry_after) =
            self.logins.check(&Client::address(address)).and_then(|decision| decision.retry_after)
        {
            tracing::warn!(%address, "a login was put off: too many attempts");
            return Err(Error::RateLimited { retry_after });
        }
        let hash = self.store.password_hash().await?.ok_or(Error::Unauthorized)?;
        let password = password.trim();
        if password.len() > LONGEST || !self.hashing.matches(password, &hash).await? {
            tracing::warn!(%address, "a login failed: wrong password");
            return Err(Error::Unauthorized);
        }
        Ok(hash)
    }
}
