//! What the service is told at its start. It reads nothing itself: `api::config` makes this from flags and environment.

use std::{path::PathBuf, time::Duration};

use registry::PresetId;

use crate::{access::AccessSettings, comfy::ComfySettings, logs::LogRing, models::ExtraModelPaths};

/// Where the database stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabasePlace(
    /// The database file; its folder is made where it is missing.
    pub PathBuf,
);

/// Everything that the service needs to know from outside.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The folder whose file system "disk" means.
    pub workspace: PathBuf,
    /// The models folder.
    pub models: PathBuf,
    /// The folder of workflows; those that people save lie in `user` below it.
    pub workflows: PathBuf,
    /// Further folders of models.
    pub extra_models: ExtraModelPaths,
    /// The database file.
    pub database: DatabasePlace,
    /// A local registry document that stands in for the built-in one.
    pub preset_config: Option<PathBuf>,
    /// The registry to sync from.
    pub registry_url: String,
    /// Where the last good copy of it is kept.
    pub registry_copy: PathBuf,
    /// How often it is synced; zero is never.
    pub registry_sync_interval: Duration,
    /// How long ended downloads and prompts stay in the history; zero is for ever.
    pub history_retention: Duration,
    /// Presets to install at the start, as named by the operator; unknown ones are warned of.
    pub install_at_start: Vec<String>,
    /// How often the machine is looked at.
    pub sample_interval: Duration,
    /// How often the models folder is scanned anew.
    pub rescan_interval: Duration,
    /// How long `install` asks servers for sizes before it answers without them.
    pub size_question_timeout: Duration,
    /// How many downloads may be unfinished at once.
    pub most_unfinished_downloads: usize,
    /// How long a command waits for the state that follows from it before it answers with the one that holds.
    pub settling_time: Duration,
    /// The NVIDIA library to open; `None`: where the system keeps it.
    pub nvml_library: Option<PathBuf>,
    /// GiB of video memory, where no GPU can be asked.
    pub gpu_vram_gb: Option<f64>,
    /// Where the binary puts the lines that it logs.
    pub logs: LogRing,
    /// Who may come in, and how often.
    pub access: AccessSettings,
    /// Where ComfyUI is and how it is spoken to.
    pub comfy: ComfySettings,
    /// How the downloader works.
    pub downloader: downloader::Settings,
}

impl Settings {
    /// Everything in its usual place below a workspace folder, and the usual values for the rest.
    pub fn in_folder(workspace: PathBuf) -> Self {
        Self {
            models: workspace.join("models"),
            extra_models: ExtraModelPaths::default(),
            workflows: workspace.join("workflows"),
            database: DatabasePlace(workspace.join("data/dashboard.db")),
            preset_config: None,
            registry_url: "https://raw.githubusercontent.com/zeroclue/comfyui-presets/main/registry.json".to_owned(),
            registry_copy: workspace.join("data/registry.json"),
            registry_sync_interval: Duration::from_secs(6 * 3600),
            history_retention: Duration::from_secs(30 * 24 * 3600),
            install_at_start: Vec::new(),
            sample_interval: Duration::from_secs(2),
            rescan_interval: Duration::from_secs(300),
            size_question_timeout: Duration::from_millis(1500),
            most_unfinished_downloads: 2_000,
            settling_time: Duration::from_secs(5),
            nvml_library: None,
            gpu_vram_gb: None,
            logs: LogRing::default(),
            access: AccessSettings::default(),
            comfy: ComfySettings::default(),
            downloader: downloader::Settings::default(),
            workspace,
        }
    }

    /// The presets to install at start that parse as ids, and the words that do not.
    pub fn presets_at_start(&self) -> (Vec<PresetId>, Vec<String>) {
        let mut known = Vec::new();
        let mut unknown = Vec::new();
        for word in &self.install_at_start {
            match PresetId::parse(word) {
                Ok(id) if known.contains(&id) => {}
                Ok(id) => known.push(id),
                Err(_) => unknown.push(word.clone()),
            }
        }
        (known, unknown)
    }
}
