//! Handing prompts over, and taking back those that should not wait in ComfyUI any more.

use comfy_client::{ComfyError, Queue, QueueRow, Submission, Submitted};
use serde_json::{Map, Value};

use super::{Courier, Stopped};
use crate::{
    Error,
    database::list_from_json,
    prompts::store::PromptRow,
    prompts::{Candidate, End, Plan, PromptFailure, Stage, StageEvent, Wish, plain_end},
};

/// How often a plan is made anew because ComfyUI was faster.
const MOST_PLANS: usize = 3;

impl Courier {
    /// Brings ComfyUI's queue to what it should have of ours; the answer is that queue as it is then.
    pub(super) async fn hand_over(&mut self, mut queue: Queue) -> Result<Queue, Stopped> {
        for _ in 0..MOST_PLANS {
            let rows = self.prompts.store.unfinished_prompts().await?;
            let is_paused = self.prompts.store.is_queue_paused().await?;
            let ours: Vec<Candidate> = rows.iter().map(|row| candidate(row, &queue)).collect();
            let ahead = self.prompts.comfy.settings.ahead as usize;
            let plan = Plan::make(&ours, &queue, ahead, is_paused, self.last_number);
            let unwanted: Vec<&str> =
                plan.take_back.iter().map(String::as_str).filter(|id| self.may_drop(id)).collect();
            if !unwanted.is_empty() {
                queue = self.take_back(&unwanted).await?;
                continue;
            }
            if !plan.take_back.is_empty() {
                break;
            }
            for (id, number) in plan.hand_in {
                queue.pending.extend(self.hand_in(&id, number).await?);
            }
            break;
        }
        Ok(queue)
    }

    /// Takes prompts out of ComfyUI's queue. One that began to run meanwhile is left alone.
    async fn take_back(&mut self, ids: &[&str]) -> Result<Queue, Stopped> {
        let client = self.prompts.comfy.client.clone();
        self.drop_from_queue(ids).await?;
        let queue = client.queue().await?;
        for &id in ids {
            let waits = queue.pending.iter().any(|row| row.prompt_id == id);
            self.look_again |= !waits;
            let is_there = waits || queue.running.iter().any(|row| row.prompt_id == id);
            if !is_there && client.history(id).await?.is_none() {
                self.prompts.advance(id, StageEvent::TakenBack).await?;
                self.prompts.runs().remove(id);
                self.seen.remove(id);
                self.dropped.remove(id);
            }
        }
        Ok(queue)
    }

    /// Hands one prompt over. That it will be is in the database before; what became of it, after.
    async fn hand_in(&mut self, id: &str, number: f64) -> Result<Option<QueueRow>, Stopped> {
        let sent = self.prompts.advance(id, StageEvent::Send).await?;
        if !sent.is_some_and(|sent| sent.from != sent.to) {
            return Ok(None);
        }
        let Some(stored) = self.prompts.store.prompt_graph(id).await? else { return Ok(None) };
        let prompt: Map<String, Value> = serde_json::from_str(&stored.graph).map_err(Error::internal)?;
        let extra_data = stored.extra_data.and_then(|text| serde_json::from_str::<Map<String, Value>>(&text).ok());
        let targets = stored.targets.as_deref().map(list_from_json);
        self.known_run(id).await?;
        self.last_number = self.last_number.max(number);
        let submission = Submission {
            client_id: Some(self.prompts.store.socket_name().await?),
            prompt_id: Some(id.to_owned()),
            number: Some(number),
            extra_data,
            targets,
            prompt,
        };
        match self.prompts.comfy.client.submit(&submission).await {
            Ok(Submitted::Accepted { prompt_id, .. }) if prompt_id != id => self.too_old(id, &prompt_id).await,
            Ok(Submitted::Accepted { node_errors, .. }) => {
                if node_errors.as_object().is_some_and(|errors| !errors.is_empty()) {
                    self.prompts.store.keep_node_errors(id, &node_errors.to_string()).await?;
                }
                self.prompts.advance(id, StageEvent::Accepted).await?;
                Ok(Some(row_of(id, number, submission)))
            }
            Ok(Submitted::Rejected { error, node_errors }) => {
                let message = error.get("message").and_then(Value::as_str).unwrap_or("no reason given");
                let message = format!("ComfyUI does not take it: {message}");
                let failure = PromptFailure { error, node_errors, ..PromptFailure::of(message) };
                self.give_up(id, failure).await
            }
            Err(cause @ (ComfyError::Refused { .. } | ComfyError::Unsupported { .. })) => {
                let error = Value::String(cause.to_string());
                let failure = PromptFailure { error, ..PromptFailure::of(cause.to_string()) };
                self.give_up(id, failure).await
            }
            // Whether ComfyUI took it is not known: the next round looks for it.
            Err(cause) => {
                self.troubles.insert(id.to_owned(), cause.to_string());
                Err(cause.into())
            }
        }
    }

    /// Under an id of its own choice nothing could be found again: it must not run so.
    async fn too_old(&mut self, id: &str, given: &str) -> Result<Option<QueueRow>, Stopped> {
        self.prompts.comfy.client.delete_from_queue(&[given]).await?;
        self.prompts.comfy.client.interrupt(Some(given)).await?;
        let words = "This ComfyUI is too old: it does not take the id that a prompt shall have; update it";
        self.give_up(id, PromptFailure { error: Value::from(words), ..PromptFailure::of(words) }).await
    }

    async fn give_up(&mut self, id: &str, failure: PromptFailure) -> Result<Option<QueueRow>, Stopped> {
        let end = plain_end(End::Failed, Some(failure), self.prompts.clock.now());
        self.prompts.advance_with(id, StageEvent::Rejected, end).await?;
        self.look_again = true;
        Ok(None)
    }
}

fn candidate(row: &PromptRow, queue: &Queue) -> Candidate {
    let is_there = queue.running.iter().chain(&queue.pending).any(|there| there.prompt_id == row.id);
    Candidate {
        id: row.id.clone(),
        number: row.number,
        priority: row.priority,
        wish: match row.stage {
            Stage::Ending { .. } | Stage::Ended(_) => Wish::Leave,
            Stage::Waiting { .. } => Wish::Run,
            _ if is_there => Wish::Run,
            _ => Wish::Unsettled,
        },
    }
}

fn row_of(id: &str, number: f64, submission: Submission) -> QueueRow {
    QueueRow {
        number,
        prompt_id: id.to_owned(),
        node_types: Vec::new(),
        client_id: submission.client_id,
        outputs: Vec::new(),
    }
}
