//! The log of this server and of ComfyUI.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum LogLevel {
    /// Every step.
    Trace,
    /// For those who search a fault.
    Debug,
    /// What happens.
    Info,
    /// What should not happen.
    Warn,
    /// What went wrong.
    Error,
}

words!(LogLevel: Trace = "TRACE", Debug = "DEBUG", Info = "INFO", Warn = "WARN", Error = "ERROR");

impl LogLevel {
    /// The level of a word of any program, case aside: Python's `WARNING` and `CRITICAL` are known too.
    pub fn parse_any(word: &str) -> Option<Self> {
        match word.to_uppercase().as_str() {
            "WARNING" => Some(Self::Warn),
            "CRITICAL" => Some(Self::Error),
            upper => Self::parse(upper),
        }
    }
}

/// Who logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogService {
    /// This server.
    Dashboard,
    /// ComfyUI.
    Comfyui,
    /// Presets, registry, downloads.
    PresetManager,
}

words!(LogService: Dashboard = "dashboard", Comfyui = "comfyui", PresetManager = "preset_manager");
