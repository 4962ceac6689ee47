//! Everything about the engine that can be chosen, with the values for production as defaults. It reads no environment.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use url::Url;

/// How the engine behaves. Tests use the same engine with milliseconds instead of seconds.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Stands in for `https://huggingface.co`. Its host may be private and plain http: it is the operator's own word.
    pub hf_endpoint: Url,
    /// Stands in for `https://civitai.com`, in the same way.
    pub civitai_endpoint: Url,
    /// Jobs that run at once; at least 1.
    pub max_concurrent_downloads: usize,
    /// Connections over which one job may receive at once, shared by its files; at least 1. To a server far away the next
    /// one of a file is asked a round trip before another has all of its range.
    pub connections_per_download: usize,
    /// Bytes a second for all jobs together; `None` is no limit.
    pub rate_limit: Option<u64>,
    /// Bytes of free space that are left alone.
    pub min_free_space: u64,
    /// Silence on a connection after which it is given up and the bytes are asked for anew.
    pub stall_timeout: Duration,
    /// Longest wait for a connection to stand.
    pub connect_timeout: Duration,
    /// How failures are repeated.
    pub backoff: Backoff,
    /// How long to wait for another process that writes the same file.
    pub lock_wait: Duration,
    /// How often free space is looked at while a job waits for it.
    pub storage_poll: Duration,
    /// Least time between two ticks of one job.
    pub progress_interval: Duration,
    /// How often written data is synced to the disk, whichever comes first: this time ...
    pub sync_interval: Duration,
    /// ... or this many bytes of one file.
    pub sync_bytes: u64,
    /// Private addresses that URLs may lead to.
    pub private_sources: PrivateSources,
    /// Hosts of proxies, which may have private addresses. A link that leads to one of them is judged like any other.
    pub proxy_hosts: Vec<String>,
    /// Certificates (PEM, one or more in each text) of authorities that are trusted beside the machine's. The latter are
    /// those of `SSL_CERT_FILE` and `SSL_CERT_DIR` where one of these is set, as a proxy that ends TLS may want it.
    pub extra_roots: Vec<String>,
    /// A Hugging Face home folder (`HF_HOME`) whose blobs are used instead of the network.
    pub hf_cache: Option<PathBuf>,
    /// Sent as `User-Agent`.
    pub user_agent: String,
    /// Tokens at the start; [`set_credentials`](crate::Downloader::set_credentials) changes them.
    pub credentials: Credentials,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            hf_endpoint: constant_url("https://huggingface.co"),
            civitai_endpoint: constant_url("https://civitai.com"),
            max_concurrent_downloads: 3,
            connections_per_download: 8,
            rate_limit: None,
            min_free_space: 1 << 30,
            stall_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(15),
            backoff: Backoff::default(),
            lock_wait: Duration::from_secs(10),
            storage_poll: Duration::from_secs(5),
            progress_interval: Duration::from_millis(250),
            sync_interval: Duration::from_secs(5),
            sync_bytes: 256 << 20,
            private_sources: PrivateSources::None,
            proxy_hosts: Vec::new(),
            extra_roots: Vec::new(),
            hf_cache: None,
            user_agent: concat!("comfyui-dashboard/", env!("CARGO_PKG_VERSION")).to_owned(),
            credentials: Credentials::default(),
        }
    }
}

fn constant_url(text: &str) -> Url {
    Url::parse(text).expect("a constant URL parses")
}

/// How a failing file is tried again. The budget counts tries that brought nothing: progress fills it up again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Wait after the first failure; it doubles with each further one, with jitter.
    pub first: Duration,
    /// Longest wait.
    pub max: Duration,
    /// Tries in a row without progress after which a file fails.
    pub tries_without_progress: u32,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_millis(500), max: Duration::from_secs(30), tries_without_progress: 10 }
    }
}

/// Which private, loopback and link-local addresses a URL may lead to. The endpoints' own hosts are always allowed,
/// with their ports.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum PrivateSources {
    /// Only public addresses.
    #[default]
    None,
    /// All addresses.
    All,
    /// Public addresses and these networks.
    Networks(Vec<IpNet>),
}

/// Tokens for the hosts that ask for one. Each is sent to its own host only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// For Hugging Face or [`Settings::hf_endpoint`].
    pub hf_token: Option<Secret>,
    /// For Civitai or [`Settings::civitai_endpoint`].
    pub civitai_token: Option<Secret>,
}

/// A text that is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a token; surrounding white space is dropped.
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// The token itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Secret(...)")
    }
}
