//! Fetches the registry from its address and keeps the last good copy of it.
//!
//! A document is judged whole before it replaces anything. Must not know when it is time to fetch, or who asks.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Mutex;
use url::Url;

use crate::catalog::Catalog;
use crate::error::RegistryError;
use crate::last_good::{self, Copy, LastGood};
use crate::remote::{HttpClient, Received, Remote};

/// Where the registry is and where its copy is kept.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// Address of the registry document, http or https.
    pub url: Url,
    /// File that holds the last good copy; its folder is made when needed.
    pub last_good: PathBuf,
    /// How it is asked.
    pub http: HttpClient,
    /// Most time for one fetch, all files of an index included.
    pub time_limit: Duration,
}

/// Fetches one registry, again and again.
#[derive(Debug)]
pub struct Client {
    remote: Remote,
    last_good: PathBuf,
    time_limit: Duration,
    /// What the server called the document that we have. The lock also keeps fetches one after the other.
    etag: Mutex<Option<String>>,
}

/// What a fetch brought.
#[derive(Clone, Debug)]
pub enum Fetched {
    /// The registry is what it was.
    NotModified,
    /// Another registry, checked, and kept on disk if the disk allowed.
    New(Arc<Catalog>),
}

impl Client {
    /// A client, and the copy that an earlier one kept, if there is one of the same address; an unusable copy is logged
    /// and passed over. Blocking: reads a file.
    #[must_use]
    pub fn open(settings: ClientSettings) -> (Self, Option<LastGood>) {
        let ClientSettings { url, last_good, http, time_limit } = settings;
        let remote = Remote::new(url, http);
        let kept = last_good::read(&last_good, &remote.shown());
        let etag = Mutex::new(kept.as_ref().and_then(|kept| kept.etag.clone()));
        (Self { remote, last_good, time_limit, etag }, kept)
    }

    /// Asks for the registry, by its ETag where one is known, and keeps a copy of a new one. `now` dates the copy.
    ///
    /// # Errors
    /// `RegistryError` when there is no usable registry; what was in force and its copy on disk stay as they were.
    pub async fn fetch(&self, now: Timestamp) -> Result<Fetched, RegistryError> {
        let mut etag = self.etag.lock().await;
        let answer = tokio::time::timeout(self.time_limit, self.remote.document(etag.as_deref())).await;
        let answer =
            answer.map_err(|_| RegistryError::TimedOut { url: self.remote.shown(), limit: self.time_limit })?;
        let Some(received) = answer? else { return Ok(Fetched::NotModified) };
        let new_etag = received.etag.clone();
        let catalog = self.judge_and_keep(received, now).await?;
        *etag = new_etag;
        Ok(Fetched::New(catalog))
    }

    async fn judge_and_keep(&self, received: Received, now: Timestamp) -> Result<Arc<Catalog>, RegistryError> {
        let path = self.last_good.clone();
        let source = self.remote.shown();
        let judge_and_keep = move || {
            let Received { document, etag } = received;
            let catalog = Arc::new(document.catalog()?);
            let copy = Copy { source, etag, fetched_at: now, document: document.into_value() };
            if let Err(error) = last_good::write(&path, &copy) {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the new registry is in force, but a start without network will not have it"
                );
            }
            Ok(catalog)
        };
        match tokio::task::spawn_blocking(judge_and_keep).await {
            Ok(outcome) => outcome,
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }
}
