//! The service's settings, made from the list. It decides nothing: every choice stands in the list or in the service.

use service::{
    Credentials, DatabasePlace, Secret, Settings as Service, access::AccessSettings, comfy::ComfySettings,
    models::ExtraModelPaths,
};

use super::values::SecretText;
use super::{Settings, proxies};

pub(super) fn of(settings: &Settings) -> Service {
    let (storage, downloads) = (&settings.storage, &settings.downloads);
    let database = storage.database();
    let mut made = Service {
        models: storage.models(),
        extra_models: ExtraModelPaths {
            home: std::env::home_dir(),
            config: storage.extra_model_paths_config.clone(),
            may_delete: storage.extra_model_paths_delete,
        },
        workflows: storage.workflows(),
        registry_copy: database.with_file_name("registry.json"),
        database: DatabasePlace(database),
        preset_config: downloads.preset_config_path.clone(),
        registry_url: downloads.registry_url.to_string(),
        registry_sync_interval: downloads.registry_sync_interval,
        history_retention: storage.history_retention,
        install_at_start: downloads.install_at_start(),
        gpu_vram_gb: settings.comfyui.gpu_vram_gb,
        access: AccessSettings {
            password: settings.access.access_password.as_ref().map(secret),
            anonymous_requests_a_minute: settings.access.rate_limit_anonymous,
            known_requests_a_minute: settings.access.rate_limit_authenticated,
            ..AccessSettings::default()
        },
        comfy: ComfySettings {
            url: settings.comfyui.comfyui_url.clone(),
            user: settings.comfyui.comfyui_user.clone(),
            log_file: settings.comfyui.comfyui_log_file.clone(),
            max_queue: settings.comfyui.comfyui_max_queue,
            ahead: settings.comfyui.comfyui_ahead,
            ..ComfySettings::default()
        },
        logs: settings.log.ring.clone(),
        ..Service::in_folder(storage.workspace_dir.clone())
    };
    let engine = &mut made.downloader;
    if let Some(mirror) = &downloads.hf_endpoint {
        engine.hf_endpoint = mirror.clone();
    }
    engine.max_concurrent_downloads = downloads.max_concurrent_downloads.into();
    engine.connections_per_download = downloads.connections_per_download.into();
    engine.rate_limit = Some(downloads.download_rate_limit).filter(|bytes| *bytes > 0);
    engine.min_free_space = storage.min_free_space;
    engine.stall_timeout = downloads.stall_timeout;
    engine.private_sources = downloads.allow_private_sources.clone();
    engine.proxy_hosts = proxies::hosts();
    engine.hf_cache = downloads.hf_home.clone();
    engine.credentials = Credentials {
        hf_token: downloads.hf_token.as_ref().map(secret),
        civitai_token: downloads.civitai_api_token.as_ref().map(secret),
    };
    made
}

fn secret(text: &SecretText) -> Secret {
    Secret::new(&text.0)
}
