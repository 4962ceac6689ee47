//! Who may come in: keys, the password, sessions, the token of the shell, how often each may ask, and what was done.
//!
//! It says who somebody is and how far they reach. Which operation needs which role, and what HTTP has to do with any of
//! it, it does not know. Secrets are kept as hashes and shown once, when they are made.

mod audit;
mod browser;
mod changes;
mod guesses;
mod identity;
mod keys;
mod memory;
mod password;
mod private_file;
mod rate_limit;
mod secret;
mod sessions;
mod shell_token;
mod source_tokens;
mod steady_clock;
pub(crate) mod store;

use std::{net::IpAddr, path::Path, sync::Arc, time::Duration};

use downloader::Secret;
use tokio_util::sync::CancellationToken;

pub use api_types::access::Role;
pub use audit::{AuditClass, AuditQuotas, AuditRecord, NewAuditRecord, Outcome};
pub use identity::{Actor, Credential, Identity};
pub use keys::{KEY_PREFIX, KeyView, NewKey};
pub use password::{FAILED_LOGIN, PasswordSet};
pub use rate_limit::{Client, Decision, RateLimits};
pub use sessions::{ABSOLUTE_END, IDLE_END, SessionView};
pub use shell_token::read_shell_token;
pub use source_tokens::{SourceTokens, TokenHost, TokenOrigin, TokenView};

use crate::{Clock, Error, Settings, access::store::WorkspaceCookies, database::Store};
use memory::{Credentials, Memory};
use shell_token::ShellToken;

/// How many login requests of any form a browser or an address may send in a minute: all at once, then one every six
/// seconds.
const LOGINS_A_MINUTE: u32 = 10;

/// What is settled about access before the start.
#[derive(Debug, Clone)]
pub struct AccessSettings {
    /// The operator's password; `None`: only a stored one, if any.
    pub password: Option<Secret>,
    /// Requests a minute from an address without credentials; 0 is no limit.
    pub anonymous_requests_a_minute: u32,
    /// Requests a minute with a key or a session; 0 is no limit.
    pub known_requests_a_minute: u32,
    /// How many lines of the audit trail are kept.
    pub audit_quotas: AuditQuotas,
}

/// How a person can sign in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoginWay {
    /// With the password.
    Password,
    /// With a key alone: no password is set.
    Keys,
    /// There is neither a password nor a key.
    None,
}

/// Where a login comes from.
#[derive(Debug, Clone, Copy)]
pub struct LoginSource<'a> {
    /// The address.
    pub address: IpAddr,
    /// The value of the cookie that browsers keep which logged in before.
    pub browser: Option<&'a str>,
}

impl From<IpAddr> for LoginSource<'_> {
    fn from(address: IpAddr) -> Self {
        Self { address, browser: None }
    }
}

impl Default for AccessSettings {
    fn default() -> Self {
        Self {
            password: None,
            anonymous_requests_a_minute: 100,
            known_requests_a_minute: 1000,
            audit_quotas: AuditQuotas::default(),
        }
    }
}

/// Everything about who may come in. Cheap to clone.
#[derive(Clone)]
pub struct Access {
    /// How often each client may ask.
    pub limits: Arc<RateLimits>,
    store: Store,
    clock: Arc<dyn Clock>,
    audit_quotas: AuditQuotas,
    cookies: Arc<WorkspaceCookies>,
    /// Of those who logged in before, by network or by browser.
    known: Arc<password::Attempts>,
    strangers: Arc<password::Attempts>,
    logins: Arc<rate_limit::Limiter>,
    page: Arc<secret::Drawn>,
    shell: Option<Arc<ShellToken>>,
    memory: Arc<Memory>,
}

impl Access {
    /// Access without a server around it, for the shell: it works on the same database while a server runs.
    pub async fn open(database: &Path, clock: impl Clock) -> Result<Self, Error> {
        Self::new(Store::open(database).await?, database, Arc::new(clock), &AccessSettings::default()).await
    }

    /// Access of a server: the setting of the password is adopted, and the shell gets its token. On a disk that does not
    /// take the token it goes without.
    pub(crate) async fn start(store: Store, clock: Arc<dyn Clock>, settings: &Settings) -> Result<Self, Error> {
        let mut access = Self::new(store, &settings.database.0, clock, &settings.access).await?;
        access.memory.shorten_changes().await?;
        access.adopt_password_setting(settings.access.password.as_ref()).await?;
        match ShellToken::create(&settings.database.0) {
            Ok(token) => access.shell = Some(Arc::new(token)),
            Err(cause) => tracing::warn!(error = ?cause, "the shell has no token, and is a stranger to this server"),
        }
        Ok(access)
    }

    async fn new(
        store: Store,
        database: &Path,
        clock: Arc<dyn Clock>,
        settings: &AccessSettings,
    ) -> Result<Self, Error> {
        let (anonymous, known) = (settings.anonymous_requests_a_minute, settings.known_requests_a_minute);
        Ok(Self {
            limits: Arc::new(RateLimits::new(anonymous, known, &clock)),
            logins: Arc::new(rate_limit::Limiter::new(LOGINS_A_MINUTE, Duration::from_secs(60), Arc::clone(&clock))),
            known: Arc::new(password::Attempts::new(Arc::clone(&clock))),
            strangers: Arc::new(password::Attempts::new(Arc::clone(&clock))),
            audit_quotas: settings.audit_quotas,
            cookies: Arc::new(store.workspace_cookies().await?),
            page: Arc::new(secret::draw("")?),
            shell: None,
            memory: Arc::new(Memory::open(store.clone(), database).await?),
            store,
            clock,
        })
    }

    /// Whether a server on this database would have anybody who can prove who they are: by the setting of the password, by
    /// a stored one, or by a key. It makes nothing.
    pub async fn would_require_credentials(database: &Path, settings: &AccessSettings) -> Result<bool, Error> {
        if settings.password.is_some() || !database.exists() {
            return Ok(settings.password.is_some());
        }
        let store = Store::open(database).await?;
        let found = store.has_kept_credentials().await;
        store.close().await;
        found
    }

    /// How a person can sign in.
    pub async fn login_way(&self) -> Result<LoginWay, Error> {
        let known = self.credentials().await?;
        Ok(if known.password_hash().is_some() {
            LoginWay::Password
        } else if known.has_any() {
            LoginWay::Keys
        } else {
            LoginWay::None
        })
    }

    /// Whether a password is set or a key exists, so that nobody is trusted for being at this machine.
    pub async fn requires_credentials(&self) -> Result<bool, Error> {
        Ok(self.credentials().await?.has_any())
    }

    async fn credentials(&self) -> Result<Arc<Credentials>, Error> {
        self.memory.credentials().await
    }

    /// Notes in the database when keys and sessions were used, until the stop.
    pub(crate) async fn write_uses_until(self, stop: CancellationToken) -> Result<(), Error> {
        self.memory.write_uses_until(&stop).await;
        Ok(())
    }

    /// Closes the database that [`open`](Self::open) opened.
    pub async fn close(&self) {
        self.memory.write_uses().await;
        self.store.close().await;
    }
}

/// A use that could not be noted, as on a full disk, is no reason to refuse it.
fn note(id: &str, noted: Result<(), Error>) {
    if let Err(cause) = noted {
        tracing::warn!(id, error = ?cause, "a use could not be noted");
    }
}
