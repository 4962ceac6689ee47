//! Settings as JSON. No secret is among them: of a token only whether there is one.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use service::access::{TokenHost, TokenOrigin, TokenView};
use utoipa::ToSchema;

/// What is set.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Settings {
    /// The workspace folder.
    pub workspace_dir: String,
    /// The models folder.
    pub model_base_path: String,
    /// The registry to sync from.
    pub registry_url: String,
    /// Seconds between two syncs; 0: never.
    pub registry_sync_interval_seconds: u64,
    /// Where Hugging Face is asked.
    pub hf_endpoint: String,
    /// Downloads that run at once.
    pub max_concurrent_downloads: usize,
    /// Connections that one download may use.
    pub connections_per_download: usize,
    /// Bytes a second for all downloads together; 0: as fast as it goes. It can be changed.
    pub download_rate_limit: u64,
    /// Bytes that stay free on the disk.
    pub min_free_space_bytes: u64,
    /// Requests a minute of an address without credentials; 0: any number.
    pub rate_limit_anonymous: u32,
    /// Requests a minute of a key or session; 0: any number.
    pub rate_limit_authenticated: u32,
    /// Connections that one address may have open.
    pub max_connections_per_address: usize,
    /// Sockets and followed logs that one key, session or address may have open.
    pub max_sockets_per_client: usize,
    /// Seconds that ended downloads and prompts stay in the history; 0: for ever.
    pub history_retention_seconds: u64,
    /// Whose workflows ComfyUI is asked for, where it runs with several users.
    pub comfyui_user: Option<String>,
    /// Whether a password is made where others can reach the server and there is none.
    pub generate_password: bool,
    /// Origins of pages that may use cookies; `null`: only our own page.
    pub cors_origins: Option<Vec<String>>,
    /// Proxies that are believed.
    pub trusted_proxies: Vec<String>,
    /// Tokens for the hosts that models come from.
    pub tokens: Tokens,
}

/// What to change; what is left out stays. Another key than these is refused: it would change nothing.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SettingsChange {
    /// Bytes a second for all downloads together, until the next start; 0: as fast as it goes.
    pub download_rate_limit: Option<u64>,
}

/// Tokens for the hosts that models come from.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Tokens {
    /// For huggingface.co.
    pub huggingface: Token,
    /// For civitai.com.
    pub civitai: Token,
}

/// What is known of a token. The token itself is never shown.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct Token {
    /// There is one.
    pub is_set: bool,
    /// `stored`: somebody set it here; `setting`: the environment or a flag.
    #[schema(example = "stored")]
    pub source: Option<String>,
    /// When it was set here.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(serialize_with = "super::units::milliseconds")]
    pub set_at: Option<Timestamp>,
}

/// A token to keep.
#[derive(Deserialize, ToSchema)]
pub struct TokenRequest {
    /// The token.
    #[schema(example = "hf_…")]
    pub token: String,
}

impl From<Vec<TokenView>> for Tokens {
    fn from(views: Vec<TokenView>) -> Self {
        let of = |host: TokenHost| {
            views.iter().find(|view| view.host == host).map(|view| Token::from(*view)).unwrap_or_default()
        };
        Self { huggingface: of(TokenHost::HuggingFace), civitai: of(TokenHost::Civitai) }
    }
}

impl From<TokenView> for Token {
    fn from(view: TokenView) -> Self {
        let source = view.origin.map(|origin| match origin {
            TokenOrigin::Stored => "stored".to_owned(),
            TokenOrigin::Setting => "setting".to_owned(),
        });
        Self { is_set: source.is_some(), source, set_at: view.set_at }
    }
}
