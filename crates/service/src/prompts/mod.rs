//! Prompts: the queue that lasts. What was accepted is in the database before the answer, goes to ComfyUI a few at a time,
//! and runs once unless it failed.
//!
//! Requests write wishes; `prompts::worker` alone speaks with ComfyUI about them and writes what became of each.

mod execute;
mod history;
mod plan;
mod prepare;
mod queue;
mod rounds;
mod run;
mod stage;
mod state;
mod steer;
pub(crate) mod store;
mod tell;
mod view;
pub(crate) mod worker;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;

pub use api_types::prompts::PromptState;
pub use history::PromptHistoryQuery;
pub(crate) use plan::{Candidate, Plan, Wish};
pub(crate) use rounds::Rounds;
pub(crate) use run::{Run, Step, ToldEnd};
pub(crate) use stage::{Effect, End, MAX_ATTEMPTS, Stage, StageEvent, step};
pub use state::PromptFailure;
pub(crate) use tell::{ended_by, plain_end};
pub use view::{
    Clearing, ConvertedWorkflow, GraphToRun, NewPrompt, PromptAccepted, PromptChange, PromptRecord, QueueEntry,
    QueueFigures, QueueView, StepKind, WhenUnavailable, WorkflowFailed, WorkflowOutput, WorkflowPreview,
    WorkflowProgress,
};

use crate::{Clock, Error, Resource, comfy::Comfy, database::Store, events::Bus, workflows::Workflows};

/// Every prompt there is and was. Cheap to clone.
#[derive(Clone)]
pub struct Prompts {
    pub(crate) store: Store,
    pub(crate) comfy: Comfy,
    pub(crate) bus: Bus,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rounds: Rounds,
    workflows: Workflows,
    runs: Arc<Mutex<HashMap<String, Run>>>,
    figures: watch::Sender<Arc<QueueFigures>>,
}

impl Prompts {
    pub(crate) fn new(store: Store, comfy: Comfy, workflows: Workflows, bus: Bus, clock: Arc<dyn Clock>) -> Self {
        let figures = watch::Sender::new(Arc::default());
        Self { store, comfy, bus, clock, rounds: Rounds::default(), workflows, runs: Arc::default(), figures }
    }

    /// The queue in figures, as last told.
    pub fn figures(&self) -> Arc<QueueFigures> {
        self.figures.borrow().clone()
    }

    /// How far the prompts are that run, for those who begin to watch.
    pub async fn progress(&self) -> Result<Vec<WorkflowProgress>, Error> {
        let rows = self.store.unfinished_prompts().await?;
        let runs = self.runs();
        let running = rows.into_iter().filter(|row| row.stage.state() == PromptState::Running);
        Ok(running
            .filter_map(|row| Some(tell::progress_of(&row.id, StepKind::Progress, runs.get(&row.id)?.step())))
            .collect())
    }

    /// What is known of the prompts that ComfyUI has.
    pub(crate) fn runs(&self) -> MutexGuard<'_, HashMap<String, Run>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn no_prompt(id: &str) -> Error {
    Error::NotFound { resource: Resource::Prompt, id: id.to_owned() }
}
