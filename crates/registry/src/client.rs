//! Fetches the registry from its address and keeps the last good copy of it.
//!
//! A document is judged whole before it replaces anything. Must not know when it is time to fetch, or who asks.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use reqwest::header::{ETAG, IF_NONE_MATCH};
use reqwest::redirect::{Action, Attempt, Policy};
use reqwest::{Response, StatusCode};
use tokio::sync::Mutex;
use url::Url;

use crate::catalog::Catalog;
use crate::document::{Document, PresetFile};
use crate::error::RegistryError;
use crate::last_good::{self, Copy, LastGood};
use crate::limits;

/// How many preset files of an index are asked for at once.
const PRESET_FILES_AT_ONCE: usize = 8;
/// How many redirects are followed.
const MOST_REDIRECTS: usize = 5;

/// Where the registry is and where its copy is kept.
#[derive(Clone, Debug)]
pub struct ClientSettings {
    /// Address of the registry document, http or https.
    pub url: Url,
    /// File that holds the last good copy; its folder is made when needed.
    pub last_good: PathBuf,
    /// Most time for one fetch, all files of an index included.
    pub time_limit: Duration,
}

/// Fetches one registry, again and again.
#[derive(Debug)]
pub struct Client {
    http: reqwest::Client,
    settings: ClientSettings,
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
    /// A client, and the copy that an earlier one kept, if there is one of the same address. Blocking: reads a file.
    ///
    /// # Errors
    /// `HttpClient` when no HTTP client can be made. An unusable copy is logged and is no error.
    pub fn open(settings: ClientSettings) -> Result<(Self, Option<LastGood>), RegistryError> {
        // The first provider of a process stays; whether it is this one does not matter.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .user_agent(concat!("comfyui-dashboard/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(settings.time_limit.min(Duration::from_secs(10)))
            .redirect(Policy::custom(follow))
            .build()
            .map_err(|source| RegistryError::HttpClient { source })?;
        let last_good = last_good::read(&settings.last_good, &shown(&settings.url));
        let etag = Mutex::new(last_good.as_ref().and_then(|kept| kept.etag.clone()));
        Ok((
            Self {
                http,
                settings,
                etag,
            },
            last_good,
        ))
    }

    /// Asks for the registry, unchanged ones by their ETag, and keeps a copy of a new one. `now` dates the copy.
    ///
    /// # Errors
    /// `RegistryError` when there is no usable registry; what was in force and its copy on disk stay as they were.
    pub async fn fetch(&self, now: Timestamp) -> Result<Fetched, RegistryError> {
        let mut etag = self.etag.lock().await;
        let limit = self.settings.time_limit;
        let answer = tokio::time::timeout(limit, self.document(etag.as_deref())).await;
        let answer = answer.map_err(|_| RegistryError::TimedOut {
            url: self.shown(),
            limit,
        })??;
        let Some((document, new_etag)) = answer else {
            return Ok(Fetched::NotModified);
        };
        let catalog = self.judge_and_keep(document, new_etag.clone(), now).await?;
        *etag = new_etag;
        Ok(Fetched::New(catalog))
    }

    /// The document with all its presets, and its ETag; `None` when it is the one that `etag` names.
    async fn document(
        &self,
        etag: Option<&str>,
    ) -> Result<Option<(Document, Option<String>)>, RegistryError> {
        let response = self.get(&self.settings.url, etag).await?;
        if response.status() == StatusCode::NOT_MODIFIED && etag.is_some() {
            return Ok(None);
        }
        let response = successful(response, &self.settings.url)?;
        let new_etag = response
            .headers()
            .get(ETAG)
            .and_then(|value| value.to_str().ok());
        let new_etag = new_etag.map(str::to_owned);
        let text = body(response, &self.settings.url, limits::DOCUMENT).await?;
        let mut document = Document::parse(&text, &self.shown())?;
        let files = document.preset_files();
        self.add_preset_files(&mut document, files).await?;
        // Where a preset file was missing, the next fetch must look again although the index is unchanged.
        let new_etag = new_etag.filter(|_| document.is_whole());
        Ok(Some((document, new_etag)))
    }

    async fn add_preset_files(
        &self,
        document: &mut Document,
        files: Vec<PresetFile>,
    ) -> Result<(), RegistryError> {
        let mut texts = stream::iter(files)
            .map(|file| async {
                let text = self.preset_file(&file).await?;
                Ok::<_, RegistryError>((file, text))
            })
            .buffered(PRESET_FILES_AT_ONCE);
        let mut total = 0;
        while let Some((file, text)) = texts.try_next().await? {
            match text {
                Ok(text) => {
                    total += text.len() as u64;
                    if total > limits::DOCUMENT {
                        let origin = format!("{} with its preset files", self.shown());
                        return Err(RegistryError::TooLarge {
                            origin,
                            limit: limits::DOCUMENT,
                        });
                    }
                    document.add_preset_file(&file, &text);
                }
                Err(reason) => document.refuse_preset_file(&file.preset, reason),
            }
        }
        Ok(())
    }

    /// The text of a preset file, or why only this preset is lost. An ailing server is an error of the whole fetch:
    /// it must not empty the catalogue.
    async fn preset_file(
        &self,
        file: &PresetFile,
    ) -> Result<Result<String, String>, RegistryError> {
        let url = beside(&self.settings.url, file);
        let response = self.get(&url, None).await?;
        let status = response.status();
        if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS {
            return Ok(Err(format!(
                "{} answered HTTP status {}",
                shown(&url),
                status.as_u16()
            )));
        }
        let response = successful(response, &url)?;
        match body(response, &url, limits::PRESET_FILE).await {
            Ok(text) => Ok(Ok(text)),
            Err(error @ (RegistryError::TooLarge { .. } | RegistryError::Syntax { .. })) => {
                Ok(Err(error.to_string()))
            }
            Err(error) => Err(error),
        }
    }

    async fn judge_and_keep(
        &self,
        document: Document,
        etag: Option<String>,
        now: Timestamp,
    ) -> Result<Arc<Catalog>, RegistryError> {
        let path = self.settings.last_good.clone();
        let source = self.shown();
        let judge_and_keep = move || {
            let catalog = Arc::new(document.catalog()?);
            let copy = Copy {
                source,
                etag,
                fetched_at: now,
                document: document.into_value(),
            };
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

    async fn get(&self, url: &Url, etag: Option<&str>) -> Result<Response, RegistryError> {
        let mut request = self.http.get(url.clone());
        if let Some(etag) = etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        request
            .send()
            .await
            .map_err(|source| request_error(url, source))
    }

    fn shown(&self) -> String {
        shown(&self.settings.url)
    }
}

/// Follows a few redirects, never from https to http.
fn follow(attempt: Attempt<'_>) -> Action {
    let was_https = attempt
        .previous()
        .last()
        .is_some_and(|url| url.scheme() == "https");
    if was_https && attempt.url().scheme() != "https" {
        attempt.error("the server redirects from https to http")
    } else if attempt.previous().len() > MOST_REDIRECTS {
        attempt.error("the server redirects too often")
    } else {
        attempt.follow()
    }
}

/// The address of a preset file: the index's folder and the file's checked path, percent-encoded as needed.
fn beside(index: &Url, file: &PresetFile) -> Url {
    let mut url = index.clone();
    url.set_fragment(None);
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop().extend(file.path.as_str().split('/'));
    }
    url
}

fn successful(response: Response, url: &Url) -> Result<Response, RegistryError> {
    let status = response.status();
    if status == StatusCode::OK {
        Ok(response)
    } else {
        Err(RegistryError::Status {
            url: shown(url),
            status: status.as_u16(),
        })
    }
}

async fn body(mut response: Response, url: &Url, limit: u64) -> Result<String, RegistryError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|source| request_error(url, source))?
    {
        if (bytes.len() + chunk.len()) as u64 > limit {
            return Err(RegistryError::TooLarge {
                origin: shown(url),
                limit,
            });
        }
        bytes.extend_from_slice(&chunk);
    }
    String::from_utf8(bytes).map_err(|source| RegistryError::Syntax {
        origin: shown(url),
        source: Box::new(source),
    })
}

fn request_error(url: &Url, source: reqwest::Error) -> RegistryError {
    // The client's own words repeat the address, query and all.
    RegistryError::Request {
        url: shown(url),
        source: source.without_url(),
    }
}

/// The address as logs and errors may show it: without credentials, query and fragment.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.into()
}
