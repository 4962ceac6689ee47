//! The password: one, for people, as an argon2id hash. Checking it is slow by design, so that it is done by few at a time.
//! Half of the places is kept for those who logged in before: strangers who guess cannot keep them out.

use std::{net::IpAddr, sync::Arc};

use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use downloader::Secret;
use tokio::sync::Semaphore;

use super::{
    Access, Client, Decision, LoginSource,
    guesses::{Guesser, Guesses, network_of},
    note, secret,
};
use crate::{Clock, Error, access::store::PasswordOrigin, tasks::blocking};

const SHORTEST: usize = 8;
const LONGEST: usize = 1024;

/// How many hashes are computed at once for those who logged in before, and as many for strangers: each takes 19 MiB and a
/// core for some 30 ms.
const AT_ONCE: usize = 1;
/// How many of either may wait for their turn. More are sent away: a login that waits for seconds helps nobody.
const WAITING: usize = 8;
/// How many networks count as known; those whose last login is longest ago go.
const MOST_KNOWN_NETWORKS: i64 = 1000;

/// The passwords that are tried by those who logged in before, or by strangers.
pub(super) struct Attempts {
    guesses: Guesses,
    hashing: Hashing,
}

impl Attempts {
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { guesses: Guesses::new(clock), hashing: Hashing::default() }
    }

    /// Whether the password is the one with this hash, once the guessers need not wait any more.
    async fn judge(&self, guessers: &[Guesser], password: &str, hash: &str) -> Result<bool, Error> {
        self.guesses.begin(guessers)?;
        let judged = if password.len() > LONGEST { Ok(false) } else { self.hashing.matches(password, hash).await };
        match judged {
            Ok(true) => self.guesses.forgive(guessers),
            Ok(false) => {}
            Err(_) => self.guesses.take_back(guessers),
        }
        judged
    }
}

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

/// The log target of login attempts. Any client can cause such lines, so they have a log quota of their own.
pub const FAILED_LOGIN: &str = "service::access::failed_login";

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
        let hash = self.known.hashing.hash(password).await?;
        self.replace_password(PasswordOrigin::Stored, Some(&hash)).await?;
        tracing::info!("a new password was set; every session ended");
        let is_behind = self.credentials().await?.setting_password_hash().is_some();
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
        let known = self.credentials().await?;
        let hash = match (setting.map(Secret::reveal), known.setting_password_hash()) {
            (None, None) => return Ok(()),
            (None, Some(_)) => None,
            (Some(password), Some(hash)) if self.known.hashing.matches(password, hash).await? => return Ok(()),
            (Some(password), _) => {
                if password.chars().count() < SHORTEST {
                    tracing::warn!(
                        "ACCESS_PASSWORD is shorter than {SHORTEST} characters; a longer one is harder to guess"
                    );
                }
                Some(self.known.hashing.hash(password).await?)
            }
        };
        self.replace_password(PasswordOrigin::Setting, hash.as_deref()).await
    }

    async fn replace_password(&self, origin: PasswordOrigin, hash: Option<&str>) -> Result<(), Error> {
        self.memory.change(self.store.replace_password(origin, hash, self.clock.now())).await
    }

    /// Counts a login request, whatever is in it. The request must not be noted or answered otherwise where the decision
    /// refuses it.
    pub fn count_login(&self, source: &LoginSource<'_>) -> Option<Decision> {
        let browser = source.browser.and_then(|cookie| self.browser_of(cookie));
        self.logins.check(&browser.map_or_else(|| Client::address(source.address), Client::Known))
    }

    /// Checks the password of a login, and answers with the hash that it matched. Each wrong one makes the next one wait
    /// longer.
    pub(super) async fn check_password(&self, password: &str, source: &LoginSource<'_>) -> Result<String, Error> {
        let address = source.address.to_canonical();
        let hash = self.credentials().await?.password_hash().ok_or(Error::Unauthorized)?.to_owned();
        let (attempts, guessers) = self.attempts_of(source).await?;
        match attempts.judge(&guessers, password.trim(), &hash).await {
            Ok(true) => Ok(hash),
            Ok(false) => {
                tracing::warn!(target: FAILED_LOGIN, %address, "login failed: wrong password");
                Err(Error::Unauthorized)
            }
            Err(Error::RateLimited { retry_after }) => {
                let seconds = retry_after.as_secs().max(1);
                tracing::warn!(target: FAILED_LOGIN, %address, seconds, "login refused: too many wrong passwords");
                Err(Error::RateLimited { retry_after })
            }
            Err(other) => Err(other),
        }
    }

    /// With whom a login is counted, and as whom.
    async fn attempts_of(&self, source: &LoginSource<'_>) -> Result<(&Attempts, Vec<Guesser>), Error> {
        if let Some(id) = source.browser.and_then(|cookie| self.browser_of(cookie)) {
            return Ok((&self.known, vec![Guesser::Browser(id)]));
        }
        let network = network_of(source.address);
        if self.store.is_known_network(&network.to_string()).await? {
            return Ok((&self.known, vec![Guesser::Network(network)]));
        }
        Ok((&self.strangers, Guesser::strangers_at(source.address)))
    }

    /// Notes that a login succeeded from this address.
    pub(super) async fn remember_network(&self, address: IpAddr) {
        let network = network_of(address).to_string();
        note(&network, self.store.remember_network(&network, self.clock.now(), MOST_KNOWN_NETWORKS).await);
    }
}
