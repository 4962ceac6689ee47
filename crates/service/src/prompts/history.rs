//! What became of prompts: from our own database, and for those that it never saw from ComfyUI's history.

use comfy_client::{ObjectInfo, Queue, QueueRow, requirements::kind_of_types};
use jiff::Timestamp;

use super::{PromptRecord, PromptState, Prompts, ended_by, no_prompt};
use crate::{
    Error,
    page::{Order, Page, PageRequest},
    prompts::store::PromptRow,
};

/// Which ended prompts are wanted.
#[derive(Debug, Clone, Default)]
pub struct PromptHistoryQuery {
    /// Only those that ended so.
    pub state: Option<PromptState>,
    /// By their end: ascending is the oldest first.
    pub order: Order,
    /// Which part.
    pub page: PageRequest,
}

impl Prompts {
    /// One prompt, ours or another client's.
    pub async fn get(&self, id: &str) -> Result<PromptRecord, Error> {
        if let Some(row) = self.store.prompt(id).await? {
            return Ok(record_of(row));
        }
        let client = &self.comfy.client;
        if let Some(execution) = client.history(id).await? {
            let end = ended_by(&execution, self.clock.now());
            let foreign = foreign(&execution.row, end.end.state(), self.kind_of(&execution.row).await);
            return Ok(PromptRecord {
                outputs: end.outputs,
                failure: end.failure,
                started_at: end.started_at,
                ended_at: Some(end.ended_at),
                ..foreign
            });
        }
        let queue = client.queue().await?;
        let (row, state) = find(&queue, id).ok_or_else(|| no_prompt(id))?;
        Ok(foreign(row, state, self.kind_of(row).await))
    }

    /// Every prompt that ended, however long ago.
    pub async fn history(&self, query: &PromptHistoryQuery) -> Result<Page<PromptRecord>, Error> {
        let (oldest_first, page) = (query.order == Order::Ascending, query.page);
        let (rows, total) = self.store.ended_prompts(query.state, oldest_first, page.offset(), page.per_page).await?;
        Ok(Page { items: rows.into_iter().map(record_of).collect(), total, request: page })
    }

    /// Deletes the history: every prompt that has ended, with its graph and outputs. Answers with their number.
    pub async fn clear_history(&self) -> Result<u64, Error> {
        self.store.delete_ended_prompts(Timestamp::MAX).await
    }

    /// What a graph makes, as far as ComfyUI's node types tell.
    pub(crate) async fn kind_of(&self, row: &QueueRow) -> String {
        let known = self.comfy.client.object_info().await;
        let unknown = ObjectInfo::default();
        let object_info = known.as_deref().unwrap_or(&unknown);
        kind_of_types(row.node_types.iter().map(String::as_str), object_info).as_str().to_owned()
    }
}

/// A prompt of the queue, and whether it runs.
pub(super) fn find<'a>(queue: &'a Queue, id: &str) -> Option<(&'a QueueRow, PromptState)> {
    let is_it = |row: &&QueueRow| row.prompt_id == id;
    let running = queue.running.iter().find(is_it).map(|row| (row, PromptState::Running));
    running.or_else(|| queue.pending.iter().find(is_it).map(|row| (row, PromptState::Queued)))
}

#[expect(clippy::cast_precision_loss, reason = "a number of a prompt is far below 2^52")]
fn record_of(row: PromptRow) -> PromptRecord {
    PromptRecord {
        prompt_id: row.id,
        state: row.stage.state(),
        by_another_client: row.by_another_client,
        number: Some(row.number as f64),
        priority: (!row.by_another_client).then_some(row.priority),
        kind: row.kind,
        workflow_id: row.workflow_id,
        client_id: row.client_id,
        outputs: row.outputs,
        failure: row.failure,
        created_at: Some(row.created_at),
        started_at: row.started_at,
        ended_at: row.ended_at,
    }
}

fn foreign(row: &QueueRow, state: PromptState, kind: String) -> PromptRecord {
    PromptRecord {
        prompt_id: row.prompt_id.clone(),
        state,
        by_another_client: true,
        number: Some(row.number),
        priority: None,
        kind,
        workflow_id: None,
        client_id: row.client_id.clone(),
        outputs: serde_json::Map::new(),
        failure: None,
        created_at: None,
        started_at: None,
        ended_at: None,
    }
}
