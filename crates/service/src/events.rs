//! What happened, for those who watch: a closed list and the bus that carries it. Facts are in the database before they
//! are here. Nothing here knows sockets or JSON.

use std::sync::Arc;

use tokio::sync::broadcast;

use crate::downloads::DownloadView;
use crate::jobs::{Job, JobState};
use crate::prompts::{QueueFigures, StepKind, WorkflowFailed, WorkflowOutput, WorkflowPreview, WorkflowProgress};
use crate::system::Sample;

/// A stream of events that a watcher can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Channel {
    /// Downloads and installs.
    Downloads,
    /// ComfyUI's queue.
    Queue,
    /// The machine and background jobs.
    System,
    /// Workflow executions.
    Workflows,
}

impl Channel {
    /// Every channel.
    pub const ALL: [Self; 4] = [Self::Downloads, Self::Queue, Self::System, Self::Workflows];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Downloads => "downloads",
            Self::Queue => "queue",
            Self::System => "system",
            Self::Workflows => "workflows",
        }
    }

    /// The channel of a word; `None` for any other word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|channel| channel.as_str() == word)
    }
}

/// One thing that happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// A download was accepted.
    DownloadQueued(Arc<DownloadView>),
    /// Figures moved. The only event that a slow reader may miss.
    DownloadProgress(Arc<DownloadView>),
    /// A download stands still.
    DownloadPaused(Arc<DownloadView>),
    /// A download goes on.
    DownloadResumed(Arc<DownloadView>),
    /// Every file is whole and in its place.
    DownloadCompleted(Arc<DownloadView>),
    /// A download ended without all its files.
    DownloadFailed(Arc<DownloadView>),
    /// Somebody ended a download.
    DownloadCancelled(Arc<DownloadView>),
    /// A background job went on or ended.
    JobProgress(Arc<Job>),
    /// The machine as it is now.
    SystemStatus(Arc<Sample>),
    /// What waits and runs in ComfyUI changed.
    QueueUpdate(Arc<QueueFigures>),
    /// A prompt went on or ended.
    WorkflowProgress(Arc<WorkflowProgress>),
    /// A node has something to show.
    WorkflowOutput(Arc<WorkflowOutput>),
    /// A prompt failed.
    WorkflowFailed(Arc<WorkflowFailed>),
    /// A picture of what a node is at.
    WorkflowPreview(Arc<WorkflowPreview>),
}

impl Event {
    /// The channel it belongs to.
    pub fn channel(&self) -> Channel {
        match self {
            Self::DownloadQueued(_)
            | Self::DownloadProgress(_)
            | Self::DownloadPaused(_)
            | Self::DownloadResumed(_)
            | Self::DownloadCompleted(_)
            | Self::DownloadFailed(_)
            | Self::DownloadCancelled(_) => Channel::Downloads,
            Self::JobProgress(_) | Self::SystemStatus(_) => Channel::System,
            Self::QueueUpdate(_) => Channel::Queue,
            Self::WorkflowProgress(_)
            | Self::WorkflowOutput(_)
            | Self::WorkflowFailed(_)
            | Self::WorkflowPreview(_) => Channel::Workflows,
        }
    }

    /// A tick replaces the one before it of the same subject; an outcome must reach everybody. `Some` names the subject.
    pub fn tick_of(&self) -> Option<&str> {
        match self {
            Self::DownloadProgress(download) => Some(&download.id),
            Self::SystemStatus(_) => Some("system"),
            Self::QueueUpdate(_) => Some("queue"),
            Self::WorkflowProgress(step) if step.kind == StepKind::Progress => Some(&step.prompt_id),
            Self::WorkflowPreview(preview) => Some(&preview.subject),
            Self::JobProgress(job) if job.state == JobState::Running => Some(&job.id),
            _ => None,
        }
    }
}

/// Carries events to all who watch. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Bus(broadcast::Sender<Event>);

/// How many events a watcher may lag behind before it is told that it missed some.
const CAPACITY: usize = 4096;

impl Default for Bus {
    fn default() -> Self {
        Self(broadcast::channel(CAPACITY).0)
    }
}

impl Bus {
    /// Tells everybody. Nobody watching is an ordinary state.
    pub(crate) fn publish(&self, event: Event) {
        let _ = self.0.send(event);
    }

    /// Everything that happens from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.0.subscribe()
    }
}
