//! `get`: one file from any link, with progress.

use std::process::ExitCode;

use clap::Args;

use super::backend::Backend;
use super::install::priority;
use super::progress::follow;
use super::{CliError, print, serve::stop_signal};
use crate::config::Settings;
use crate::dto::Priority;
use crate::dto::download_requests::{DownloadPreview, DownloadRequest, FoundIn};
use crate::dto::units::size_text;

const EXAMPLES: &str = "\
Examples:
  comfyui-dashboard get https://huggingface.co/org/repo/blob/main/detail.safetensors --type loras
  comfyui-dashboard get hf://org/repo/vae/ae.safetensors@main --path vae/ae.safetensors
  comfyui-dashboard get https://civitai.com/models/12345 --type checkpoints --filename mine.safetensors
  comfyui-dashboard get https://civitai.com/models/12345 --dry-run
  comfyui-dashboard get URL MIRROR_URL --type vae --sha256 9f86d081884c7d65...";

/// What to fetch and where to.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct GetArguments {
    /// A link to the file or its page; further ones are mirrors of the same file
    #[arg(required = true, value_name = "URL")]
    urls: Vec<String>,
    /// The folder below the models folder, such as loras
    #[arg(long = "type", value_name = "FOLDER", required_unless_present_any = ["path", "dry_run"], conflicts_with = "path")]
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
    /// Only say what would be fetched, where it would go, and what has to be done first
    #[arg(long)]
    dry_run: bool,
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
    if arguments.dry_run {
        return show(&backend.preview_download(&request).await?);
    }
    let added = backend.add_download(&request).await?;
    let stop = stop_signal().map_err(crate::ApplicationError::from)?;
    follow(backend, &[(added.path, added.download_id)], stop).await?;
    Ok(ExitCode::SUCCESS)
}

/// Prints a line for each thing that is known; 1 where the file could not be fetched as asked.
fn show(preview: &DownloadPreview) -> Result<ExitCode, CliError> {
    let from = |from: &Option<FoundIn>| match from {
        Some(FoundIn::Request) => " (as asked)",
        Some(FoundIn::Server) => " (from the server)",
        Some(FoundIn::Link) => " (from the link)",
        None => "",
    };
    let known = |value: &Option<String>| value.clone().unwrap_or_else(|| "not known".to_owned());
    let size = preview.size_bytes.map(|bytes| format!("{bytes} bytes ({})", size_text(bytes)));
    let exists = preview.exists.map(|exists| if exists { "yes" } else { "no" }.to_owned());
    for (name, value) in [
        ("name", known(&preview.name) + from(&preview.name_from)),
        ("folder", known(&preview.folder) + from(&preview.folder_from)),
        ("path", known(&preview.path)),
        ("exists", known(&exists)),
        ("size", known(&size)),
        ("sha256", known(&preview.sha256)),
    ] {
        print::line(format_args!("{name:8} {value}"))?;
    }
    let in_the_way = [("gate", &preview.gate), ("problem", &preview.problem)];
    for (name, value) in in_the_way {
        if let Some(value) = value {
            print::line(format_args!("{name:8} {value}"))?;
        }
    }
    let is_free = in_the_way.iter().all(|(_, value)| value.is_none());
    Ok(if is_free { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
