//! The bodies of install and uninstall, and their answers.

use serde::{Deserialize, Serialize};
use service::downloads::DownloadState as State;
use service::presets as view;
use utoipa::{IntoParams, ToSchema};

use super::Priority;
use super::downloads::DownloadState;
use super::units::gigabytes;
use crate::operations::Role;

/// How to install. Every key is optional, and so is the body.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct InstallRequest {
    /// Verify every file that is there and fetch what fails.
    pub force: bool,
    /// With `force`: fetch every file again.
    pub refetch: bool,
    /// How urgent it is.
    pub priority: Priority,
}

impl InstallRequest {
    /// What is asked for, by somebody of this role.
    pub fn options(self, role: Role) -> view::InstallOptions {
        view::InstallOptions {
            force: self.force,
            refetch: self.refetch,
            priority: self.priority,
            may_replace: role.may_replace(),
        }
    }
}

/// What an accepted install is doing.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum InstallState {
    /// Queued, downloading or verifying.
    Installing,
    /// The download that installs it is paused.
    Paused,
}

/// An install that runs, begun now or before.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct InstallStarted {
    /// What it is doing.
    pub status: InstallState,
    /// Which preset.
    pub preset_id: String,
    /// The download that does it.
    pub download_id: String,
    /// Seconds that it may take, judged by recent downloads.
    pub estimated_time_seconds: Option<u64>,
    /// Size of all files, in units of 2^30 bytes.
    pub total_size_gb: Option<f64>,
    /// Size of all files.
    pub total_size_bytes: Option<u64>,
    /// Where the download stands.
    pub download_status: DownloadState,
    /// Things worth knowing that stopped nothing.
    pub warnings: Vec<String>,
}

impl From<view::InstallStarted> for InstallStarted {
    fn from(started: view::InstallStarted) -> Self {
        Self {
            status: if started.state == State::Paused { InstallState::Paused } else { InstallState::Installing },
            preset_id: started.preset_id.to_string(),
            download_id: started.download_id,
            estimated_time_seconds: started.estimated_seconds,
            total_size_gb: started.total_bytes.map(gigabytes),
            total_size_bytes: started.total_bytes,
            download_status: started.state,
            warnings: started.warnings,
        }
    }
}

/// How to uninstall; as a body or as query parameters.
#[derive(Debug, Clone, Default, Deserialize, ToSchema, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
pub struct UninstallRequest {
    /// Must be `true`.
    #[param(required = false)]
    pub confirm: bool,
    /// Remove dependencies too that no other installed preset needs.
    #[param(required = false)]
    pub remove_dependencies: bool,
}

/// What an uninstall did.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Uninstalled {
    /// Always `uninstalled`.
    #[schema(example = "uninstalled")]
    pub status: String,
    /// Which preset.
    pub preset_id: String,
    /// How many files are gone.
    pub files_removed: usize,
    /// Space that is free again, in units of 2^30 bytes.
    pub space_freed_gb: f64,
    /// Space that is free again.
    pub space_freed_bytes: u64,
    /// Files that stayed, because another installed preset uses them or a link leads out of the models folder.
    pub files_kept: Vec<String>,
    /// Dependencies that went with it.
    pub dependencies_removed: Vec<String>,
}

impl From<view::Uninstalled> for Uninstalled {
    fn from(gone: view::Uninstalled) -> Self {
        Self {
            status: "uninstalled".to_owned(),
            preset_id: gone.preset_id.to_string(),
            files_removed: gone.removed.len(),
            space_freed_gb: gigabytes(gone.freed_bytes),
            space_freed_bytes: gone.freed_bytes,
            files_kept: gone.kept,
            dependencies_removed: gone.dependencies_removed.iter().map(ToString::to_string).collect(),
        }
    }
}
