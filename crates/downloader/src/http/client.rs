//! The HTTP client: connections, TLS, and the check of every address before it is connected to. It follows no
//! redirects and retries nothing; `source` does.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use rustix::io::Errno;
use url::Url;

use crate::Settings;
use crate::http::address_policy::{self, AddressPolicy};

/// A name has no address that may be connected to.
#[derive(Debug, thiserror::Error)]
#[error("{host} has only private or reserved addresses")]
pub(crate) struct OnlyRefusedAddresses {
    pub(crate) host: String,
}

/// Builds the one client of an engine. HTTP/1.1 only: ranges of one file go over connections of their own, which
/// HTTP/2 would merge into one. Small files and redirects stay with it too, because HTTP/2 did not win: 2,000 files of
/// 100 KiB over TLS from nginx on loopback, 16 at once, took 1.8 s (1.1 to 2.1) over HTTP/1.1 and 2.2 s (1.6 to 2.2) over
/// HTTP/2, and 500 of them at a round trip of 50 ms 2.1 to 2.2 s either way: as many are on their way at once, and the
/// connections are kept.
///
/// The authorities that are trusted are the machine's, or those in `SSL_CERT_FILE` and `SSL_CERT_DIR` where one of these
/// is set, and the extra roots of the settings.
pub(crate) fn build(settings: &Settings) -> Result<reqwest::Client, reqwest::Error> {
    // The process may have chosen a provider already; then that one is used.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut extra_roots = Vec::new();
    for pem in &settings.extra_roots {
        extra_roots.extend(reqwest::Certificate::from_pem_bundle(pem.as_bytes())?);
    }
    reqwest::Client::builder()
        .tls_certs_merge(extra_roots)
        .user_agent(&settings.user_agent)
        .http1_only()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .referer(false)
        .connect_timeout(settings.connect_timeout)
        .pool_max_idle_per_host(settings.connections_per_download * 2)
        .tcp_nodelay(true)
        .dns_resolver(GuardedResolver { policy: Arc::new(AddressPolicy::new(settings)) })
        .build()
}

/// Makes HTTP clients for small documents under the same rules of addresses as the transfers have.
#[derive(Debug, Clone)]
pub struct GuardedHttp {
    policy: AddressPolicy,
    user_agent: String,
}

/// How many redirects a client of [`GuardedHttp`] follows.
const MOST_REDIRECTS: usize = 5;

impl GuardedHttp {
    /// The rules of these settings.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self { policy: AddressPolicy::new(settings), user_agent: settings.user_agent.clone() }
    }

    /// A client for `address`, whose own host is the operator's word and may have any address. Where it redirects to, it is
    /// held to the policy, by name and by address; never from https to http.
    pub fn client_for(&self, address: &Url) -> Result<reqwest::Client, reqwest::Error> {
        // The first provider of a process stays; whether it is this one does not matter.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let policy = Arc::new(self.policy.clone().with_endpoint(address));
        let for_redirects = Arc::clone(&policy);
        reqwest::Client::builder()
            .user_agent(&self.user_agent)
            .connect_timeout(DOCUMENT_CONNECT_TIMEOUT)
            .dns_resolver(GuardedResolver { policy })
            .redirect(reqwest::redirect::Policy::custom(move |attempt| follow(attempt, &for_redirects)))
            .build()
    }
}

/// How long the server of a document may take to accept a connection.
const DOCUMENT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

fn follow(attempt: reqwest::redirect::Attempt<'_>, policy: &AddressPolicy) -> reqwest::redirect::Action {
    let was_https = attempt.previous().last().is_some_and(|url| url.scheme() == "https");
    if was_https && attempt.url().scheme() != "https" {
        return attempt.error("the server redirects from https to http");
    }
    if attempt.previous().len() > MOST_REDIRECTS {
        return attempt.error("the server redirects too often");
    }
    if policy.refuses_redirect(attempt.url()) {
        let host = attempt.url().host_str().unwrap_or_default().to_owned();
        return attempt.error(OnlyRefusedAddresses { host });
    }
    attempt.follow()
}

/// Resolves as the system does and hands out only what the policy permits, so that the address that was checked is
/// the one connected to.
struct GuardedResolver {
    policy: Arc<AddressPolicy>,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = Arc::clone(&self.policy);
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            let permitted: Vec<SocketAddr> =
                found.iter().copied().filter(|found| policy.permits(&host, found.ip())).collect();
            if permitted.is_empty() && !found.is_empty() {
                return Err(OnlyRefusedAddresses { host }.into());
            }
            Ok(Box::new(permitted.into_iter()) as Addrs)
        })
    }
}

/// Whether a URL has a name that leads to an address which a link may not lead to, where the resolver above is not asked or
/// cannot tell. A name that cannot be resolved here is for the proxy to resolve, unless it is known to be private; where that
/// leads, nobody here can tell.
pub(crate) async fn leads_to_private_name(policy: &AddressPolicy, url: &Url) -> bool {
    let Some(name) = policy.name_to_judge(url) else { return false };
    match tokio::net::lookup_host((name, 0)).await {
        Ok(mut found) => found.any(|found| !policy.permits_link(found.ip())),
        Err(_) => address_policy::is_private_name(name),
    }
}

/// The refusal inside an error of the client, if that is what it is.
pub(crate) fn refused_host(error: &reqwest::Error) -> Option<String> {
    causes(error).find_map(|cause| Some(cause.downcast_ref::<OnlyRefusedAddresses>()?.host.clone()))
}

/// What is wrong with the server's certificate, if that is why a request failed.
pub(crate) fn refused_certificate(error: &reqwest::Error) -> Option<String> {
    causes(error).find_map(|cause| match cause.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(problem) => Some(problem.to_string()),
        _ => None,
    })
}

/// The system's word, if there was no room for another open file.
pub(crate) fn full_file_table(error: &reqwest::Error) -> Option<io::Error> {
    causes(error).find_map(|cause| {
        let errno = Errno::from_io_error(cause.downcast_ref()?)?;
        matches!(errno, Errno::MFILE | Errno::NFILE).then(|| errno.into())
    })
}

/// The innermost cause in words. The outer ones repeat the URL, which may hold a secret.
pub(crate) fn innermost(error: &reqwest::Error) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| {
        let error: &'a (dyn Error + 'static) = *error;
        match error.downcast_ref::<io::Error>() {
            // What it calls its source is the source of what it wraps.
            Some(wrapper) => wrapper.get_ref().map(|wrapped| wrapped as &(dyn Error + 'static)),
            None => error.source(),
        }
    })
}
