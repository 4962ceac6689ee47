//! From a listed link to an answer with bytes: redirects followed by hand, tokens for their own hosts only, the
//! resolved URL kept until it expires. It reads no bodies.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use reqwest::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HeaderValue, IF_RANGE, RANGE};
use reqwest::{Method, Request, Response, StatusCode};
use tokio::time::Instant;
use url::Url;

use crate::content_identity::SourceKey;
use crate::hosts::{self, Site};
use crate::http::address_policy::AddressPolicy;
use crate::http::classify::{self, OpenError};
use crate::http::client;
use crate::http::network::Network;
use crate::http::redirects;
use crate::http::response::{self, Body};
use crate::source_url::civitai_model_without_version;
use crate::{Credentials, Facts, Settings, SourceUrl, TokenHint, TransferError, file_name};

const MOST_REDIRECTS: usize = 10;

/// One listed link of one file, and where it led last.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) listed: SourceUrl,
    pub(crate) key: SourceKey,
    resolved: Mutex<Option<Resolved>>,
    /// Who answers there gave nothing when asked last: the listed link may lead elsewhere by now.
    doubted: AtomicBool,
    /// Held by the connection that asks for a fresh address, while the others wait for it.
    renewing: tokio::sync::Mutex<()>,
    /// It has answered with bytes of a file.
    has_given: AtomicBool,
    /// Microseconds that its quickest answer took, from the request to the head.
    ttfb: AtomicU64,
    /// Its last answer was encoded, although it was asked for as it is.
    encodes: AtomicBool,
    /// It gives the whole file where it sees a condition.
    pub(crate) refuses_conditions: AtomicBool,
}

#[derive(Debug, Clone, PartialEq)]
struct Resolved {
    url: Url,
    /// What the first host said; the last one does not repeat it.
    facts: Facts,
}

/// An answer whose head fits the request.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) response: Response,
    pub(crate) body: Body,
    pub(crate) facts: Facts,
}

/// The bytes that are asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) start: u64,
    /// The first byte that is not wanted; it may lie past the end of the file. `None` asks without a range.
    pub(crate) end: Option<u64>,
    pub(crate) if_range: Option<&'a str>,
}

impl Opened {
    /// What came, where an answer that does not fit the file is plainly something else: a page, a message, a pointer.
    /// `name` is that of the destination.
    pub(crate) async fn no_file(mut self, name: &str, host: &str, retry_after: Duration) -> Option<TransferError> {
        let kind = response::text(self.response.headers(), CONTENT_TYPE).map(str::to_owned);
        let first = match tokio::time::timeout(retry_after, self.response.chunk()).await {
            Ok(Ok(first)) => first.unwrap_or_default(),
            _ => return None,
        };
        let what =
            if first.is_empty() { Some("an empty body") } else { response::not_a_file(name, kind.as_deref(), &first) };
        what.map(|what| TransferError::not_a_file(host, what, kind))
    }
}

impl Source {
    pub(crate) fn new(listed: SourceUrl) -> Self {
        Self {
            key: SourceKey::of(&listed),
            listed,
            resolved: Mutex::new(None),
            doubted: AtomicBool::new(false),
            renewing: tokio::sync::Mutex::new(()),
            has_given: AtomicBool::new(false),
            ttfb: AtomicU64::new(u64::MAX),
            encodes: AtomicBool::new(false),
            refuses_conditions: AtomicBool::new(false),
        }
    }

    fn resolved(&self) -> Option<Resolved> {
        self.resolved.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, resolved: Resolved) {
        *self.resolved.lock().unwrap_or_else(PoisonError::into_inner) = Some(resolved);
    }

    /// Asks the listed link first the next time, then where it led last.
    pub(crate) fn doubt(&self) {
        self.doubted.store(true, Relaxed);
    }

    pub(crate) fn has_given(&self) -> bool {
        self.has_given.load(Relaxed)
    }

    /// How long nothing comes between a request and its answer; nothing while there was none.
    pub(crate) fn ttfb(&self) -> Duration {
        match self.ttfb.load(Relaxed) {
            u64::MAX => Duration::ZERO,
            micros => Duration::from_micros(micros),
        }
    }

    /// Who answers for this source, for error messages.
    pub(crate) fn host(&self) -> String {
        host_of(self.listed.as_url())
    }
}

/// The network as the transfers use it.
#[derive(Debug)]
pub(crate) struct Web {
    network: Arc<dyn Network>,
    policy: AddressPolicy,
    hugging_face: Url,
    civitai: Url,
    pub(super) stall_timeout: Duration,
    credentials: RwLock<Credentials>,
}

impl Web {
    pub(crate) fn new(settings: &Settings, network: Arc<dyn Network>) -> Self {
        Self {
            network,
            policy: AddressPolicy::new(settings),
            hugging_face: settings.hf_endpoint.clone(),
            civitai: settings.civitai_endpoint.clone(),
            stall_timeout: settings.stall_timeout,
            credentials: RwLock::new(settings.credentials.clone()),
        }
    }

    pub(crate) fn set_credentials(&self, credentials: Credentials) {
        *self.credentials.write().unwrap_or_else(PoisonError::into_inner) = credentials;
    }

    /// Asks for bytes of a source. A URL that an earlier redirect led to is used again until it is refused; then the
    /// listed link is asked anew, which costs no retry.
    pub(crate) async fn open(&self, source: &Source, wanted: Wanted<'_>) -> Result<Opened, OpenError> {
        let Some(known) = source.resolved() else { return self.ask_afresh(source, wanted).await };
        if source.doubted.swap(false, Relaxed) {
            match self.ask_afresh(source, wanted).await {
                Err(OpenError::Transient { .. }) => {}
                other => return other,
            }
        }
        match self.follow(source, known.url.clone(), known.facts.clone(), wanted).await {
            Err(OpenError::Refused { .. }) => {}
            other => return other,
        }
        // It expires for all connections at once: one of them renews it.
        let renewing = source.renewing.lock().await;
        match source.resolved() {
            Some(renewed) if renewed != known => {
                drop(renewing);
                match self.follow(source, renewed.url, renewed.facts, wanted).await {
                    Err(OpenError::Refused { .. }) => self.ask_afresh(source, wanted).await,
                    other => other,
                }
            }
            _ => self.ask_afresh(source, wanted).await,
        }
    }

    /// Asks the listed link. An address that has expired by the time it is used is renewed once more, then it is final.
    async fn ask_afresh(&self, source: &Source, wanted: Wanted<'_>) -> Result<Opened, OpenError> {
        match self.ask_listed(source, wanted).await {
            Err(OpenError::Refused { signed: true, .. }) => self.ask_listed(source, wanted).await,
            other => other,
        }
    }

    async fn ask_listed(&self, source: &Source, wanted: Wanted<'_>) -> Result<Opened, OpenError> {
        let first = source.listed.at_endpoints(&self.hugging_face, &self.civitai);
        let first = match civitai_model_without_version(&first) {
            Some(model) if self.token_host(&first) == Some(TokenHost::Civitai) => {
                self.newest_version(&first, model).await?
            }
            _ => first,
        };
        let facts =
            Facts { source: Some(source.listed.clone()), file_name: file_name::from_url(&first), ..Facts::default() };
        self.follow(source, first, facts, wanted).await
    }

    async fn follow(
        &self,
        source: &Source,
        first: Url,
        mut facts: Facts,
        wanted: Wanted<'_>,
    ) -> Result<Opened, OpenError> {
        let listed = source.listed.at_endpoints(&self.hugging_face, &self.civitai);
        let mut url = first.clone();
        for _ in 0..=MOST_REDIRECTS {
            let asked_at = Instant::now();
            let response = self.send(&listed, &url, wanted).await?;
            let status = response.status();
            if same_host(&url, &self.hugging_face) {
                response::hugging_face_facts(response.headers(), &mut facts);
            }
            if redirects::is_redirect(status) {
                url = redirects::next_hop(&first, &url, response.headers())?;
            } else if matches!(status, StatusCode::OK | StatusCode::PARTIAL_CONTENT) {
                source.ttfb.fetch_min(asked_at.elapsed().as_micros() as u64, Relaxed);
                return self.accept(source, &first, url, facts, response, wanted);
            } else {
                let signed = url != listed;
                return Err(classify::of_status(&response, &source.listed, signed, self.hint(&listed)));
            }
        }
        Err(OpenError::Final(TransferError::TooManyRedirects { host: host_of(&first) }))
    }

    fn accept(
        &self,
        source: &Source,
        first: &Url,
        url: Url,
        mut facts: Facts,
        response: Response,
        wanted: Wanted<'_>,
    ) -> Result<Opened, OpenError> {
        let body = response::judge(response.status(), response.headers(), wanted.start, wanted.end);
        // A proxy may encode one answer; a host that does so twice in a row always does.
        let is_encoded = response::unasked_encoding(response.headers()).is_some();
        let was_encoded = source.encodes.swap(is_encoded, Relaxed);
        let body = body.map_err(|problem| {
            let error = TransferError::BadAnswer { host: host_of(&url), problem };
            if is_encoded && was_encoded { OpenError::Final(error) } else { OpenError::transient(error) }
        })?;
        if url != *first {
            source.keep(Resolved { url, facts: facts.clone() });
        }
        response::final_facts(response.headers(), &body, &mut facts);
        source.has_given.store(true, Relaxed);
        Ok(Opened { response, body, facts })
    }

    /// The token goes to its own host, and only when that is the one that was listed.
    pub(super) async fn send(&self, listed: &Url, url: &Url, wanted: Wanted<'_>) -> Result<Response, OpenError> {
        self.policy
            .permits_literal(url)
            .map_err(|address| OpenError::Final(TransferError::RefusedAddress { host: host_of(url), address }))?;
        if client::leads_to_private_name(&self.policy, url).await {
            let address = url.host_str().unwrap_or_default().to_owned();
            return Err(OpenError::Final(TransferError::RefusedAddress { host: host_of(url), address }));
        }
        let mut request = Request::new(Method::GET, url.clone());
        let headers = request.headers_mut();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(end) = wanted.end {
            headers.extend(HeaderValue::from_str(&range(wanted.start, end)).ok().map(|range| (RANGE, range)));
            let validator = wanted.if_range.and_then(|validator| HeaderValue::from_str(validator).ok());
            headers.extend(validator.map(|validator| (IF_RANGE, validator)));
        }
        if same_host(listed, url)
            && let Some(token) = self.token_for(url)
        {
            headers.insert(AUTHORIZATION, token);
        }
        tokio::time::timeout(self.stall_timeout, self.network.send(request)).await.map_err(|_| self.stalled(url))?
    }

    pub(super) fn stalled(&self, url: &Url) -> OpenError {
        OpenError::transient(TransferError::Stalled { host: host_of(url), idle: self.stall_timeout })
    }

    /// Whose token a URL takes, if anybody's.
    fn token_host(&self, url: &Url) -> Option<TokenHost> {
        if same_host(url, &self.hugging_face) {
            return Some(TokenHost::HuggingFace);
        }
        // The other sites of Civitai take the same token, and nobody listens to it on the way.
        let is_of_civitai =
            hosts::site_of(url) == Some(Site::Civitai) && url.scheme() == "https" && url.port().is_none();
        (is_of_civitai || same_host(url, &self.civitai)).then_some(TokenHost::Civitai)
    }

    fn token_for(&self, url: &Url) -> Option<HeaderValue> {
        let credentials = self.credentials.read().unwrap_or_else(PoisonError::into_inner);
        let token = match self.token_host(url)? {
            TokenHost::HuggingFace => credentials.hf_token.as_ref(),
            TokenHost::Civitai => credentials.civitai_token.as_ref(),
        };
        let mut value = HeaderValue::from_str(&format!("Bearer {}", token?.reveal())).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// What can be said of the token for a source that refuses.
    pub(crate) fn hint(&self, url: &Url) -> TokenHint {
        let credentials = self.credentials.read().unwrap_or_else(PoisonError::into_inner);
        match self.token_host(url) {
            Some(TokenHost::HuggingFace) if credentials.hf_token.is_none() => TokenHint::HuggingFaceMissing,
            Some(TokenHost::HuggingFace) => TokenHint::HuggingFaceRefused,
            Some(TokenHost::Civitai) if credentials.civitai_token.is_none() => TokenHint::CivitaiMissing,
            Some(TokenHost::Civitai) => TokenHint::CivitaiRefused,
            None => TokenHint::NoneForHost,
        }
    }

    /// The same for a listed link.
    pub(crate) fn hint_for(&self, listed: &SourceUrl) -> TokenHint {
        self.hint(&listed.at_endpoints(&self.hugging_face, &self.civitai))
    }
}

/// Whose token a request may carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TokenHost {
    HuggingFace,
    Civitai,
}

/// Without an end where that is not known: most servers read only signed numbers.
fn range(start: u64, end: u64) -> String {
    if end == u64::MAX { format!("bytes={start}-") } else { format!("bytes={start}-{}", end - 1) }
}

/// Scheme, host and port: a token for one is for no other.
fn same_host(one: &Url, other: &Url) -> bool {
    one.origin() == other.origin()
}

/// Host, and port where it is not the usual one.
pub(crate) fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or("?");
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}
