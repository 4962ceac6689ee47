//! Reads a registry document, with the preset files of an index, from its address.
//!
//! Bytes and concurrent requests are bounded here; the caller bounds time, redirects and addresses. Must not judge presets or
//! keep anything.

use std::fmt;
use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt, stream};
use reqwest::header::{ETAG, IF_NONE_MATCH};
use reqwest::{Response, StatusCode};
use tokio::sync::OnceCell;
use url::Url;

use crate::document::{Document, PresetFile};
use crate::error::RegistryError;
use crate::limits;

/// How many preset files of an index are asked for at once.
const PRESET_FILES_AT_ONCE: usize = 8;

/// A registry at an address.
#[derive(Debug)]
pub(crate) struct Remote {
    /// Made when it is first needed: reading the certificates of the machine takes as long as the rest of a start.
    http: OnceCell<reqwest::Client>,
    make_http: HttpClient,
    url: Url,
}

/// Makes the HTTP client of a registry: the caller decides which addresses may be connected to, and which redirects followed.
#[derive(Clone)]
pub struct HttpClient(Arc<MakeClient>);

type MakeClient = dyn Fn(&Url) -> Result<reqwest::Client, reqwest::Error> + Send + Sync;

impl HttpClient {
    /// Calls `make` with the registry's address when a client is first needed.
    pub fn new(make: impl Fn(&Url) -> Result<reqwest::Client, reqwest::Error> + Send + Sync + 'static) -> Self {
        Self(Arc::new(make))
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("HttpClient(...)")
    }
}

/// A document as it came.
pub(crate) struct Received {
    pub(crate) document: Document,
    /// What the server calls this version; `None` too where a preset file was missing, so that the next fetch looks
    /// again although the index is unchanged.
    pub(crate) etag: Option<String>,
}

impl Remote {
    pub(crate) fn new(url: Url, make_http: HttpClient) -> Self {
        Self { http: OnceCell::new(), make_http, url }
    }

    async fn http(&self) -> Result<&reqwest::Client, RegistryError> {
        let make = async || (self.make_http.0)(&self.url).map_err(|source| RegistryError::HttpClient { source });
        self.http.get_or_try_init(make).await
    }

    /// The address as logs, errors and files may show it.
    pub(crate) fn shown(&self) -> String {
        shown(&self.url)
    }

    /// The document with all its presets; `None` when it still is the one that `etag` names.
    pub(crate) async fn document(&self, etag: Option<&str>) -> Result<Option<Received>, RegistryError> {
        let response = self.get(&self.url, etag).await?;
        if response.status() == StatusCode::NOT_MODIFIED && etag.is_some() {
            return Ok(None);
        }
        let response = successful(response, &self.url)?;
        let etag = response.headers().get(ETAG).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let text = body(response, &self.url, limits::DOCUMENT).await?;
        let mut document = Document::parse(&text, &self.shown())?;
        let whole = self.add_preset_files(&mut document).await?;
        Ok(Some(Received { document, etag: etag.filter(|_| whole) }))
    }

    /// Fetches what the document points at; whether all of it was there.
    async fn add_preset_files(&self, document: &mut Document) -> Result<bool, RegistryError> {
        let mut texts = stream::iter(document.preset_files())
            .map(|file| async {
                let text = self.preset_file(&file).await?;
                Ok::<_, RegistryError>((file, text))
            })
            .buffered(PRESET_FILES_AT_ONCE);
        let mut whole = true;
        let mut total = 0;
        while let Some((file, text)) = texts.try_next().await? {
            match text {
                Ok(text) => {
                    total += text.len() as u64;
                    if total > limits::DOCUMENT {
                        let origin = format!("{} with its preset files", self.shown());
                        return Err(RegistryError::TooLarge { origin, limit: limits::DOCUMENT });
                    }
                    document.add_preset_file(&file, &text);
                }
                Err(reason) => {
                    whole = false;
                    document.refuse_preset_file(&file.preset, reason);
                }
            }
        }
        Ok(whole)
    }

    /// The text of a preset file, or why only this preset is lost. An ailing server is an error of the whole fetch:
    /// it must not empty the catalogue.
    async fn preset_file(&self, file: &PresetFile) -> Result<Result<String, String>, RegistryError> {
        let url = beside(&self.url, file);
        let response = self.get(&url, None).await?;
        let status = response.status();
        if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS {
            return Ok(Err(format!("{} answered HTTP status {}", shown(&url), status.as_u16())));
        }
        match body(successful(response, &url)?, &url, limits::PRESET_FILE).await {
            Ok(text) => Ok(Ok(text)),
            Err(error @ (RegistryError::TooLarge { .. } | RegistryError::Syntax { .. })) => Ok(Err(error.to_string())),
            Err(error) => Err(error),
        }
    }

    async fn get(&self, url: &Url, etag: Option<&str>) -> Result<Response, RegistryError> {
        let mut request = self.http().await?.get(url.clone());
        if let Some(etag) = etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        request.send().await.map_err(|source| request_error(url, source))
    }
}

/// The address of a preset file: the index's folder and the file's checked path, percent-encoded as needed.
fn beside(index: &Url, file: &PresetFile) -> Url {
    let mut url = index.clone();
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
        Err(RegistryError::Status { url: shown(url), status: status.as_u16() })
    }
}

async fn body(mut response: Response, url: &Url, limit: u64) -> Result<String, RegistryError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|source| request_error(url, source))? {
        if (bytes.len() + chunk.len()) as u64 > limit {
            return Err(RegistryError::TooLarge { origin: shown(url), limit });
        }
        bytes.extend_from_slice(&chunk);
    }
    String::from_utf8(bytes)
        .map_err(|source| RegistryError::Syntax { origin: shown(url), source: Box::new(source.utf8_error()) })
}

fn request_error(url: &Url, source: reqwest::Error) -> RegistryError {
    // The client's own words repeat the address, query and all.
    RegistryError::Request { url: shown(url), source: source.without_url() }
}

/// The address without credentials, query and fragment.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.set_query(None);
    url.set_fragment(None);
    url.into()
}
