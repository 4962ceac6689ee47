//! Rows of prompts: the queue that lasts. Each step on the way into ComfyUI and out of it is one statement that only does
//! something from the state that it belongs to, so that two who act at once never undo each other.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{Store, integer, milliseconds, timestamp, unsigned};
use crate::{
    Error,
    prompts::{Handover, PromptFailure, PromptState},
};

/// A prompt that is about to wait.
#[derive(Debug, Clone)]
pub(crate) struct PromptInsert {
    pub id: String,
    pub priority: u32,
    pub kind: String,
    pub workflow_id: Option<String>,
    pub client_id: Option<String>,
    pub graph: String,
    pub extra_data: Option<String>,
    pub created_at: Timestamp,
}

/// A prompt's row, but for its graph.
#[derive(Debug, Clone)]
pub(crate) struct PromptRow {
    pub number: u64,
    pub id: String,
    pub by_another_client: bool,
    pub state: PromptState,
    pub handover: Handover,
    pub attempts: u32,
    pub unwanted: bool,
    pub priority: u32,
    pub kind: String,
    pub workflow_id: Option<String>,
    pub client_id: Option<String>,
    pub node_errors: Option<String>,
    pub outputs: Map<String, Value>,
    pub failure: Option<PromptFailure>,
    pub created_at: Timestamp,
    pub started_at: Option<Timestamp>,
    pub ended_at: Option<Timestamp>,
}

/// How a prompt ended.
#[derive(Debug, Clone)]
pub(crate) struct PromptEnd {
    pub state: PromptState,
    pub started_at: Option<Timestamp>,
    pub ended_at: Timestamp,
    pub outputs: Map<String, Value>,
    pub failure: Option<PromptFailure>,
}

/// Whether there was room for a new prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Queued {
    /// It waits, under this number.
    Number(u64),
    /// So many are unfinished already.
    Full(u64),
}

/// A row as SQLite gives it; every query that reads prompts selects these columns.
struct RawPrompt {
    number: i64,
    id: String,
    origin: String,
    state: String,
    handover: String,
    attempts: i64,
    unwanted: i64,
    priority: i64,
    kind: String,
    workflow_id: Option<String>,
    client_id: Option<String>,
    node_errors: Option<String>,
    outputs: String,
    failure: Option<String>,
    created_at: i64,
    started_at: Option<i64>,
    ended_at: Option<i64>,
}

impl From<RawPrompt> for PromptRow {
    fn from(raw: RawPrompt) -> Self {
        let small = |number: i64| u32::try_from(number).unwrap_or(0);
        Self {
            number: unsigned(raw.number),
            id: raw.id,
            by_another_client: raw.origin == "comfyui",
            state: PromptState::parse(&raw.state).unwrap_or(PromptState::Failed),
            handover: Handover::parse(&raw.handover),
            attempts: small(raw.attempts),
            unwanted: raw.unwanted != 0,
            priority: small(raw.priority),
            kind: raw.kind,
            workflow_id: raw.workflow_id,
            client_id: raw.client_id,
            node_errors: raw.node_errors,
            outputs: serde_json::from_str(&raw.outputs).unwrap_or_default(),
            failure: raw.failure.as_deref().map(PromptFailure::from_json),
            created_at: timestamp(raw.created_at),
            started_at: raw.started_at.map(timestamp),
            ended_at: raw.ended_at.map(timestamp),
        }
    }
}

impl Store {
    /// Keeps a new prompt, last in its priority, if fewer than `most` are unfinished. It is on the disk when this returns.
    pub(crate) async fn insert_prompt(&self, new: &PromptInsert, most: u32) -> Result<Queued, Error> {
        let (priority, created_at) = (i64::from(new.priority), milliseconds(new.created_at));
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let unfinished = sqlx::query_scalar!("SELECT count(*) FROM prompts WHERE state IN ('queued', 'running')")
            .fetch_one(&mut *transaction)
            .await?;
        if unfinished >= i64::from(most) {
            return Ok(Queued::Full(unsigned(unfinished)));
        }
        let done = sqlx::query!(
            "INSERT INTO prompts (id, origin, state, handover, priority, position, kind, workflow_id, client_id, graph, extra_data, created_at)
             VALUES (?, 'dashboard', 'queued', 'waiting', ?, (SELECT coalesce(max(position), 0) + 1 FROM prompts), ?, ?, ?, ?, ?, ?)",
            new.id, priority, new.kind, new.workflow_id, new.client_id, new.graph, new.extra_data, created_at
        )
        .execute(&mut *transaction)
        .await?;
        let number = unsigned(done.last_insert_rowid());
        transaction.commit().await?;
        Ok(Queued::Number(number))
    }

    /// One prompt.
    pub(crate) async fn prompt(&self, id: &str) -> Result<Option<PromptRow>, Error> {
        let row = sqlx::query_as!(
            RawPrompt,
            "SELECT number, id, origin, state, handover, attempts, unwanted, priority, kind, workflow_id, client_id, node_errors,
                    outputs, failure, created_at, started_at, ended_at FROM prompts WHERE id = ?",
            id
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(Into::into))
    }

    /// The queue: every unfinished prompt, in the order in which they run.
    pub(crate) async fn unfinished_prompts(&self) -> Result<Vec<PromptRow>, Error> {
        let rows = sqlx::query_as!(
            RawPrompt,
            "SELECT number, id, origin, state, handover, attempts, unwanted, priority, kind, workflow_id, client_id, node_errors,
                    outputs, failure, created_at, started_at, ended_at FROM prompts
             WHERE state IN ('queued', 'running') ORDER BY priority DESC, position"
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(Into::into).collect())
    }

    /// The graph of a prompt and what goes beside it, as JSON.
    pub(crate) async fn prompt_graph(&self, id: &str) -> Result<Option<(String, Option<String>)>, Error> {
        let row =
            sqlx::query!("SELECT graph, extra_data FROM prompts WHERE id = ?", id).fetch_optional(&self.pool).await?;
        Ok(row.map(|row| (row.graph, row.extra_data)))
    }

    /// Notes that a prompt is about to be handed to ComfyUI. `false` where somebody ended it or paused the queue meanwhile.
    pub(crate) async fn send_prompt(&self, id: &str) -> Result<bool, Error> {
        let done = sqlx::query!(
            "UPDATE prompts SET handover = 'sent', attempts = attempts + 1
             WHERE id = ? AND state = 'queued' AND handover = 'waiting' AND unwanted = 0
                   AND NOT EXISTS (SELECT 1 FROM prompt_queue WHERE paused <> 0)",
            id
        )
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Notes that ComfyUI has a prompt, and what it said of outputs that it leaves out.
    pub(crate) async fn accept_prompt(&self, id: &str, node_errors: Option<&str>) -> Result<(), Error> {
        sqlx::query!(
            "UPDATE prompts SET handover = 'accepted', node_errors = coalesce(?, node_errors)
             WHERE id = ? AND state IN ('queued', 'running')",
            node_errors,
            id
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Notes that a prompt runs. `false` where it did already.
    pub(crate) async fn start_prompt(&self, id: &str, now: Timestamp) -> Result<bool, Error> {
        let now = milliseconds(now);
        let done = sqlx::query!(
            "UPDATE prompts SET state = 'running', handover = 'accepted', started_at = ? WHERE id = ? AND state = 'queued'",
            now,
            id
        )
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Puts a prompt back among those that wait: ComfyUI does not have it any more. An attempt that never came to run
    /// does not count.
    pub(crate) async fn take_back_prompt(&self, id: &str, attempt_counts: bool) -> Result<(), Error> {
        let undone = i64::from(!attempt_counts);
        sqlx::query!(
            "UPDATE prompts SET state = 'queued', handover = 'waiting', started_at = NULL, attempts = attempts - ?
             WHERE id = ? AND state IN ('queued', 'running')",
            undone,
            id
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Ends a prompt. `false` where it had ended already.
    pub(crate) async fn end_prompt(&self, id: &str, end: &PromptEnd) -> Result<bool, Error> {
        let (state, failure) = (end.state.as_str(), end.failure.as_ref().map(PromptFailure::to_json));
        let (started, ended) = (end.started_at.map(milliseconds), milliseconds(end.ended_at));
        let outputs = Value::Object(end.outputs.clone()).to_string();
        let done = sqlx::query!(
            "UPDATE prompts SET state = ?, outputs = ?, failure = ?, started_at = coalesce(?, started_at), ended_at = ?
             WHERE id = ? AND state IN ('queued', 'running')",
            state,
            outputs,
            failure,
            started,
            ended,
            id
        )
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Keeps a prompt that another client handed in, now that it has ended.
    pub(crate) async fn keep_foreign_prompt(&self, new: &PromptInsert, end: &PromptEnd) -> Result<(), Error> {
        let (state, failure) = (end.state.as_str(), end.failure.as_ref().map(PromptFailure::to_json));
        let (started, ended) = (end.started_at.map(milliseconds), milliseconds(end.ended_at));
        let (outputs, created) = (Value::Object(end.outputs.clone()).to_string(), milliseconds(new.created_at));
        sqlx::query!(
            "INSERT OR IGNORE INTO prompts (id, origin, state, handover, priority, position, kind, client_id, graph, outputs, failure,
                                            created_at, started_at, ended_at)
             VALUES (?, 'comfyui', ?, 'accepted', 0, 0, ?, ?, ?, ?, ?, ?, ?, ?)",
            new.id, state, new.kind, new.client_id, new.graph, outputs, failure, created, started, ended
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// A page of the ended prompts, the latest first unless `oldest_first`, and how many there are.
    pub(crate) async fn ended_prompts(
        &self,
        state: Option<PromptState>,
        oldest_first: bool,
        offset: usize,
        limit: u32,
    ) -> Result<(Vec<PromptRow>, u64), Error> {
        let (state, direction) = (state.map(PromptState::as_str), if oldest_first { 1_i64 } else { -1 });
        let (limit, offset) = (i64::from(limit), integer(offset as u64));
        let rows = sqlx::query_as!(
            RawPrompt,
            "SELECT number, id, origin, state, handover, attempts, unwanted, priority, kind, workflow_id, client_id, node_errors,
                    outputs, failure, created_at, started_at, ended_at FROM prompts
             WHERE ended_at IS NOT NULL AND (?1 IS NULL OR state = ?1) ORDER BY ended_at * ?2, number * ?2 LIMIT ?3 OFFSET ?4",
            state, direction, limit, offset
        )
        .fetch_all(&self.pool)
        .await?;
        let total = sqlx::query_scalar!(
            "SELECT count(*) FROM prompts WHERE ended_at IS NOT NULL AND (?1 IS NULL OR state = ?1)",
            state
        )
        .fetch_one(&self.pool)
        .await?;
        Ok((rows.into_iter().map(Into::into).collect(), unsigned(total)))
    }
}
