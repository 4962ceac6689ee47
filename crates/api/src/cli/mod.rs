//! The shell: one file a command. `install` and `get` work through a `backend`: the running server, or the service itself.

mod auth;
mod backend;
mod doctor;
mod error;
mod get;
mod health;
mod install;
mod presets;
pub mod print;
mod progress;
mod remote;
mod serve;
mod workflows;

use std::process::ExitCode;

use clap::Subcommand;

pub use error::CliError;

use crate::config::Invocation;
use crate::{logging, openapi};

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve the page and the API (what happens without a command)
    Serve,
    /// Look at the presets
    #[command(subcommand)]
    Presets(presets::PresetsCommand),
    /// Fetch the files of presets
    Install(install::InstallArguments),
    /// Fetch one file from any link
    Get(get::GetArguments),
    /// Make workflows run
    #[command(subcommand)]
    Workflows(workflows::WorkflowsCommand),
    /// Keys and the password
    #[command(subcommand)]
    Auth(auth::AuthCommand),
    /// Say what is set and whether it can work
    Doctor,
    /// Ask the running server whether it is alive: exit code 0 or 1
    Health,
    /// Print the OpenAPI document
    #[command(hide = true)]
    Openapi,
}

/// Does what was asked.
pub async fn run(invocation: Invocation) -> Result<ExitCode, CliError> {
    let settings = invocation.settings;
    let command = invocation.command.unwrap_or(Command::Serve);
    let level = if matches!(command, Command::Serve) { "info" } else { "error" };
    let log = logging::start(&settings.log, level);
    match command {
        Command::Serve => serve::run(&settings, &log).await,
        Command::Presets(command) => presets::run(&settings, command).await,
        Command::Install(arguments) => install::run(&settings, arguments).await,
        Command::Get(arguments) => get::run(&settings, arguments).await,
        Command::Workflows(command) => workflows::run(&settings, command).await,
        Command::Auth(command) => auth::run(&settings, command).await,
        Command::Doctor => doctor::run(&settings).await,
        Command::Health => health::run(&settings).await,
        Command::Openapi => {
            print::raw(&openapi::Document::from(&openapi::document()).json())?;
            Ok(ExitCode::SUCCESS)
        }
    }
}
