//! `get`: one file from any link, with progress.

use std::process::ExitCode;

use clap::Args;

use super::backend::Backend;
use super::install::priority;
use super::progress::follow;
use super::{CliError, serve::stop_signal};
use crate::config::Settings;
use crate::dto::Priority;
use crate::dto::download_requests::DownloadRequest;

const EXAMPLES: &str = "\
Examples:
  comfyui-dashboard get https://huggingface.co/org/repo/blob/main/detail.safetensors --type loras
  comfyui-dashboard get hf://org/repo/vae/ae.safetensors@main --path vae/ae.safetensors
  comfyui-dashboard get https://civitai.com/models/12345 --type checkpoints --filename mine.safetensors
  comfyui-dashboard get URL MIRROR_URL --type vae --sha256 9f86d081884c7d65...";

/// What to fetch and where to.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct GetArguments {
    /// A link to the file or its page; further ones are mirrors of the same file
    #[arg(required = true, value_name = "URL")]
    urls: Vec<String>,
    /// The folder below the models folder, such as loras
    #[arg(long = "type", value_name = "FOLDER", required_unless_present = "path", conflicts_with = "path")]
    kind: Option<String>,
    /// Where the file goes, below the models folder
    #[arg(long)]
    path: Option<String>,
    /// Its name in that folder [default: the server's own, else the last part of the link]
    #[arg(long, conflicts_with = "path")]
    filename: Option<String>,
    /// What its SHA-256 must be
    #[arg(long, value_name = "HEX")]
    sha256: Option<String>,
    /// Replace a file that is there
    #[arg(long)]
    overwrite: bool,
    /// low, normal or high
    #[arg(long, value_parser = priority, default_value = "normal")]
    priority: Priority,
}

/// Fetches, waits, and says how it went.
pub(super) async fn run(settings: &Settings, arguments: GetArguments) -> Result<ExitCode, CliError> {
    let backend = Backend::open(settings).await?;
    let outcome = get(&backend, arguments).await;
    backend.close().await;
    outcome
}

async fn get(backend: &Backend, arguments: GetArguments) -> Result<ExitCode, CliError> {
    let request = DownloadRequest {
        url: None,
        urls: arguments.urls,
        path: arguments.path,
        r#type: arguments.kind,
        filename: arguments.filename,
        sha256: arguments.sha256,
        size_bytes: None,
        priority: arguments.priority,
        overwrite: arguments.overwrite,
    };
    let added = backend.add_download(&request).await?;
    let stop = stop_signal().map_err(crate::ApplicationError::from)?;
    follow(backend, &[(added.path, added.download_id)], stop).await?;
    Ok(ExitCode::SUCCESS)
}
