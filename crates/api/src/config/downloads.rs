//! Where models come from and how they are fetched.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use service::PrivateSources;
use url::Url;

use super::values::{SecretText, Words, http_url, positive_span, private_sources, size, span, words};

/// Where the registry is published.
const REGISTRY: &str = "https://raw.githubusercontent.com/zeroclue/comfyui-presets/main/registry.json";

/// Where models come from and how they are fetched.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Registry and downloads")]
pub struct DownloadSettings {
    /// The registry to sync from
    #[arg(long, env, global = true, value_name = "URL", value_parser = http_url, default_value = REGISTRY, hide_env_values = true)]
    pub registry_url: Url,
    /// A registry file instead of the built-in one
    #[arg(long, env, global = true, value_name = "FILE", hide_env_values = true)]
    pub preset_config_path: Option<PathBuf>,
    /// How often the registry is synced; 0: never
    #[arg(long, env, global = true, value_name = "SPAN", value_parser = span, default_value = "6h", hide_env_values = true)]
    pub registry_sync_interval: Duration,
    /// Presets to install at the start, separated by commas
    #[arg(long, env, global = true, value_name = "IDS", value_parser = list, default_value = "", hide_env_values = true)]
    pub preset_download: Words,
    /// Image presets to install at the start
    #[arg(long, env, global = true, value_name = "IDS", value_parser = list, default_value = "", hide_env_values = true)]
    pub image_preset_download: Words,
    /// Audio presets to install at the start
    #[arg(long, env, global = true, value_name = "IDS", value_parser = list, default_value = "", hide_env_values = true)]
    pub audio_preset_download: Words,
    /// Downloads that run at once
    #[arg(long, env, global = true, value_name = "N", value_parser = count, default_value = "3", hide_env_values = true)]
    pub max_concurrent_downloads: u16,
    /// Connections that one download may use
    #[arg(long, env, global = true, value_name = "N", value_parser = count, default_value = "8", hide_env_values = true)]
    pub connections_per_download: u16,
    /// Bytes a second for all downloads together; 0: as fast as it goes
    #[arg(long, env, global = true, value_name = "SIZE", value_parser = size, default_value = "0", hide_env_values = true)]
    pub download_rate_limit: u64,
    /// Silence after which a server is asked anew
    #[arg(long, env, global = true, value_name = "SPAN", value_parser = positive_span, default_value = "30s", hide_env_values = true)]
    pub stall_timeout: Duration,
    /// Private addresses that may be asked for files: 0, 1, or networks separated by commas
    #[arg(long, env, global = true, value_name = "0|1|CIDRS", value_parser = private_sources, default_value = "0", hide_env_values = true)]
    pub allow_private_sources: PrivateSources,
    /// Address of a mirror that stands in for huggingface.co
    #[arg(long, env, global = true, value_name = "URL", value_parser = http_url, hide_env_values = true)]
    pub hf_endpoint: Option<Url>,
    /// Token for Hugging Face
    #[arg(long, env, global = true, value_name = "TOKEN", value_parser = secret, hide_env_values = true)]
    pub hf_token: Option<SecretText>,
    /// Hugging Face's own folder, whose files are used instead of the network
    #[arg(long, env, global = true, value_name = "DIR", hide_env_values = true)]
    pub hf_home: Option<PathBuf>,
    /// Token for Civitai
    #[arg(long, env, global = true, value_name = "TOKEN", value_parser = secret, hide_env_values = true)]
    pub civitai_api_token: Option<SecretText>,
}

impl DownloadSettings {
    /// Every preset to install at the start.
    pub fn install_at_start(&self) -> Vec<String> {
        [&self.preset_download, &self.image_preset_download, &self.audio_preset_download]
            .into_iter()
            .flat_map(|list| list.0.iter().cloned())
            .collect()
    }
}

fn list(text: &str) -> Result<Words, String> {
    Ok(words(text))
}

fn secret(text: &str) -> Result<SecretText, String> {
    Ok(SecretText(text.trim().to_owned()))
}

fn count(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(count) if (1..=64).contains(&count) => Ok(count),
        _ => Err("it takes a whole number from 1 to 64".to_owned()),
    }
}
