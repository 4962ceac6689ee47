//! What the product and ComfyUI logged last, for those who ask and those who follow.
//!
//! The layer that collects our own lines is the binary's; nothing here knows tracing.

mod ring;

pub use api_types::logs::{LogLevel, LogService};
use std::time::Duration;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

pub use ring::{LogFollower, LogNews, LogRing, LogShelf};

use crate::{
    Error,
    comfy::{Comfy, ComfyLog},
};

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
