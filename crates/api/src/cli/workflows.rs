//! `workflows install`: what a workflow needs, fetched; and what remains for a person to do.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::backend::Backend;
use super::install::priority;
use super::progress::follow;
use super::{CliError, print, serve::stop_signal};
use crate::config::Settings;
use crate::dto::Priority;
use crate::dto::units::size_text;
use crate::dto::workflow_install::{InstallWorkflowRequest, ModelChoice, OpenQuestion, WorkflowInstall};
use crate::graph_file;

const EXAMPLES: &str = "\
Examples:
  comfyui-dashboard workflows install picture.png
  comfyui-dashboard workflows install workflow.json --dry-run
  comfyui-dashboard workflows install workflow.json --choose old.ckpt=https://huggingface.co/org/repo/blob/main/old.ckpt";

/// What can be done with workflows.
#[derive(Debug, Subcommand)]
pub enum WorkflowsCommand {
    /// Fetch the model files that a workflow lacks, and say what remains
    Install(InstallWorkflowArguments),
}

/// Which workflow, and how.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct InstallWorkflowArguments {
    /// A workflow as JSON, or a PNG, WebP, JPEG, MP4 or FLAC that ComfyUI made
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where a file comes from that is listed under `choose`; repeatable
    #[arg(long, value_name = "NAME=URL", value_parser = choice)]
    choose: Vec<(String, ModelChoice)>,
    /// low, normal or high
    #[arg(long, value_parser = priority, default_value = "normal")]
    priority: Priority,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
}

fn choice(given: &str) -> Result<(String, ModelChoice), String> {
    let (name, url) = given.split_once('=').ok_or("it takes NAME=URL")?;
    Ok((name.to_owned(), ModelChoice { url: url.to_owned(), folder: None }))
}

/// Does what was asked.
pub(super) async fn run(settings: &Settings, command: WorkflowsCommand) -> Result<ExitCode, CliError> {
    let WorkflowsCommand::Install(arguments) = command;
    let graph = read(&arguments.file)?;
    let backend = Backend::open(settings).await?;
    let outcome = install(&backend, graph, arguments).await;
    backend.close().await;
    outcome
}

fn read(path: &Path) -> Result<Value, CliError> {
    let failed = |cause: &dyn std::fmt::Display| CliError::Failed(format!("{}: {cause}", path.display()));
    let file = File::open(path).map_err(|cause| failed(&cause))?;
    graph_file::graph_in(file).map_err(|refused| failed(&refused.message))
}

async fn install(backend: &Backend, graph: Value, arguments: InstallWorkflowArguments) -> Result<ExitCode, CliError> {
    let choices: BTreeMap<String, ModelChoice> = arguments.choose.into_iter().collect();
    let request = InstallWorkflowRequest::new(graph, arguments.priority, arguments.dry_run, choices);
    let answer = backend.install_workflow(&request).await?;
    show(&answer)?;
    if let Some(download) = &answer.download_id {
        let stop = stop_signal().map_err(crate::ApplicationError::from)?;
        follow(backend, &[(arguments.file.display().to_string(), download.clone())], stop).await?;
    }
    let nothing_remains = answer.choose.is_empty() && answer.impossible.is_empty() && answer.missing_nodes.is_empty();
    Ok(if nothing_remains { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Prints a line for each file and node.
fn show(answer: &WorkflowInstall) -> Result<(), CliError> {
    for name in &answer.present {
        print::line(format_args!("present     {name}"))?;
    }
    for file in &answer.fetching {
        let size = file.size_bytes.map_or("size not known".to_owned(), size_text);
        print::line(format_args!("fetching    {}  ({size})", file.path))?;
    }
    for (word, questions) in [("choose", &answer.choose), ("impossible", &answer.impossible)] {
        for OpenQuestion { name, reason, candidates, .. } in questions {
            print::line(format_args!("{word:11} {name}: {reason}"))?;
            for url in candidates.iter().filter_map(|candidate| candidate.url.as_ref()) {
                print::line(format_args!("            {url}"))?;
            }
        }
    }
    for node in &answer.missing_nodes {
        let package = node.package.as_deref().map_or(String::new(), |package| format!("  (of {package})"));
        print::line(format_args!("not there   node {}{package}", node.node_type))?;
    }
    if !answer.comfyui_asked {
        print::complain("ComfyUI does not answer: nodes that it lacks are not known");
    }
    Ok(())
}
