//! The queue as one order: ours and what other clients put into ComfyUI.

use std::collections::HashMap;

use comfy_client::{Queue, QueueRow};

use super::{PromptState, Prompts, QueueEntry, QueueView};
use crate::{Error, prompts::store::PromptRow};

impl Prompts {
    /// Everything that runs and waits, next first.
    pub async fn queue(&self) -> Result<QueueView, Error> {
        let queue = self.comfy.client.queue().await?;
        let rows = self.store.unfinished_prompts().await?;
        let is_paused = self.store.is_queue_paused().await?;
        let mut foreign = HashMap::new();
        for row in queue.running.iter().chain(&queue.pending) {
            if !rows.iter().any(|ours| ours.id == row.prompt_id) {
                foreign.insert(row.prompt_id.clone(), self.kind_of(row).await);
            }
        }
        Ok(merged(&queue, &rows, &foreign, is_paused))
    }
}

/// What has a priority comes first, then what waits in ComfyUI in its order, then what waits here.
fn merged(queue: &Queue, rows: &[PromptRow], foreign: &HashMap<String, String>, is_paused: bool) -> QueueView {
    let ours = |id: &str| rows.iter().find(|row| row.id == id);
    let entry = |row: &QueueRow, state: PromptState| match ours(&row.prompt_id) {
        Some(own) => Some(of_ours(own, state)),
        None => foreign.get(&row.prompt_id).map(|kind| of_another(row, kind, state)),
    };
    let running: Vec<QueueEntry> = queue.running.iter().filter_map(|row| entry(row, PromptState::Running)).collect();
    let runs = |id: &str| running.iter().any(|entry| entry.prompt_id == id);
    let there = |id: &str| queue.pending.iter().any(|row| row.prompt_id == id);
    let waiting = || rows.iter().filter(|row| !runs(&row.id) && !there(&row.id));
    let first = waiting().filter(|row| row.priority > 0).map(|row| of_ours(row, PromptState::Queued));
    let (urgent, rest): (Vec<&QueueRow>, Vec<&QueueRow>) =
        queue.pending.iter().partition(|row| ours(&row.prompt_id).is_some_and(|row| row.priority > 0));
    let mut pending: Vec<QueueEntry> = urgent.into_iter().filter_map(|row| entry(row, PromptState::Queued)).collect();
    pending.extend(first);
    let place = |entry: &QueueEntry| rows.iter().position(|row| row.id == entry.prompt_id);
    pending.sort_by_key(place);
    pending.extend(rest.into_iter().filter_map(|row| entry(row, PromptState::Queued)));
    pending.extend(waiting().filter(|row| row.priority == 0).map(|row| of_ours(row, PromptState::Queued)));
    QueueView { running, pending, is_paused }
}

#[expect(clippy::cast_precision_loss, reason = "a number of a prompt is far below 2^52")]
fn of_ours(row: &PromptRow, state: PromptState) -> QueueEntry {
    QueueEntry {
        prompt_id: row.id.clone(),
        number: row.number as f64,
        state,
        by_another_client: false,
        is_handed_over: row.stage.is_handed_over(),
        priority: Some(row.priority),
        kind: row.kind.clone(),
        workflow_id: row.workflow_id.clone(),
        client_id: row.client_id.clone(),
        created_at: Some(row.created_at),
        started_at: row.started_at,
    }
}

fn of_another(row: &QueueRow, kind: &str, state: PromptState) -> QueueEntry {
    QueueEntry {
        prompt_id: row.prompt_id.clone(),
        number: row.number,
        state,
        by_another_client: true,
        is_handed_over: true,
        priority: None,
        kind: kind.to_owned(),
        workflow_id: None,
        client_id: row.client_id.clone(),
        created_at: None,
        started_at: None,
    }
}
