//! `install`: the files of presets, with progress.

use std::process::ExitCode;

use clap::Args;

use super::backend::Backend;
use super::progress::follow;
use super::{CliError, print, serve::stop_signal};
use crate::config::Settings;
use crate::dto::Priority;
use crate::dto::installs::InstallRequest;

const EXAMPLES: &str = "\
Examples:
  comfyui-dashboard install WAN_22_5B_TIV2
  comfyui-dashboard install FLUX_SCHNELL_BASIC SDXL_BASE_V1 --priority high
  comfyui-dashboard install WAN_22_5B_TIV2 --force        verify every file, fetch what fails
  HF_TOKEN=hf_... comfyui-dashboard install FLUX_DEV_BASIC   a gated repository";

/// What to install and how.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct InstallArguments {
    /// Presets, by id: `comfyui-dashboard presets list` names them
    #[arg(required = true, value_name = "PRESET")]
    presets: Vec<String>,
    /// Verify every file that is there and fetch what fails
    #[arg(long)]
    force: bool,
    /// With --force: fetch every file again
    #[arg(long, requires = "force")]
    refetch: bool,
    /// low, normal or high
    #[arg(long, value_parser = priority, default_value = "normal")]
    priority: Priority,
    /// Begin the downloads and do not wait for them (needs a running server)
    #[arg(long)]
    detach: bool,
}

/// The priority of a word.
pub(super) fn priority(word: &str) -> Result<Priority, String> {
    match word {
        "low" => Ok(Priority::Low),
        "normal" => Ok(Priority::Normal),
        "high" => Ok(Priority::High),
        _ => Err("it takes low, normal or high".to_owned()),
    }
}

/// Installs, waits, and says how it went.
pub(super) async fn run(settings: &Settings, arguments: InstallArguments) -> Result<ExitCode, CliError> {
    let backend = Backend::open(settings).await?;
    let outcome = install(&backend, &arguments).await;
    backend.close().await;
    outcome
}

async fn install(backend: &Backend, arguments: &InstallArguments) -> Result<ExitCode, CliError> {
    let request = InstallRequest { force: arguments.force, refetch: arguments.refetch, priority: arguments.priority };
    let mut downloads = Vec::new();
    for preset in &arguments.presets {
        match backend.install_preset(preset, &request).await {
            Ok(started) => {
                started.warnings.iter().for_each(|warning| print::complain(format_args!("{preset}: {warning}")));
                downloads.push((preset.clone(), started.download_id));
            }
            Err(failure) if is_installed(&failure) => print::line(format_args!("{preset} is already installed"))?,
            Err(failure) => return Err(failure),
        }
    }
    if arguments.detach && matches!(backend, Backend::Server(_)) {
        downloads.iter().try_for_each(|(preset, download)| print::line(format_args!("{preset}: {download}")))?;
        return Ok(ExitCode::SUCCESS);
    }
    follow(backend, &downloads, stop_signal().map_err(crate::ApplicationError::from)?).await?;
    Ok(ExitCode::SUCCESS)
}

/// What is there already needs nothing: asking twice is no failure.
fn is_installed(failure: &CliError) -> bool {
    matches!(failure, CliError::Refused { code, .. } if code == "PRESET_ALREADY_INSTALLED")
}
