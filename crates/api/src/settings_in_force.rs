//! What is set, as `/api/settings` shows it, with what was changed since the start.

use std::sync::atomic::{AtomicU64, Ordering};

use service::access::TokenView;

use crate::config::Config;
use crate::dto::settings::Settings;
use crate::origin::AllowedOrigins;

/// What was set at the start, and the figures that moved since.
#[derive(Debug)]
pub(crate) struct SettingsInForce {
    at_start: Settings,
    download_rate_limit: AtomicU64,
}

impl SettingsInForce {
    /// What a server of this configuration has set.
    pub(crate) fn of(config: &Config) -> Self {
        let (service, engine) = (&config.service, &config.service.downloader);
        let download_rate_limit = engine.rate_limit.unwrap_or(0);
        let at_start = Settings {
            workspace_dir: service.workspace.display().to_string(),
            model_base_path: service.models.display().to_string(),
            registry_url: service.registry_url.clone(),
            registry_sync_interval_seconds: service.registry_sync_interval.as_secs(),
            hf_endpoint: engine.hf_endpoint.to_string(),
            max_concurrent_downloads: engine.max_concurrent_downloads,
            connections_per_download: engine.connections_per_download,
            download_rate_limit,
            min_free_space_bytes: engine.min_free_space,
            rate_limit_anonymous: service.access.anonymous_requests_a_minute,
            rate_limit_authenticated: service.access.known_requests_a_minute,
            max_connections_per_address: config.connections.per_address,
            max_sockets_per_client: config.sockets_per_client,
            history_retention_seconds: service.history_retention.as_secs(),
            comfyui_user: service.comfy.user.clone(),
            generate_password: config.generate_password,
            cors_origins: match &config.rules.origins {
                AllowedOrigins::Unlisted => None,
                AllowedOrigins::Listed(origins) => Some(origins.clone()),
            },
            trusted_proxies: config.rules.trusted_proxies.iter().map(ToString::to_string).collect(),
            tokens: Vec::new().into(),
        };
        Self { at_start, download_rate_limit: AtomicU64::new(download_rate_limit) }
    }

    /// What is set now.
    pub(crate) fn show(&self, tokens: Vec<TokenView>) -> Settings {
        let download_rate_limit = self.download_rate_limit.load(Ordering::Relaxed);
        Settings { download_rate_limit, tokens: tokens.into(), ..self.at_start.clone() }
    }

    /// Notes a limit that was changed.
    pub(crate) fn set_download_rate_limit(&self, bytes_per_second: u64) {
        self.download_rate_limit.store(bytes_per_second, Ordering::Relaxed);
    }
}
