//! What became of the prompts that were handed over: they wait or run in ComfyUI, or its history says how they ended, or
//! ComfyUI does not know them any more. Then they run once more, unless somebody took them out.

use comfy_client::Queue;
use serde_json::Map;
use tokio::time::Instant;

use super::{Courier, Stopped};
use crate::{
    Error,
    database::list_from_json,
    prompts::store::{Advanced, PromptEnd, PromptInsert, PromptRow},
    prompts::{Effect, End, MAX_ATTEMPTS, PromptFailure, Run, Stage, StageEvent, ToldEnd, ended_by, plain_end},
};

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
        for row in rows {
            let running = queue.running.iter().any(|there| there.prompt_id == row.id);
            let pending = queue.pending.iter().filter(|there| there.prompt_id == row.id).count();
            if running || pending > 0 {
                self.missing.remove(&row.id);
                self.seen.insert(row.id.clone(), Sighting { epoch: self.epoch, at: Instant::now() });
                self.known_run(&row.id).await?;
                self.see(&row.id, running, pending > 0).await?;
            } else if row.stage.is_handed_over() {
                self.absent(row).await?;
            }
        }
        self.remove_ended(rows, queue).await
    }

    async fn see(&mut self, id: &str, running: bool, pending: bool) -> Result<(), Stopped> {
        let event = if running { StageEvent::SeenRunning { duplicate: pending } } else { StageEvent::SeenPending };
        match self.prompts.advance(id, event).await?.and_then(|advanced| advanced.effect) {
            Some(Effect::Remove) => self.remove(id).await?,
            Some(Effect::Interrupt) if self.interrupted.insert(id.to_owned()) => {
                self.prompts.comfy.interrupt(id).await?;
            }
            Some(Effect::Interrupt) | None => {}
        }
        Ok(())
    }

    /// A request that was believed lost may reach ComfyUI after its prompt has ended: such a copy must not run.
    async fn remove_ended(&mut self, rows: &[PromptRow], queue: &Queue) -> Result<(), Stopped> {
        let name = self.prompts.store.socket_name().await?;
        let is_left_over = |row: &&comfy_client::QueueRow| {
            row.client_id.as_deref() == Some(&*name) && !rows.iter().any(|own| own.id == row.prompt_id)
        };
        for (row, running) in
            queue.running.iter().map(|row| (row, true)).chain(queue.pending.iter().map(|row| (row, false)))
        {
            if is_left_over(&row) {
                self.see(&row.prompt_id, running, !running).await?;
            }
        }
        Ok(())
    }

    async fn remove(&mut self, id: &str) -> Result<(), Stopped> {
        if self.may_drop(id) {
            self.drop_from_queue(&[id]).await?;
            self.look_again = true;
        }
        Ok(())
    }

    /// Whether ComfyUI was not told lately to drop this prompt. What it sends after being told begins a round; were it told
    /// in every round, a prompt that it keeps all the same would keep both busy for ever.
    pub(super) fn may_drop(&self, id: &str) -> bool {
        let told = self.dropped.get(id).map(Instant::elapsed);
        told.is_none_or(|since| since >= self.prompts.comfy.settings.look_interval)
    }

    pub(super) async fn drop_from_queue(&mut self, ids: &[&str]) -> Result<(), Stopped> {
        self.prompts.comfy.client.delete_from_queue(ids).await?;
        let now = Instant::now();
        self.dropped.extend(ids.iter().map(|id| ((*id).to_owned(), now)));
        Ok(())
    }

    /// It is not in the queue: the history knows, or nobody does.
    async fn absent(&mut self, row: &PromptRow) -> Result<(), Stopped> {
        let now = self.prompts.clock.now();
        let by_socket = || {
            let runs = self.prompts.runs();
            runs.get(&row.id).and_then(|run| Some(as_told(run.end.clone()?, run.outputs.clone(), now)))
        };
        let told = match self.prompts.comfy.client.history(&row.id).await {
            Ok(Some(execution)) => {
                if execution.outputs_are_cut {
                    tracing::warn!(prompt = %row.id, "the outputs of a prompt are more than is kept; the rest is left out");
                }
                Some(ended_by(&execution, now))
            }
            Ok(None) => by_socket(),
            // Asking again brings the same, and nothing behind it would ever run.
            Err(cause) if cause.is_unreadable() => {
                let unknown = || {
                    let words = format!("ComfyUI is done with it, but how it ended cannot be read: {cause}");
                    plain_end(End::Failed, Some(PromptFailure::of(words)), now)
                };
                Some(by_socket().unwrap_or_else(unknown))
            }
            Err(cause) => return Err(cause.into()),
        };
        if let Some(end) = told {
            self.prompts.advance_with(&row.id, StageEvent::Finished(end.end), end).await?;
            return Ok(());
        }
        let advanced = self.prompts.advance(&row.id, StageEvent::Absent).await?;
        if advanced.and_then(Advanced::ended).is_some() {
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
        if self.was_taken_out(row) {
            tracing::info!(prompt = %row.id, "another client took a prompt out of ComfyUI's queue");
            self.prompts.advance(&row.id, StageEvent::Removed).await?;
            return Ok(());
        }
        let words = match self.troubles.get(&row.id).filter(|_| matches!(row.stage, Stage::Sent { .. })) {
            Some(trouble) => format!("ComfyUI failed {MAX_ATTEMPTS} times to take it: {trouble}"),
            None => format!("ComfyUI was lost {MAX_ATTEMPTS} times while it worked on it; it is given up"),
        };
        let end = plain_end(End::Failed, Some(PromptFailure::of(words)), self.prompts.clock.now());
        let advanced = self.prompts.advance_with(&row.id, StageEvent::Lost, end).await?;
        if let Some(Advanced { to: Stage::Waiting { attempts }, .. }) = advanced {
            tracing::warn!(prompt = %row.id, attempts, "ComfyUI lost a prompt; it is handed over again");
            self.prompts.runs().remove(&row.id);
        }
        Ok(())
    }

    /// The socket lived on and spoke after the prompt was last seen waiting: ComfyUI did not restart, so somebody removed it.
    fn was_taken_out(&self, row: &PromptRow) -> bool {
        let Some(sighting) = self.seen.get(&row.id) else { return false };
        matches!(row.stage, Stage::Sent { .. } | Stage::Queued { .. })
            && sighting.epoch == self.epoch
            && self.heard.is_some_and(|heard| heard > sighting.at)
    }

    /// After a restart of ours a prompt that ComfyUI has is known again from its row.
    pub(super) async fn known_run(&mut self, id: &str) -> Result<(), Error> {
        if self.prompts.runs().contains_key(id) {
            return Ok(());
        }
        let Some(stored) = self.prompts.store.prompt_graph(id).await? else { return Ok(()) };
        let graph: Map<_, _> = serde_json::from_str(&stored.graph).unwrap_or_default();
        let targets = stored.targets.as_deref().map(list_from_json);
        let object_info = self.prompts.comfy.client.object_info().await.ok();
        self.prompts.runs().insert(id.to_owned(), Run::new(&graph, targets.as_deref(), object_info.as_deref()));
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
                kind: self.prompts.kind_of(&execution.row).await,
                client_id: execution.row.client_id,
                // Nobody runs it from here.
                graph: "{}".to_owned(),
                targets: None,
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
    let (end, failure) = match end {
        ToldEnd::Completed => (End::Completed, None),
        ToldEnd::Failed(failure) => (End::Failed, Some(PromptFailure::from(failure))),
        ToldEnd::Interrupted => (End::Interrupted, None),
    };
    PromptEnd { outputs, ..plain_end(end, failure, now) }
}
