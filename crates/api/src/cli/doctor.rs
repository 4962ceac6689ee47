//! `doctor`: what is set, and whether it can work. It looks and changes nothing.

use std::path::Path;
use std::process::ExitCode;

use super::{CliError, remote::Remote};
use crate::config::Settings;

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
        println!("{name:16} {}: {}", path.display(), state.unwrap_or_else(|wrong| wrong));
    }
    if let Some(file) = &config.service.preset_config {
        let is_there = file.is_file();
        is_well &= is_there;
        println!("{:16} {}: {}", "registry file", file.display(), if is_there { "is there" } else { "is missing" });
    }
    println!("{:16} {}", "registry", config.service.registry_url);
    println!("{:16} {}", "Hugging Face", config.service.downloader.hf_endpoint);
    println!("{:16} {}", "ComfyUI", service::comfy::without_credentials(&settings.comfyui.comfyui_url));
    match Remote::find(&config.listen).await {
        Some(remote) => println!("{:16} answers at {}", "server", remote.address()),
        None => println!("{:16} is not running", "server"),
    }
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
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
