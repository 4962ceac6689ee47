//! One HTTP exchange with ComfyUI: bounded in time and size, and every failure told in one way.
//!
//! Knows nothing of what is asked or answered.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use reqwest::{Method, RequestBuilder, Response};
use serde::de::DeserializeOwned;
use url::Url;

use crate::bounded::cut;
use crate::error::{ComfyError, Trouble};
use crate::files::Pace;

/// A whole answer may take so many times the limit for its next byte, so that dripping does not hold a caller for ever.
const WHOLE_ANSWER: u32 = 6;
/// How much of an error is read, and how much of it is repeated.
const ERROR_PAGE: usize = 64 << 10;
const EXCERPT: usize = 200;
/// The header by which ComfyUI's `--multi-user` tells users apart.
const USER: &str = "comfy-user";

/// How many bytes of JSON an answer may have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit(pub(crate) usize);

impl Limit {
    /// An answer of a few lines.
    pub(crate) const SMALL: Self = Self(1 << 20);
    /// A list of names, a log, a graph.
    pub(crate) const LIST: Self = Self(16 << 20);
    /// Whole graphs of many prompts, or all node types of hundreds of custom nodes (some 10 MB).
    pub(crate) const LARGE: Self = Self(64 << 20);
}

/// The HTTP client with the address of one ComfyUI.
#[derive(Debug, Clone)]
pub(crate) struct Transport {
    http: reqwest::Client,
    base: Url,
    timeout: Duration,
    user: Option<String>,
}

/// One request that is on its way.
pub(crate) struct Call<'a> {
    transport: &'a Transport,
    request: RequestBuilder,
    tried: String,
}

impl Transport {
    /// `timeout` bounds the connection and each wait for more of an answer.
    pub(crate) fn new(base: Url, user: Option<String>, timeout: Duration) -> Result<Self, ComfyError> {
        // Whoever comes first installs it; it is the same for all.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // HTTP/1.1 only: the WebSocket begins as a request of it. A redirect would lead to an address that nobody chose.
        let builder = reqwest::Client::builder()
            .connect_timeout(timeout)
            .no_proxy()
            .http1_only()
            .redirect(reqwest::redirect::Policy::none());
        // Without TLS the certificates of the machine need not be read, which takes as long as the rest of a start.
        let builder = if base.scheme() == "https" { builder } else { builder.tls_certs_only([]) };
        let built = builder.build();
        let http = built.map_err(|cause| ComfyError::Unavailable {
            tried: "making an HTTP client".to_owned(),
            cause: Trouble::NoConnection(cause),
        })?;
        Ok(Self { http, base, timeout, user })
    }

    /// The address of a path under ComfyUI's own, with its query.
    pub(crate) fn url(&self, path: &str, query: &[(&str, &str)]) -> Url {
        let mut url = self.base.clone();
        url.set_query(None);
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path.trim_start_matches('/').split('/'));
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// A request without a body.
    pub(crate) fn call(&self, method: Method, path: &str, query: &[(&str, &str)]) -> Call<'_> {
        self.call_url(method, self.url(path, query))
    }

    /// As `call`, to an address made by the caller.
    pub(crate) fn call_url(&self, method: Method, url: Url) -> Call<'_> {
        let tried = format!("{method} {}", without_credentials(&url));
        let mut request = self.http.request(method, url);
        if let Some(user) = &self.user {
            request = request.header(USER, user);
        }
        Call { transport: self, tried, request }
    }
}

impl Call<'_> {
    /// Adds a JSON body.
    pub(crate) fn json(mut self, body: &impl serde::Serialize) -> Self {
        self.request = self.request.json(body);
        self
    }

    /// Adds to the request what only the caller knows.
    pub(crate) fn with(mut self, change: impl FnOnce(RequestBuilder) -> RequestBuilder) -> Self {
        self.request = change(self.request);
        self
    }

    /// Sends it; any status is an answer.
    pub(crate) async fn send(self) -> Result<Answer, ComfyError> {
        let timeout = self.transport.timeout;
        let limit = async {
            tokio::time::sleep(timeout).await;
            timeout
        };
        self.send_until(limit).await
    }

    /// As `send`, with a body that may take any time as long as it is taken in.
    pub(crate) async fn send_while(self, pace: Pace) -> Result<Answer, ComfyError> {
        self.send_until(pace.idle_for_too_long()).await
    }

    /// `limit` says, when it is reached, how long nothing happened.
    async fn send_until(self, limit: impl Future<Output = Duration>) -> Result<Answer, ComfyError> {
        let Call { transport, request, tried } = self;
        tokio::select! {
            sent = request.send() => match sent {
                Ok(response) => Ok(Answer { response, tried, timeout: transport.timeout }),
                Err(cause) if cause.is_timeout() => Err(unavailable(tried, Trouble::TimedOut(transport.timeout))),
                Err(cause) => Err(unavailable(tried, Trouble::NoConnection(cause.without_url()))),
            },
            waited = limit => Err(unavailable(tried, Trouble::TimedOut(waited))),
        }
    }

    /// Sends it and reads a JSON answer of that shape.
    pub(crate) async fn read<T: DeserializeOwned>(self, limit: Limit) -> Result<T, ComfyError> {
        self.send().await?.successful().await?.json(limit).await
    }

    /// Sends it and drops what is answered.
    pub(crate) async fn done(self) -> Result<(), ComfyError> {
        self.send().await?.successful().await.map(drop)
    }
}

/// An answer whose head has come.
pub(crate) struct Answer {
    pub(crate) response: Response,
    tried: String,
    timeout: Duration,
}

impl Answer {
    /// Its HTTP status.
    pub(crate) fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// The same answer if its status says success, else the error.
    pub(crate) async fn successful(self) -> Result<Self, ComfyError> {
        match self.status() {
            200..=299 => Ok(self),
            _ => Err(self.into_error().await),
        }
    }

    /// The error that an answer without success stands for.
    pub(crate) async fn into_error(self) -> ComfyError {
        let (status, tried) = (self.status(), self.tried.clone());
        match status {
            404 | 405 | 501 => ComfyError::Unsupported { tried },
            300..=399 => unavailable(tried, Trouble::Redirect { to: self.redirect_target() }),
            400..=499 => ComfyError::Refused { tried, status, answer: self.excerpt().await },
            _ => unavailable(tried, Trouble::Status { status, answer: self.excerpt().await }),
        }
    }

    /// Where it redirects to, without credentials.
    fn redirect_target(&self) -> String {
        let target = self.response.headers().get(reqwest::header::LOCATION).and_then(|to| to.to_str().ok());
        let target =
            target.and_then(|to| self.response.url().join(to).ok()).map(|to| without_credentials(&to).to_string());
        cut(target.as_deref().unwrap_or("an unknown address"), EXCERPT).to_owned()
    }

    /// The body as JSON of that shape.
    pub(crate) async fn json<T: DeserializeOwned>(self, limit: Limit) -> Result<T, ComfyError> {
        let tried = self.tried.clone();
        let body = self.bytes(limit.0).await?;
        serde_json::from_slice(&body).map_err(|cause| {
            // Such an error repeats the value that it refuses, whatever its length.
            let words = cut(&cause.to_string(), EXCERPT).to_owned();
            let trouble = match cause.classify() {
                serde_json::error::Category::Data => Trouble::Unexpected(words),
                _ => Trouble::NotJson(words),
            };
            unavailable(tried, trouble)
        })
    }

    async fn bytes(self, most: usize) -> Result<Bytes, ComfyError> {
        let Self { mut response, tried, timeout } = self;
        let limit = timeout * WHOLE_ANSWER;
        let reading = async {
            let mut body = BytesMut::new();
            while let Some(chunk) = next_chunk(&mut response, timeout).await? {
                if body.len() + chunk.len() > most {
                    return Err(Trouble::TooLarge { limit: most });
                }
                body.extend_from_slice(&chunk);
            }
            Ok(body.freeze())
        };
        let read = tokio::time::timeout(limit, reading).await.unwrap_or(Err(Trouble::TimedOut(limit)));
        read.map_err(|trouble| unavailable(tried, trouble))
    }

    /// The body piece by piece; each has to come within the time limit.
    pub(crate) fn stream(self) -> impl Stream<Item = Result<Bytes, std::io::Error>> + Send {
        futures_util::stream::try_unfold(self, |mut answer| async move {
            let timeout = answer.timeout;
            match next_chunk(&mut answer.response, timeout).await {
                Ok(chunk) => Ok(chunk.map(|chunk| (chunk, answer))),
                Err(trouble) => Err(std::io::Error::other(unavailable(answer.tried, trouble))),
            }
        })
    }

    async fn excerpt(self) -> String {
        match self.bytes(ERROR_PAGE).await {
            // The page of a proxy says nothing that its status does not say.
            Ok(body) if body.trim_ascii_start().starts_with(b"<") => String::new(),
            Ok(body) => cut(String::from_utf8_lossy(&body).trim(), EXCERPT).to_owned(),
            Err(_) => String::new(),
        }
    }
}

async fn next_chunk(response: &mut Response, timeout: Duration) -> Result<Option<Bytes>, Trouble> {
    let chunk = tokio::time::timeout(timeout, response.chunk()).await.map_err(|_| Trouble::TimedOut(timeout))?;
    chunk.map_err(|cause| Trouble::NoConnection(cause.without_url()))
}

/// An address as it may be shown and logged.
pub fn without_credentials(url: &Url) -> Url {
    let mut shown = url.clone();
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown
}

fn unavailable(tried: String, cause: Trouble) -> ComfyError {
    ComfyError::Unavailable { tried, cause }
}
