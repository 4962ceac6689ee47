//! One HTTP exchange with ComfyUI: bounded in time and size, and every failure told in one way.
//!
//! Knows nothing of what is asked or answered.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use reqwest::{Method, RequestBuilder, Response};
use serde::de::DeserializeOwned;
use url::Url;

use crate::error::{ComfyError, Trouble};

/// The most JSON that is taken: `/object_info` of an installation with hundreds of custom nodes has some 10 MB.
const LARGEST_ANSWER: usize = 96 << 20;
/// A whole answer may take so many times the limit for its next byte, so that dripping does not hold a caller for ever.
const WHOLE_ANSWER: u32 = 6;
/// How much of an error page is repeated.
const EXCERPT: usize = 300;

/// The HTTP client with the address of one ComfyUI.
#[derive(Debug, Clone)]
pub(crate) struct Transport {
    http: reqwest::Client,
    base: Url,
    timeout: Duration,
}

/// One request that is on its way.
pub(crate) struct Call<'a> {
    transport: &'a Transport,
    request: RequestBuilder,
    tried: String,
}

impl Transport {
    /// `timeout` bounds the connection and each wait for more of an answer.
    pub(crate) fn new(base: Url, timeout: Duration) -> Result<Self, ComfyError> {
        // Whoever comes first installs it; it is the same for all.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = reqwest::Client::builder().connect_timeout(timeout).no_proxy();
        // Without TLS the certificates of the machine need not be read, which takes as long as the rest of a start.
        let builder = if base.scheme() == "https" { builder } else { builder.tls_certs_only([]) };
        let built = builder.build();
        let http = built.map_err(|cause| ComfyError::Unavailable {
            tried: "making an HTTP client".to_owned(),
            cause: Trouble::NoConnection(cause),
        })?;
        Ok(Self { http, base, timeout })
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
        let mut shown = url.clone();
        let _ = shown.set_username("");
        let _ = shown.set_password(None);
        Call { transport: self, tried: format!("{method} {shown}"), request: self.http.request(method, url) }
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
        self.send_within(timeout).await
    }

    /// As `send`, where the request itself takes long to send.
    pub(crate) async fn send_within(self, timeout: Duration) -> Result<Answer, ComfyError> {
        let Call { request, tried, .. } = self;
        match tokio::time::timeout(timeout, request.send()).await {
            Ok(Ok(response)) => Ok(Answer { response, tried, timeout }),
            Ok(Err(cause)) if cause.is_timeout() => Err(unavailable(tried, Trouble::TimedOut(timeout))),
            Ok(Err(cause)) => Err(unavailable(tried, Trouble::NoConnection(cause.without_url()))),
            Err(_) => Err(unavailable(tried, Trouble::TimedOut(timeout))),
        }
    }

    /// Sends it and reads a JSON answer of that shape.
    pub(crate) async fn read<T: DeserializeOwned>(self) -> Result<T, ComfyError> {
        self.send().await?.successful().await?.json().await
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
            400..=499 => ComfyError::Refused { tried, status, answer: self.excerpt().await },
            _ => unavailable(tried, Trouble::Status { status, answer: self.excerpt().await }),
        }
    }

    /// The body as JSON of that shape.
    pub(crate) async fn json<T: DeserializeOwned>(self) -> Result<T, ComfyError> {
        let tried = self.tried.clone();
        let body = self.bytes().await?;
        serde_json::from_slice(&body).map_err(|cause| {
            let trouble = match cause.classify() {
                serde_json::error::Category::Data => Trouble::Unexpected(cause.to_string()),
                _ => Trouble::NotJson(cause),
            };
            unavailable(tried, trouble)
        })
    }

    async fn bytes(self) -> Result<Bytes, ComfyError> {
        let Self { mut response, tried, timeout } = self;
        let limit = timeout * WHOLE_ANSWER;
        let reading = async {
            let mut body = BytesMut::new();
            while let Some(chunk) = next_chunk(&mut response, timeout).await? {
                if body.len() + chunk.len() > LARGEST_ANSWER {
                    return Err(Trouble::TooLarge { limit: LARGEST_ANSWER });
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
        match self.bytes().await {
            Ok(body) => String::from_utf8_lossy(&body).trim().chars().take(EXCERPT).collect(),
            Err(error) => error.to_string(),
        }
    }
}

async fn next_chunk(response: &mut Response, timeout: Duration) -> Result<Option<Bytes>, Trouble> {
    let chunk = tokio::time::timeout(timeout, response.chunk()).await.map_err(|_| Trouble::TimedOut(timeout))?;
    chunk.map_err(|cause| Trouble::NoConnection(cause.without_url()))
}

fn unavailable(tried: String, cause: Trouble) -> ComfyError {
    ComfyError::Unavailable { tried, cause }
}
