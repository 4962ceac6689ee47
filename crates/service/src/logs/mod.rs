//! What the product and ComfyUI logged last, for those who ask and those who follow.
//!
//! The layer that collects our own lines is the binary's; nothing here knows tracing.

mod ring;

use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

pub use ring::{LogFollower, LogNews, LogRing, LogShelf};

use crate::{
    Error,
    comfy::{Comfy, ComfyLog},
};

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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

impl LogLevel {
    const ALL: [Self; 5] = [Self::Trace, Self::Debug, Self::Info, Self::Warn, Self::Error];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "TRACE",
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
        }
    }

    /// The level of a word, case aside; `WARNING` and `CRITICAL` are known too.
    pub fn parse(word: &str) -> Option<Self> {
        match word.to_uppercase().as_str() {
            "WARNING" => Some(Self::Warn),
            "CRITICAL" => Some(Self::Error),
            upper => Self::ALL.into_iter().find(|level| level.as_str() == upper),
        }
    }
}

/// Who logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogService {
    /// The server itself.
    Dashboard,
    /// ComfyUI.
    Comfyui,
    /// Presets, registry, downloads.
    PresetManager,
}

impl LogService {
    const ALL: [Self; 3] = [Self::Dashboard, Self::Comfyui, Self::PresetManager];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dashboard => "dashboard",
            Self::Comfyui => "comfyui",
            Self::PresetManager => "preset_manager",
        }
    }

    /// The service of a word; `None` for any other word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|service| service.as_str() == word)
    }
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When.
    pub at: Timestamp,
    /// How much it matters.
    pub level: LogLevel,
    /// Who logged it.
    pub service: LogService,
    /// What it says, with its fields.
    pub message: String,
    /// The request that it belongs to.
    pub request_id: Option<String>,
}

/// Which lines are wanted.
#[derive(Debug, Clone, Default)]
pub struct LogFilter {
    /// Only of this service.
    pub service: Option<LogService>,
    /// This level and those that matter more.
    pub level: Option<LogLevel>,
    /// In the message, case aside.
    pub search: Option<String>,
}

impl LogFilter {
    /// Whether a line is wanted.
    pub fn takes(&self, line: &LogLine) -> bool {
        self.service.is_none_or(|service| line.service == service)
            && self.level.is_none_or(|level| line.level >= level)
            && self.search.as_deref().is_none_or(|word| line.message.to_lowercase().contains(&word.to_lowercase()))
    }
}

/// The log of this server and that of ComfyUI. Cheap to clone.
#[derive(Clone)]
pub struct Logs {
    ring: LogRing,
    comfyui: ComfyLog,
}

impl Logs {
    pub(crate) fn new(ring: LogRing, comfy: Comfy) -> Self {
        Self { comfyui: ComfyLog::new(comfy, ring.clone()), ring }
    }

    /// The last `count` lines that are wanted, oldest first. Those of ComfyUI are among them as long as it can be asked;
    /// where nothing else is wanted, it is a failure that it cannot.
    pub async fn tail(&self, count: usize, filter: &LogFilter) -> Result<Vec<LogLine>, Error> {
        self.hear_comfyui(filter).await?;
        Ok(self.ring.tail(count, filter))
    }

    /// The same, and every line that comes after them.
    pub async fn follow(&self, count: usize, filter: LogFilter) -> Result<(Vec<LogLine>, LogFollower), Error> {
        self.hear_comfyui(&filter).await?;
        Ok(self.ring.follow(count, filter))
    }

    async fn hear_comfyui(&self, filter: &LogFilter) -> Result<(), Error> {
        match filter.service {
            Some(LogService::Comfyui) => self.comfyui.read_on().await,
            None if self.comfyui.is_at_hand() => {
                // The other lines are worth an answer without these.
                let _ = self.comfyui.read_on().await;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Reads on in ComfyUI's log for as long as somebody follows, until the token is cancelled.
    pub(crate) async fn hear_comfyui_for_followers(
        self,
        interval: Duration,
        stop: CancellationToken,
    ) -> Result<(), Error> {
        let any = LogFilter::default();
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while stop.run_until_cancelled(ticks.tick()).await.is_some() {
            if self.ring.is_followed() && stop.run_until_cancelled(self.hear_comfyui(&any)).await.is_none() {
                break;
            }
        }
        Ok(())
    }
}
