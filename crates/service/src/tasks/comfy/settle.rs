//! What became of the prompts that were handed over: they wait or run in ComfyUI, or its history says how they ended, or
//! ComfyUI does not know them any more. Then they run once more, unless somebody took them out.

use comfy_client::{Queue, QueueRow};
use serde_json::Map;
use tokio::time::Instant;

use super::{Courier, Stopped};
use crate::{
    Error,
    prompts::{Handover, PromptFailure, PromptState, Run, ToldEnd, client_of, ended_by, plain_end},
    store::{PromptEnd, PromptInsert, PromptRow},
};

/// How often a prompt may be lost while it runs before it is given up: it may be what brings ComfyUI down.
const MOST_ATTEMPTS: u32 = 3;
/// Most prompts of other clients that are watched for their end.
const MOST_FOREIGN: usize = 1000;

/// When a prompt was last seen in ComfyUI's queue.
#[derive(Clone, Copy)]
pub(super) struct Sighting {
    epoch: u64,
    at: Instant,
}

impl Courier {
    /// Looks after every prompt that ComfyUI has or should have.
    pub(super) async fn settle(&mut self, rows: &[PromptRow], queue: &Queue) -> Result<(), Stopped> {
        for row in rows.iter().filter(|row| row.handover != Handover::Waiting) {
            let is_it = |there: &&QueueRow| there.prompt_id == row.id;
            let running = queue.running.iter().any(|there| is_it(&there));
            let waiting = queue.pending.iter().filter(is_it).count();
            if running || waiting > 0 {
                self.missing.remove(&row.id);
                self.seen.insert(row.id.clone(), Sighting { epoch: self.epoch, at: Instant::now() });
                self.known_run(&row.id).await?;
            }
            if running {
                self.running(row).await?;
            }
            match (running, waiting) {
                (false, 0) => self.absent(row).await?,
                (true, 0) => {}
                // A request that was taken for lost and sent again came through after all.
                (true, _) => self.remove(&row.id).await?,
                (false, _) if row.unwanted => self.remove(&row.id).await?,
                (false, _) if row.handover == Handover::Sent => {
                    self.prompts.store.accept_prompt(&row.id, None).await?;
                }
                (false, _) => {}
            }
        }
        Ok(())
    }

    async fn running(&mut self, row: &PromptRow) -> Result<(), Stopped> {
        if row.state == PromptState::Queued {
            self.prompts.store.start_prompt(&row.id, self.prompts.clock.now()).await?;
        }
        if row.unwanted && self.interrupted.insert(row.id.clone()) {
            self.prompts.comfy.client.interrupt(Some(&row.id)).await?;
        }
        Ok(())
    }

    async fn remove(&mut self, id: &str) -> Result<(), Stopped> {
        self.prompts.comfy.client.delete_from_queue(&[id]).await?;
        // One that stays all the same is told again in the next round, not at once.
        self.look_again |= self.dropped.insert(id.to_owned());
        Ok(())
    }

    /// It is not in the queue: the history knows, or nobody does.
    async fn absent(&mut self, row: &PromptRow) -> Result<(), Stopped> {
        let now = self.prompts.clock.now();
        if let Some(execution) = self.prompts.comfy.client.history(&row.id).await? {
            self.prompts.end(&row.id, ended_by(&execution, now)).await?;
            return Ok(());
        }
        let told = self.prompts.runs().get(&row.id).and_then(|run| Some((run.end.clone()?, run.outputs.clone())));
        if let Some((end, outputs)) = told {
            self.prompts.end(&row.id, as_told(end, outputs, now)).await?;
            return Ok(());
        }
        if row.unwanted {
            self.prompts.end(&row.id, plain_end(PromptState::Interrupted, None, now)).await?;
            return Ok(());
        }
        let since = *self.missing.entry(row.id.clone()).or_insert_with(Instant::now);
        if since.elapsed() >= self.prompts.comfy.settings.missing_for {
            self.missing.remove(&row.id);
            self.lost(row).await?;
        }
        Ok(())
    }

    /// ComfyUI does not know it, and it did not end as far as anybody knows.
    async fn lost(&mut self, row: &PromptRow) -> Result<(), Error> {
        let now = self.prompts.clock.now();
        let was_begun = row.state == PromptState::Running || row.handover == Handover::Sent;
        if self.was_taken_out(row) {
            tracing::info!(prompt = %row.id, "another client took a prompt out of ComfyUI's queue");
            self.prompts.end(&row.id, plain_end(PromptState::Interrupted, None, now)).await?;
        } else if was_begun && row.attempts >= MOST_ATTEMPTS {
            let words = match self.troubles.get(&row.id).filter(|_| row.handover == Handover::Sent) {
                Some(trouble) => format!("ComfyUI failed {} times to take it: {trouble}", row.attempts),
                None => format!("ComfyUI was lost {} times while it worked on it; it is given up", row.attempts),
            };
            let failure = Some(PromptFailure::of(words));
            self.prompts.end(&row.id, plain_end(PromptState::Failed, failure, now)).await?;
        } else {
            tracing::warn!(prompt = %row.id, attempts = row.attempts, "ComfyUI lost a prompt; it is handed over again");
            self.prompts.runs().remove(&row.id);
            self.prompts.store.take_back_prompt(&row.id, was_begun).await?;
        }
        Ok(())
    }

    /// The socket lived on and spoke after the prompt was last seen waiting: ComfyUI did not restart, so somebody removed it.
    fn was_taken_out(&self, row: &PromptRow) -> bool {
        let Some(sighting) = self.seen.get(&row.id) else { return false };
        row.state == PromptState::Queued
            && sighting.epoch == self.epoch
            && self.heard.is_some_and(|heard| heard > sighting.at)
    }

    /// After a restart of ours a prompt that ComfyUI has is known again from its row.
    pub(super) async fn known_run(&mut self, id: &str) -> Result<(), Error> {
        if self.prompts.runs().contains_key(id) {
            return Ok(());
        }
        let Some((graph, _)) = self.prompts.store.prompt_graph(id).await? else { return Ok(()) };
        let graph: Map<_, _> = serde_json::from_str(&graph).unwrap_or_default();
        let object_info = self.prompts.comfy.client.object_info().await.ok();
        self.prompts.runs().insert(id.to_owned(), Run::new(&graph, object_info.as_deref()));
        Ok(())
    }

    /// Keeps what became of other clients' prompts, once they have left the queue.
    pub(super) async fn keep_foreign(&mut self, rows: &[PromptRow], queue: &Queue) -> Result<(), Stopped> {
        let there = |id: &str| queue.running.iter().chain(&queue.pending).any(|row| row.prompt_id == id);
        let gone: Vec<String> = self.foreign.iter().filter(|id| !there(id)).cloned().collect();
        for id in gone {
            self.foreign.remove(&id);
            let Some(execution) = self.prompts.comfy.client.history(&id).await? else { continue };
            let now = self.prompts.clock.now();
            let end = ended_by(&execution, now);
            let kept = PromptInsert {
                kind: self.prompts.kind_of(&execution.row.prompt).await,
                client_id: client_of(&execution.row),
                graph: execution.row.prompt.to_string(),
                created_at: end.started_at.unwrap_or(now),
                priority: 0,
                workflow_id: None,
                extra_data: None,
                id,
            };
            self.prompts.store.keep_foreign_prompt(&kept, &end).await?;
        }
        let room = MOST_FOREIGN.saturating_sub(self.foreign.len());
        let is_ours = |id: &str| rows.iter().any(|row| row.id == id);
        let foreign = queue.running.iter().chain(&queue.pending).map(|row| &row.prompt_id);
        self.foreign.extend(foreign.filter(|id| !is_ours(id)).take(room).cloned());
        Ok(())
    }
}

/// ComfyUI died before its history could be asked: what the socket said is what is known.
fn as_told(end: ToldEnd, outputs: Map<String, serde_json::Value>, now: jiff::Timestamp) -> PromptEnd {
    let (state, failure) = match end {
        ToldEnd::Completed => (PromptState::Completed, None),
        ToldEnd::Failed(failure) => (PromptState::Failed, Some(PromptFailure::from(failure))),
        ToldEnd::Interrupted => (PromptState::Interrupted, None),
    };
    PromptEnd { outputs, ..plain_end(state, failure, now) }
}
