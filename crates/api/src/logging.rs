//! What is logged and how it looks.

use std::io::IsTerminal;

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

/// Parts that say what our own lines say better; whoever names them in LOG_LEVEL hears them.
const QUIET: &str = "actix_server=warn,actix_http::h1::dispatcher=off";

/// What is logged.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Log")]
pub struct LogSettings {
    /// error, warn, info, debug or trace, also by part: info,downloader=debug [default: info, error for shell commands]
    #[arg(long, env, global = true, value_name = "LEVEL", value_parser = level, hide_env_values = true)]
    pub log_level: Option<String>,
    /// How lines look
    #[arg(long, env, global = true, value_name = "FORMAT", value_enum, default_value = "text", hide_env_values = true)]
    pub log_format: LogFormat,
}

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Sends the log to stderr, where it cannot be mixed up with what a command prints. A second call changes nothing.
pub fn start(settings: &LogSettings, default_level: &str) {
    let level = settings.log_level.as_deref().unwrap_or(default_level);
    let filter = EnvFilter::try_new(format!("{QUIET},{level}")).unwrap_or_else(|_| EnvFilter::new(default_level));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match settings.log_format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    drop(started);
}

fn level(text: &str) -> Result<String, String> {
    let takes = "it takes error, warn, info, debug or trace, also by part: info,downloader=debug";
    EnvFilter::try_new(text).map(|_| text.to_owned()).map_err(|_| takes.to_owned())
}
