//! Steering the queue: pause, order, cancel, clear, interrupt. What concerns a prompt that is here only is done at once; the
//! rest is a wish in the database that the task brings to ComfyUI, now or when it is there again.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    Clearing, End, PromptChange, PromptRecord, PromptState, Prompts, Stage, StageEvent, history::find, no_prompt,
};
use crate::{Error, prompts::store::PromptRow};

impl Prompts {
    /// Lets nothing new of ours start; what runs goes on.
    pub async fn pause(&self) -> Result<(), Error> {
        self.store.pause_queue(true).await?;
        self.rounds.after(self.patience()).await;
        Ok(())
    }

    /// Lets prompts start again.
    pub async fn resume(&self) -> Result<(), Error> {
        self.store.pause_queue(false).await?;
        self.rounds.after(self.patience()).await;
        Ok(())
    }

    /// Changes the place of a prompt that waits.
    pub async fn change(&self, id: &str, change: PromptChange) -> Result<PromptRecord, Error> {
        let row = self.store.prompt(id).await?.ok_or_else(|| no_prompt(id))?;
        if !matches!(row.stage, Stage::Waiting { .. } | Stage::Sent { .. } | Stage::Queued { .. }) {
            return Err(wrong_state(&row, "moved"));
        }
        match change {
            PromptChange::Priority(priority) => self.store.set_prompt_priority(id, priority).await?,
            PromptChange::Before(other) if other == id => {}
            PromptChange::Before(other) => {
                let target = self.store.prompt(&other).await?.ok_or_else(|| no_prompt(&other))?;
                if !self.store.put_prompt_before(id, &other).await? {
                    return Err(wrong_state(&target, "waited for"));
                }
            }
        }
        self.rounds.after(self.patience()).await;
        self.get(id).await
    }

    /// Ends exactly this prompt, whether it waits or runs, ours or another client's. Answers with the state that was reached.
    pub async fn cancel(&self, id: &str) -> Result<PromptState, Error> {
        let Some(advanced) = self.advance(id, StageEvent::Cancel).await? else { return self.cancel_foreign(id).await };
        match advanced.to {
            Stage::Ended(End::Interrupted) => {
                self.rounds.ask();
                Ok(PromptState::Interrupted)
            }
            Stage::Ended(_) => {
                let row = self.store.prompt(id).await?.ok_or_else(|| no_prompt(id))?;
                Err(wrong_state(&row, "cancelled"))
            }
            _ => self.until_ended(id).await,
        }
    }

    /// Clears a part of the queue, other clients' prompts included, and says how many prompts that ended.
    pub async fn clear(&self, which: Clearing) -> Result<u64, Error> {
        let there = self.comfy.client.queue().await;
        let rows = self.store.unfinished_prompts().await?;
        let is_ours = |id: &str| rows.iter().any(|row| row.id == id);
        // ComfyUI knows sooner than the database what runs.
        let runs = |id: &str| there.as_ref().is_ok_and(|queue| queue.running.iter().any(|row| row.prompt_id == id));
        let mut cleared = 0;
        if which != Clearing::Running {
            for row in rows.iter().filter(|row| row.stage.state() == PromptState::Queued && !runs(&row.id)) {
                let advanced = self.advance(&row.id, StageEvent::Cancel).await?;
                cleared += u64::from(advanced.is_some_and(|advanced| !matches!(advanced.from, Stage::Ended(_))));
            }
            if let Ok(queue) = &there {
                let foreign: Vec<&str> =
                    queue.pending.iter().map(|row| row.prompt_id.as_str()).filter(|id| !is_ours(id)).collect();
                if !foreign.is_empty() {
                    self.comfy.client.delete_from_queue(&foreign).await?;
                    cleared += foreign.len() as u64;
                }
            }
            // What waits in ComfyUI goes before what runs is stopped: else the next one would begin.
            self.rounds.after(self.patience()).await;
        }
        if which != Clearing::Pending {
            cleared += self.interrupt(None).await?.len() as u64;
        }
        match there {
            Err(cause) if cleared == 0 => Err(cause.into()),
            _ => Ok(cleared),
        }
    }

    /// Stops what runs: this prompt only, or whatever it is. Answers with the ids of what was stopped.
    pub async fn interrupt(&self, id: Option<&str>) -> Result<Vec<String>, Error> {
        let client = &self.comfy.client;
        let queue = client.queue().await?;
        if let Some(id) = id
            && !queue.running.iter().any(|row| row.prompt_id == id)
        {
            let row = self.store.prompt(id).await?;
            let waits = find(&queue, id).is_some();
            return Err(match row {
                Some(row) => wrong_state(&row, "interrupted"),
                None if waits => Error::conflict(format!("Prompt '{id}' waits; cancel it instead"), vec![]),
                None => no_prompt(id),
            });
        }
        let stopped: Vec<String> = queue
            .running
            .iter()
            .map(|row| row.prompt_id.clone())
            .filter(|running| id.is_none_or(|id| id == running))
            .collect();
        for running in &stopped {
            // Where ComfyUI dies before it stops, this keeps the prompt from running again.
            self.advance(running, StageEvent::Cancel).await?;
            self.comfy.interrupt(running).await?;
        }
        self.rounds.ask();
        Ok(stopped)
    }

    async fn cancel_foreign(&self, id: &str) -> Result<PromptState, Error> {
        let client = &self.comfy.client;
        let queue = client.queue().await?;
        match find(&queue, id) {
            Some((_, PromptState::Running)) => self.comfy.interrupt(id).await?,
            Some(_) => client.delete_from_queue(&[id]).await?,
            None => return Err(no_prompt(id)),
        }
        Ok(PromptState::Interrupted)
    }

    /// Waits until a wish to end a prompt has come true. A ComfyUI that does not answer is an error, and the wish stays.
    async fn until_ended(&self, id: &str) -> Result<PromptState, Error> {
        let deadline = Instant::now() + self.patience();
        let mut events = self.bus.subscribe();
        self.rounds.ask();
        loop {
            let state = self.store.prompt(id).await?.map_or(PromptState::Interrupted, |row| row.stage.state());
            if !state.is_unfinished() {
                return Ok(state);
            }
            if tokio::time::timeout_at(deadline, events.recv()).await.is_err() {
                self.comfy.client.queue().await?;
                return Ok(state);
            }
        }
    }

    /// How long an answer waits for ComfyUI to follow a wish.
    fn patience(&self) -> Duration {
        self.comfy.settings.timeout
    }
}

fn wrong_state(row: &PromptRow, wish: &str) -> Error {
    Error::conflict(
        format!("Prompt '{}' is {} and cannot be {wish}", row.id, row.stage.state().as_str()),
        vec![("prompt_id", row.id.clone()), ("state", row.stage.state().as_str().to_owned())],
    )
}
