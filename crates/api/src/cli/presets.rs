//! `presets`: what can be installed.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{CliError, backend::Backend, print};
use crate::config::Settings;
use crate::dto::presets::{Preset, PresetState};

const EXAMPLES: &str = "\
Examples:
  comfyui-dashboard presets list
  comfyui-dashboard presets list --type video --search \"image to video\"
  comfyui-dashboard presets list --installed";

/// What to look at.
#[derive(Debug, Subcommand)]
pub enum PresetsCommand {
    /// List the presets
    #[command(after_help = EXAMPLES)]
    List(ListArguments),
}

/// Which presets to list.
#[derive(Debug, Args)]
pub struct ListArguments {
    /// video, image or audio
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// Such as "Video Generation"
    #[arg(long)]
    category: Option<String>,
    /// Words in name, description or tags
    #[arg(long)]
    search: Option<String>,
    /// Only those that are installed
    #[arg(long)]
    installed: bool,
}

/// Prints the list, every page of it.
pub(super) async fn run(settings: &Settings, command: PresetsCommand) -> Result<ExitCode, CliError> {
    let PresetsCommand::List(arguments) = command;
    let backend = Backend::open(settings).await?;
    let listed = list(&backend, &arguments).await;
    backend.close().await;
    let presets = listed?;
    let widest = presets.iter().map(|preset| preset.id.len()).max().unwrap_or(0);
    presets.iter().try_for_each(|preset| print::line(line(preset, widest)))?;
    if presets.is_empty() {
        print::complain("no preset matches");
    }
    Ok(ExitCode::SUCCESS)
}

async fn list(backend: &Backend, arguments: &ListArguments) -> Result<Vec<Preset>, CliError> {
    let mut presets = Vec::new();
    for page in 1.. {
        let found = backend.list_presets(&query(arguments, page)).await?;
        presets.extend(found.presets);
        if !found.part.has_next {
            break;
        }
    }
    Ok(presets)
}

fn query(arguments: &ListArguments, page: u32) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    let texts = [("type", &arguments.kind), ("category", &arguments.category), ("search", &arguments.search)];
    for (name, value) in texts {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    if arguments.installed {
        query.append_pair("installed", "true");
    }
    query.append_pair("per_page", "100").append_pair("page", &page.to_string());
    query.finish()
}

fn line(preset: &Preset, width: usize) -> String {
    let size = preset.download_size.as_deref().unwrap_or("?");
    let state = match preset.status {
        PresetState::NotInstalled => "",
        PresetState::Installing => "installing",
        PresetState::Paused => "paused",
        PresetState::Partial => "partial",
        PresetState::Installed => "installed",
        PresetState::Failed => "failed",
    };
    format!("{:width$}  {:>8}  {:10}  {}", preset.id, size, state, preset.name)
}
