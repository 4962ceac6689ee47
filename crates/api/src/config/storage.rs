//! Where files and the database are.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::values::{database, flag, size, span};

/// Where files and the database are.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Files")]
pub struct StorageSettings {
    /// Folder for everything that has no other place
    #[arg(long, env, global = true, value_name = "DIR", default_value = "./workspace", hide_env_values = true)]
    pub workspace_dir: PathBuf,
    /// The models folder of ComfyUI [default: models in the workspace]
    #[arg(long, env, global = true, value_name = "DIR", hide_env_values = true)]
    pub model_base_path: Option<PathBuf>,
    /// The folder of workflows [default: workflows in the workspace]
    #[arg(long, env, global = true, value_name = "DIR", hide_env_values = true)]
    pub workflow_base_path: Option<PathBuf>,
    /// The database, as sqlite:// and a path [default: data/dashboard.db in the workspace]
    #[arg(long, env, global = true, value_name = "URL", value_parser = database, hide_env_values = true)]
    pub database_url: Option<PathBuf>,
    /// Minimum free disk space
    #[arg(long, env, global = true, value_name = "SIZE", value_parser = size, default_value = "1GiB", hide_env_values = true)]
    pub min_free_space: u64,
    /// How long ended downloads and prompts stay in the history; 0 keeps them for ever
    #[arg(long, env, global = true, value_name = "SPAN", value_parser = span, default_value = "30d", hide_env_values = true)]
    pub history_retention: Duration,
    /// ComfyUI's extra_model_paths.yaml: more folders to list models from
    #[arg(long, env, global = true, value_name = "FILE", hide_env_values = true)]
    pub extra_model_paths_config: Option<PathBuf>,
    /// Whether models in those folders may be deleted
    #[arg(long, env, global = true, value_name = "0|1", value_parser = flag, default_value = "0", hide_env_values = true)]
    pub extra_model_paths_delete: bool,
}

impl StorageSettings {
    /// The models folder.
    pub fn models(&self) -> PathBuf {
        self.model_base_path.clone().unwrap_or_else(|| self.workspace_dir.join("models"))
    }

    /// The folder of workflows.
    pub fn workflows(&self) -> PathBuf {
        self.workflow_base_path.clone().unwrap_or_else(|| self.workspace_dir.join("workflows"))
    }

    /// The folder of the server's own log.
    pub fn logs(&self) -> PathBuf {
        self.workspace_dir.join("data/logs")
    }

    /// The database file.
    pub fn database(&self) -> PathBuf {
        self.database_url.clone().unwrap_or_else(|| self.workspace_dir.join("data/dashboard.db"))
    }
}
