//! Telling those who watch: steps, outputs, ends, and the queue in figures. A fact is in the database before it is told.

use std::sync::Arc;

use comfy_client::{Execution, Outcome};
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{
    End, PromptFailure, PromptState, Prompts, QueueFigures, StageEvent, Step, StepKind, WorkflowFailed, WorkflowOutput,
    WorkflowProgress,
};
use crate::{
    Error,
    events::Event,
    prompts::store::{Advanced, PromptEnd},
};

impl Prompts {
    /// Tells of a step of a prompt that runs.
    pub(crate) fn tell_step(&self, id: &str, kind: StepKind, step: Step) {
        self.bus.publish(Event::WorkflowProgress(Arc::new(progress_of(id, kind, step))));
    }

    /// Tells what a node has to show.
    pub(crate) fn tell_output(&self, id: &str, node: &str, output: &Value) {
        let told = WorkflowOutput { prompt_id: id.to_owned(), node: node.to_owned(), output: output.clone() };
        self.bus.publish(Event::WorkflowOutput(Arc::new(told)));
    }

    /// Tells how the queue is, if that is news.
    pub(crate) fn tell_figures(&self, figures: QueueFigures) {
        let figures = Arc::new(figures);
        let is_news = self.figures.send_if_modified(|last| {
            let is_news = *last != figures;
            *last = Arc::clone(&figures);
            is_news
        });
        if is_news {
            self.bus.publish(Event::QueueUpdate(figures));
        }
    }

    /// Applies an event of which nothing more is known. `None` where there is no such prompt.
    pub(crate) async fn advance(&self, id: &str, event: StageEvent) -> Result<Option<Advanced>, Error> {
        self.advance_with(id, event, plain_end(End::Interrupted, None, self.clock.now())).await
    }

    /// Applies an event. Where it ends the prompt, `end` is stored and told, with the end that the machine decides on and
    /// those outputs that nobody was told of yet.
    pub(crate) async fn advance_with(
        &self,
        id: &str,
        event: StageEvent,
        end: PromptEnd,
    ) -> Result<Option<Advanced>, Error> {
        let advanced = self.store.advance_prompt(id, event, &end).await?;
        if let Some(ended) = advanced.and_then(Advanced::ended) {
            let failure = end.failure.filter(|_| ended == End::Failed);
            self.tell_end(id, PromptEnd { end: ended, failure, ..end });
        }
        Ok(advanced)
    }

    /// Tells of an end that is in the database.
    fn tell_end(&self, id: &str, end: PromptEnd) {
        let run = self.runs().remove(id).unwrap_or_default();
        for (node, output) in end.outputs.iter().filter(|(node, _)| !run.outputs.contains_key(*node)) {
            self.tell_output(id, node, output);
        }
        tracing::info!(prompt = %id, state = end.end.as_str(), "a prompt ended");
        let is_good = end.end == End::Completed;
        let last = Step {
            node: None,
            title: None,
            node_type: None,
            value: 1.0,
            max: 1.0,
            overall: if is_good { 100.0 } else { run.step().overall },
        };
        let kind = if is_good { StepKind::Executed } else { StepKind::Error };
        let told = WorkflowProgress { state: end.end.state(), ..progress_of(id, kind, last) };
        self.bus.publish(Event::WorkflowProgress(Arc::new(told)));
        if let Some(failure) = end.failure {
            let failed = WorkflowFailed { prompt_id: id.to_owned(), failure };
            self.bus.publish(Event::WorkflowFailed(Arc::new(failed)));
        }
    }
}

/// A step as those who watch see it.
pub(super) fn progress_of(id: &str, kind: StepKind, step: Step) -> WorkflowProgress {
    WorkflowProgress {
        prompt_id: id.to_owned(),
        state: PromptState::Running,
        kind,
        node: step.node,
        title: step.title,
        node_type: step.node_type,
        value: step.value,
        max: step.max,
        overall: step.overall,
    }
}

/// How a prompt ended, as ComfyUI's history has it. Times that it lacks are `now`.
pub(crate) fn ended_by(execution: &Execution, now: Timestamp) -> PromptEnd {
    let time = |milliseconds: Option<i64>| milliseconds.and_then(|time| Timestamp::from_millisecond(time).ok());
    let (end, failure) = match &execution.outcome {
        Outcome::Completed => (End::Completed, None),
        Outcome::Failed(failure) => (End::Failed, Some(PromptFailure::from(failure.clone()))),
        Outcome::Interrupted { .. } => (End::Interrupted, None),
    };
    PromptEnd {
        end,
        started_at: time(execution.started_at_ms),
        ended_at: time(execution.ended_at_ms).unwrap_or(now),
        outputs: execution.outputs.clone(),
        failure,
    }
}

/// An end without outputs.
pub(crate) fn plain_end(end: End, failure: Option<PromptFailure>, now: Timestamp) -> PromptEnd {
    PromptEnd { end, started_at: None, ended_at: now, outputs: Map::new(), failure }
}
