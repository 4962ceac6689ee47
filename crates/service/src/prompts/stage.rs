//! The life of one prompt as a pure state machine: where it stands, what can happen to it, and what follows.
//!
//! `store::advance_prompt` is the only writer of a stage: it applies [`step`] and stores the result by compare-and-set, so
//! that a cancel, a crash and a late answer may come in any order. Every cancelled prompt ends: `Ending` leads to `Ended`
//! only, and `Waiting` can be cancelled at once, so there is no stage that waits and is unwanted.

use super::PromptState;

/// How often a prompt may be lost while ComfyUI works on it before it fails: it may be what brings ComfyUI down.
pub(crate) const MAX_ATTEMPTS: u32 = 3;

/// Where a prompt stands. `attempts` counts how often it was sent to ComfyUI.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It is in our database only.
    Waiting { attempts: u32 },
    /// It was sent to ComfyUI and no answer has come: a crash or a lost connection may lie between.
    Sent { attempts: u32 },
    /// ComfyUI has it in its queue.
    Queued { attempts: u32 },
    /// ComfyUI executes it.
    Running { attempts: u32 },
    /// It is cancelled, and ComfyUI may still have it. `begun`: it was running.
    Ending { attempts: u32, begun: bool },
    /// It ended.
    Ended(End),
}

/// How a prompt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// All its outputs ran.
    Completed,
    /// A node failed, ComfyUI refused it, or it was lost too often.
    Failed,
    /// Somebody cancelled it.
    Interrupted,
}

/// What happens to a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StageEvent {
    /// Somebody cancels it.
    Cancel,
    /// It is about to be sent to ComfyUI.
    Send,
    /// ComfyUI answered that it took it.
    Accepted,
    /// ComfyUI answered that it does not take it.
    Rejected,
    /// It is in ComfyUI's queue and does not run.
    SeenPending,
    /// ComfyUI executes it. `duplicate`: its queue holds it a second time.
    SeenRunning { duplicate: bool },
    /// It is neither in ComfyUI's queue nor in its history, at this moment.
    Absent,
    /// We removed it from ComfyUI's queue, and it is neither there nor in the history.
    TakenBack,
    /// Another client removed it from ComfyUI's queue.
    Removed,
    /// It has been absent for so long that ComfyUI must have lost it.
    Lost,
    /// ComfyUI told how it ended.
    Finished(End),
}

/// What has to be done at ComfyUI after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Remove it from the queue.
    Remove,
    /// Stop its execution.
    Interrupt,
}

/// The stage after an event, and what follows from it.
pub(crate) fn step(from: Stage, event: StageEvent) -> (Stage, Option<Effect>) {
    use StageEvent as On;
    let interrupted = Stage::Ended(End::Interrupted);
    match (from, event) {
        // An end is final. A copy that turns up afterwards (a request believed lost) must not run.
        (Stage::Ended(_), On::SeenPending) => (from, Some(Effect::Remove)),
        (Stage::Ended(_), On::SeenRunning { .. }) => (from, Some(Effect::Interrupt)),
        (Stage::Ended(_), _) => (from, None),
        (_, On::Finished(end)) => (Stage::Ended(end), None),

        (Stage::Ending { .. }, On::SeenPending) => (from, Some(Effect::Remove)),
        (Stage::Ending { .. }, On::SeenRunning { .. }) => (from, Some(Effect::Interrupt)),
        (Stage::Ending { .. }, On::Absent | On::TakenBack | On::Removed | On::Lost | On::Rejected) => {
            (interrupted, None)
        }
        (Stage::Ending { .. }, On::Cancel | On::Send | On::Accepted) => (from, None),

        (Stage::Waiting { .. }, On::Cancel) => (interrupted, None),
        (Stage::Sent { attempts } | Stage::Queued { attempts }, On::Cancel) => {
            (Stage::Ending { attempts, begun: false }, None)
        }
        (Stage::Running { attempts }, On::Cancel) => (Stage::Ending { attempts, begun: true }, None),

        (Stage::Waiting { attempts }, On::Send) => (Stage::Sent { attempts: attempts.saturating_add(1) }, None),
        (_, On::Send) => (from, None),
        (Stage::Waiting { .. }, On::Rejected) => (from, None),
        (_, On::Rejected) => (Stage::Ended(End::Failed), None),

        (
            Stage::Waiting { attempts } | Stage::Sent { attempts } | Stage::Queued { attempts },
            On::Accepted | On::SeenPending,
        ) => (Stage::Queued { attempts }, None),
        (Stage::Running { .. }, On::Accepted | On::SeenPending) => (from, None),
        (
            Stage::Waiting { attempts }
            | Stage::Sent { attempts }
            | Stage::Queued { attempts }
            | Stage::Running { attempts },
            On::SeenRunning { duplicate },
        ) => (Stage::Running { attempts }, duplicate.then_some(Effect::Remove)),

        (_, On::Absent) => (from, None),
        (Stage::Waiting { .. }, On::TakenBack | On::Removed | On::Lost) => (from, None),
        // An attempt that never came to run does not count.
        (Stage::Sent { attempts } | Stage::Queued { attempts }, On::TakenBack) => (waiting_before(attempts), None),
        (Stage::Queued { attempts }, On::Lost) => (waiting_before(attempts), None),
        (Stage::Sent { .. } | Stage::Queued { .. }, On::Removed) => (interrupted, None),
        (Stage::Running { .. }, On::TakenBack | On::Removed) => (from, None),
        (Stage::Sent { attempts } | Stage::Running { attempts }, On::Lost) => match attempts >= MAX_ATTEMPTS {
            true => (Stage::Ended(End::Failed), None),
            false => (Stage::Waiting { attempts }, None),
        },
    }
}

fn waiting_before(attempts: u32) -> Stage {
    Stage::Waiting { attempts: attempts.saturating_sub(1) }
}

impl Stage {
    /// The word in the database.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Waiting { .. } => "waiting",
            Self::Sent { .. } => "sent",
            Self::Queued { .. } => "queued",
            Self::Running { .. } => "running",
            Self::Ending { .. } => "ending",
            Self::Ended(end) => end.as_str(),
        }
    }

    /// The stage of a row; `None` for a word that is none.
    pub(crate) fn parse(word: &str, attempts: u32, begun: bool) -> Option<Self> {
        Some(match word {
            "waiting" => Self::Waiting { attempts },
            "sent" => Self::Sent { attempts },
            "queued" => Self::Queued { attempts },
            "running" => Self::Running { attempts },
            "ending" => Self::Ending { attempts, begun },
            "completed" => Self::Ended(End::Completed),
            "failed" => Self::Ended(End::Failed),
            "interrupted" => Self::Ended(End::Interrupted),
            _ => return None,
        })
    }

    /// How often it was sent; `None` once it ended, when nobody counts any more.
    pub(crate) fn attempts(self) -> Option<u32> {
        match self {
            Self::Waiting { attempts }
            | Self::Sent { attempts }
            | Self::Queued { attempts }
            | Self::Running { attempts }
            | Self::Ending { attempts, .. } => Some(attempts),
            Self::Ended(_) => None,
        }
    }

    /// As those who ask see it.
    pub(crate) fn state(self) -> PromptState {
        match self {
            Self::Waiting { .. } | Self::Sent { .. } | Self::Queued { .. } | Self::Ending { begun: false, .. } => {
                PromptState::Queued
            }
            Self::Running { .. } | Self::Ending { begun: true, .. } => PromptState::Running,
            Self::Ended(end) => end.state(),
        }
    }

    /// Whether ComfyUI may have it.
    pub(crate) fn is_handed_over(self) -> bool {
        matches!(self, Self::Sent { .. } | Self::Queued { .. } | Self::Running { .. } | Self::Ending { .. })
    }
}

impl End {
    /// The word in the database and in answers.
    pub(crate) fn as_str(self) -> &'static str {
        self.state().as_str()
    }

    /// As those who ask see it.
    pub(crate) fn state(self) -> PromptState {
        match self {
            Self::Completed => PromptState::Completed,
            Self::Failed => PromptState::Failed,
            Self::Interrupted => PromptState::Interrupted,
        }
    }
}

#[cfg(test)]
mod tests;
