//! Tokens for the hosts that models come from. What is set while we run lies in a file beside the database that only its
//! owner may read, and comes before what the operator's settings say. A token goes to the downloader and nowhere else.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use downloader::{Credentials, Downloader, Secret};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::private_file;
use crate::{Clock, Error, Settings, own_file, tasks::blocking};

const FILE_NAME: &str = "source-tokens.json";

const LONGEST: usize = 512;

/// A host that wants a token for some of its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TokenHost {
    /// huggingface.co, or its mirror.
    HuggingFace,
    /// civitai.com.
    Civitai,
}

/// Where a token comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenOrigin {
    /// Somebody set it while we ran.
    Stored,
    /// The operator's settings.
    Setting,
}

/// What may be known of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenView {
    /// Whose it is.
    pub host: TokenHost,
    /// Where it comes from; `None`: there is none.
    pub origin: Option<TokenOrigin>,
    /// When it was set; `None` where it was not set by somebody here.
    pub set_at: Option<Timestamp>,
}

/// A token as the file has it.
#[derive(Clone, Serialize, Deserialize)]
struct StoredToken {
    token: String,
    set_at: Timestamp,
}

/// The whole file, by the words for the hosts.
type Stored = BTreeMap<String, StoredToken>;

/// The tokens in force. Cheap to clone.
#[derive(Clone)]
pub struct SourceTokens {
    path: PathBuf,
    settings: Credentials,
    engine: Downloader,
    clock: Arc<dyn Clock>,
    stored: Arc<Mutex<Stored>>,
}

impl TokenHost {
    /// Every host.
    pub const ALL: [Self; 2] = [Self::HuggingFace, Self::Civitai];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HuggingFace => "huggingface",
            Self::Civitai => "civitai",
        }
    }

    /// The host of a word; `None` for any other word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|host| host.as_str() == word)
    }
}

impl SourceTokens {
    /// Reads what was set before, and gives the engine what is in force.
    pub(crate) fn start(settings: &Settings, engine: Downloader, clock: Arc<dyn Clock>) -> Self {
        let path = settings.database.0.with_file_name(FILE_NAME);
        let stored = read(&path).unwrap_or_else(|cause| {
            tracing::error!(path = %path.display(), %cause, "stored tokens cannot be read; those of the settings are used");
            Stored::new()
        });
        let settings = settings.downloader.credentials.clone();
        let tokens = Self { path, settings, engine, clock, stored: Arc::new(Mutex::new(stored)) };
        tokens.apply();
        tokens
    }

    /// What is known of each token.
    pub fn list(&self) -> Vec<TokenView> {
        let stored = self.lock();
        let view = |host: TokenHost| {
            let set_at = stored.get(host.as_str()).map(|token| token.set_at);
            let from_setting = self.setting(host).map(|_| TokenOrigin::Setting);
            TokenView { host, origin: set_at.map(|_| TokenOrigin::Stored).or(from_setting), set_at }
        };
        TokenHost::ALL.into_iter().map(view).collect()
    }

    /// Sets a token for all requests from now on.
    pub async fn set_token(&self, host: TokenHost, token: &str) -> Result<(), Error> {
        let token = token.trim();
        if token.is_empty() || token.len() > LONGEST || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            let message = format!("a token is 1 to {LONGEST} printable ASCII characters without spaces");
            return Err(Error::invalid("token", message));
        }
        let token = StoredToken { token: token.to_owned(), set_at: self.clock.now() };
        self.change(move |stored| {
            stored.insert(host.as_str().to_owned(), token);
        })
        .await?;
        tracing::info!(host = host.as_str(), "a token was set");
        Ok(())
    }

    /// Forgets a token that was set; the one of the settings, if any, is in force again.
    pub async fn clear_token(&self, host: TokenHost) -> Result<(), Error> {
        self.change(move |stored| {
            stored.remove(host.as_str());
        })
        .await?;
        tracing::info!(host = host.as_str(), "a token was cleared");
        Ok(())
    }

    /// The file changes first: what is in force outlives a restart.
    async fn change(&self, change: impl FnOnce(&mut Stored) + Send + 'static) -> Result<(), Error> {
        let this = self.clone();
        blocking(move || {
            let mut stored = this.lock();
            let mut changed = stored.clone();
            change(&mut changed);
            let content = serde_json::to_vec(&changed).map_err(io::Error::other)?;
            private_file::replace(&this.path, &content)?;
            *stored = changed;
            drop(stored);
            this.apply();
            Ok(())
        })
        .await?
        .map_err(|cause: io::Error| Error::internal(cause))
    }

    fn apply(&self) {
        let stored = self.lock();
        let in_force = |host: TokenHost| {
            let stored = stored.get(host.as_str()).map(|stored| Secret::new(&stored.token));
            stored.or_else(|| self.setting(host).cloned())
        };
        let credentials =
            Credentials { hf_token: in_force(TokenHost::HuggingFace), civitai_token: in_force(TokenHost::Civitai) };
        self.engine.set_credentials(credentials);
    }

    fn setting(&self, host: TokenHost) -> Option<&Secret> {
        match host {
            TokenHost::HuggingFace => self.settings.hf_token.as_ref(),
            TokenHost::Civitai => self.settings.civitai_token.as_ref(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Stored> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(path: &Path) -> io::Result<Stored> {
    match own_file::read(path) {
        Ok(content) => serde_json::from_slice(&content).map_err(io::Error::other),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(Stored::new()),
        Err(cause) => Err(cause),
    }
}
