//! What ComfyUI's socket says of our prompts. It is told to everybody at once; what has to last is settled in a round.

use std::sync::Arc;

use comfy_client::{ComfyEvent, NodeProgress};
use tokio::time::Instant;

use super::Courier;
use crate::{
    Error,
    events::Event,
    prompts::{QueueFigures, Run, StageEvent, Step, StepKind, ToldEnd, WorkflowPreview},
    system::ServiceState,
};

impl Courier {
    /// Takes in an event; `true` where a round should follow.
    pub(super) async fn hear(&mut self, event: ComfyEvent) -> bool {
        self.heard = Some(Instant::now());
        match event {
            ComfyEvent::Connected => {
                tracing::info!("the socket of ComfyUI is open");
                self.prompts.comfy.link().opened();
                self.begin_epoch();
                // It may be another ComfyUI than before.
                self.prompts.comfy.client.forget_object_info();
                true
            }
            ComfyEvent::Disconnected { cause } => {
                let comfyui_answers = self.prompts.comfy.last_seen().state == ServiceState::Running;
                if self.prompts.comfy.link().closed(&cause, comfyui_answers) {
                    tracing::warn!(%cause, "the socket of ComfyUI is closed: there is no progress and no preview");
                }
                self.begin_epoch();
                true
            }
            ComfyEvent::Status { .. } | ComfyEvent::Executing { node: None, .. } => true,
            ComfyEvent::Started { prompt_id } => self.started(&prompt_id).await.unwrap_or_else(|cause| {
                tracing::error!(prompt = %prompt_id, error = ?cause, "the start of a prompt could not be written");
                true
            }),
            other => {
                self.hear_of_run(other);
                false
            }
        }
    }

    fn begin_epoch(&mut self) {
        self.epoch += 1;
        self.interrupted.clear();
        self.dropped.clear();
    }

    async fn started(&mut self, id: &str) -> Result<bool, Error> {
        let Some(row) = self.prompts.store.prompt(id).await? else { return Ok(true) };
        // A round may have learned of the end before the socket tells of the start; after the end nothing is told.
        if !row.stage.state().is_unfinished() {
            return Ok(true);
        }
        self.known_run(id).await?;
        self.current = Some(id.to_owned());
        let advanced = self.prompts.advance(id, StageEvent::SeenRunning { duplicate: false }).await?;
        let is_news = advanced.is_some_and(|advanced| advanced.from != advanced.to);
        if is_news {
            // A short run is over before the next round.
            let last = self.prompts.figures();
            let current = Some((row.id, row.kind));
            let pending = last.pending.saturating_sub(1);
            self.prompts.tell_figures(QueueFigures { pending, running: 1, is_paused: last.is_paused, current });
        }
        Ok(is_news)
    }

    fn hear_of_run(&mut self, event: ComfyEvent) {
        match event {
            ComfyEvent::Cached { prompt_id, nodes } => {
                let steps = self.with_run(&prompt_id, |run| {
                    run.cached(&nodes);
                    nodes.iter().map(|node| run.step_at(node)).collect::<Vec<Step>>()
                });
                for step in steps.into_iter().flatten() {
                    self.prompts.tell_step(&prompt_id, StepKind::Cached, step);
                }
            }
            ComfyEvent::Executing { prompt_id, node: Some(node) } => {
                self.step(prompt_id, StepKind::Executing, |run| {
                    run.executing(&node);
                    Some(run.step())
                });
            }
            ComfyEvent::Progress { prompt_id, node, value, max } => {
                self.step(prompt_id, StepKind::Progress, |run| {
                    run.counts(node.as_deref(), value, max).then(|| run.step())
                });
            }
            ComfyEvent::ProgressState { prompt_id, nodes } => {
                self.step(Some(prompt_id), StepKind::Progress, |run| progress_of(run, &nodes));
            }
            ComfyEvent::Executed { prompt_id, node, output } => {
                self.executed(&prompt_id, &node, &serde_json::Value::Object(output));
            }
            ComfyEvent::Succeeded { prompt_id } => self.ended(&prompt_id, ToldEnd::Completed),
            ComfyEvent::Interrupted { prompt_id, .. } => self.ended(&prompt_id, ToldEnd::Interrupted),
            ComfyEvent::Failed { prompt_id, failure } => {
                let node = failure.node.clone();
                let step = self.with_run(&prompt_id, |run| {
                    run.end = Some(ToldEnd::Failed(failure));
                    node.map(|node| run.step_at(&node))
                });
                if let Some(step) = step.flatten() {
                    self.prompts.tell_step(&prompt_id, StepKind::Error, step);
                }
            }
            ComfyEvent::Preview { prompt_id, node, media_type, image } => {
                let prompt_id = prompt_id.or_else(|| self.current.clone());
                let subject = format!("preview of {}", prompt_id.as_deref().unwrap_or("a prompt"));
                let preview = WorkflowPreview { prompt_id, node, media_type, image, subject };
                self.prompts.bus.publish(Event::WorkflowPreview(Arc::new(preview)));
            }
            ComfyEvent::Connected
            | ComfyEvent::Disconnected { .. }
            | ComfyEvent::Status { .. }
            | ComfyEvent::Started { .. }
            | ComfyEvent::Executing { node: None, .. } => {}
        }
    }

    fn executed(&mut self, prompt_id: &str, node: &str, output: &serde_json::Value) {
        let step = self.with_run(prompt_id, |run| {
            run.outputs.insert(node.to_owned(), output.clone());
            run.finished(node);
            run.step_at(node)
        });
        if let Some(step) = step {
            self.prompts.tell_output(prompt_id, node, output);
            self.prompts.tell_step(prompt_id, StepKind::Executed, step);
        }
    }

    /// Tells of a step of this prompt, or of the one that runs where ComfyUI does not say which.
    fn step(&mut self, id: Option<String>, kind: StepKind, take_in: impl FnOnce(&mut Run) -> Option<Step>) {
        let Some(id) = id.or_else(|| self.current.clone()) else { return };
        if let Some(step) = self.with_run(&id, take_in).flatten() {
            self.prompts.tell_step(&id, kind, step);
        }
    }

    fn ended(&self, id: &str, end: ToldEnd) {
        if let Some(run) = self.prompts.runs().get_mut(id) {
            run.end = Some(end);
        }
    }

    /// Prompts that are not ours are passed over.
    fn with_run<T>(&self, id: &str, take_in: impl FnOnce(&mut Run) -> T) -> Option<T> {
        self.prompts.runs().get_mut(id).map(take_in)
    }
}

/// Newer servers tell of all nodes at once; `Progress` may follow and then says nothing new.
fn progress_of(run: &mut Run, nodes: &[NodeProgress]) -> Option<Step> {
    for node in nodes.iter().filter(|node| node.state == "finished") {
        run.finished(&node.display_node);
    }
    let running = nodes.iter().find(|node| node.state == "running" && node.value > 0.0)?;
    run.counts(Some(&running.display_node), running.value, running.max).then(|| run.step())
}
