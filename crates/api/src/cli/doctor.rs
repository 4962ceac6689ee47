//! `doctor`: what is set, and whether it can work. It looks and changes nothing.

use std::path::Path;
use std::process::ExitCode;

use super::{CliError, print, remote::Remote};
use crate::config::Settings;
use crate::peer_owner::{self, TRUST_IN_LOCALHOST};

/// Prints a line for each thing that has to be right; 1 when one of them is not.
pub(super) async fn run(settings: &Settings) -> Result<ExitCode, CliError> {
    let config = settings.config()?;
    let mut is_well = true;
    for (name, path) in [
        ("workspace", settings.storage.workspace_dir.as_path()),
        ("models folder", config.service.models.as_path()),
        ("database folder", config.service.database.0.parent().unwrap_or(Path::new("."))),
    ] {
        let state = folder_state(path);
        is_well &= state.is_ok();
        print::line(format_args!("{name:16} {}: {}", path.display(), state.unwrap_or_else(|wrong| wrong)))?;
    }
    if let Some(file) = &config.service.preset_config {
        let is_there = file.is_file();
        is_well &= is_there;
        let state = if is_there { "is there" } else { "is missing" };
        print::line(format_args!("{:16} {}: {state}", "registry file", file.display()))?;
    }
    match config.service.extra_models.folders() {
        Ok(folders) => {
            for (kind, folder) in folders {
                let state = if folder.is_dir() { "is there" } else { "is missing" };
                print::line(format_args!("{:16} {kind} in {}: {state}", "extra models", folder.display()))?;
            }
        }
        Err(cause) => {
            is_well = false;
            print::line(format_args!("{:16} {cause}", "extra models"))?;
        }
    }
    print::line(format_args!("{:16} {}", "registry", config.service.registry_url))?;
    print::line(format_args!("{:16} {}", "Hugging Face", config.service.downloader.hf_endpoint))?;
    let comfyui = service::comfy::without_credentials(&settings.comfyui.comfyui_url);
    print::line(format_args!("{:16} {comfyui}", "ComfyUI"))?;
    match Remote::find(&config.listen).await {
        Some(remote) => print::line(format_args!("{:16} answers at {}", "server", remote.address()))?,
        None => print::line(format_args!("{:16} is not running", "server"))?,
    }
    for line in trust_in_localhost() {
        print::line(format_args!("{:16} {line}", "localhost"))?;
    }
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What is trusted without a password or key, and whether that can be told.
fn trust_in_localhost() -> Vec<String> {
    let mut lines = vec![format!("without a password or key {TRUST_IN_LOCALHOST}")];
    if let Err(cause) = peer_owner::try_out() {
        lines.push(format!("is not trusted here: the user of a connection cannot be looked up: {cause}"));
    }
    lines
}

/// Whether files can be made in a folder, or the folder itself.
fn folder_state(path: &Path) -> Result<String, String> {
    match path.metadata() {
        Ok(facts) if !facts.is_dir() => Err("is no folder".to_owned()),
        Ok(facts) if facts.permissions().readonly() => Err("cannot be written to".to_owned()),
        Ok(_) => Ok("is there".to_owned()),
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok("will be made".to_owned()),
        Err(cause) => Err(format!("cannot be looked at: {cause}")),
    }
}
