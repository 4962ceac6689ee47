//! The last lines that the product logged, in memory and bounded, for those who ask and those who follow.
//!
//! The layer that collects them is the binary's; nothing here knows tracing.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use tokio::sync::broadcast;

use crate::{Error, comfy::Comfy};

/// How many lines are kept.
const CAPACITY: usize = 5000;
/// Bytes of a message that are kept.
const LONGEST_MESSAGE: usize = 8 * 1024;

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
    pub(crate) ring: LogRing,
    pub(crate) comfy: Comfy,
}

impl Logs {
    /// The last `count` lines that are wanted, oldest first. Those of ComfyUI are among them as long as it can be asked;
    /// where nothing else is wanted, it is a failure that it cannot.
    pub async fn tail(&self, count: usize, filter: &LogFilter) -> Result<Vec<LogLine>, Error> {
        match filter.service {
            Some(LogService::Comfyui) => self.comfy.log_tail(count, filter).await,
            Some(_) => Ok(self.ring.tail(count, filter)),
            None => {
                let mut lines = self.ring.tail(count, filter);
                if self.comfy.has_log_at_hand() {
                    lines.extend(self.comfy.log_tail(count, filter).await.unwrap_or_default());
                    lines.sort_by_key(|line| line.at);
                }
                Ok(lines.split_off(lines.len().saturating_sub(count)))
            }
        }
    }

    /// Every line of this server from now on.
    pub fn follow(&self) -> broadcast::Receiver<LogLine> {
        self.ring.follow.subscribe()
    }
}

/// The last lines of this server. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LogRing {
    lines: Arc<Mutex<VecDeque<LogLine>>>,
    follow: broadcast::Sender<LogLine>,
}

impl Default for LogRing {
    fn default() -> Self {
        Self { lines: Arc::default(), follow: broadcast::channel(1024).0 }
    }
}

impl LogRing {
    /// Takes in a line; the oldest makes room.
    pub fn push(&self, mut line: LogLine) {
        if line.message.len() > LONGEST_MESSAGE {
            let end = (0..=LONGEST_MESSAGE).rev().find(|at| line.message.is_char_boundary(*at)).unwrap_or(0);
            line.message.truncate(end);
        }
        let _ = self.follow.send(line.clone());
        let mut lines = self.lock();
        if lines.len() == CAPACITY {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    /// The last `count` lines that are wanted, oldest first.
    pub fn tail(&self, count: usize, filter: &LogFilter) -> Vec<LogLine> {
        let lines = self.lock();
        let mut wanted: Vec<LogLine> =
            lines.iter().rev().filter(|line| filter.takes(line)).take(count).cloned().collect();
        wanted.reverse();
        wanted
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<LogLine>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
