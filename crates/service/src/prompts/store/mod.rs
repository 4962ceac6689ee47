//! Rows of prompts: the durable queue. `advance_prompt` is the only writer of a stage, by compare-and-set.

mod queue;

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::{
    Error,
    database::{Store, integer, milliseconds, timestamp, unsigned},
    prompts::{Effect, End, PromptFailure, PromptState, Stage, StageEvent, step},
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
    /// The output nodes that run, as a list; all, where there is none.
    pub targets: Option<String>,
    pub created_at: Timestamp,
}

/// A prompt's row, but for its graph.
#[derive(Debug, Clone)]
pub(crate) struct PromptRow {
    pub number: u64,
    pub id: String,
    pub by_another_client: bool,
    pub stage: Stage,
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

/// What is handed to ComfyUI of a prompt, as JSON.
#[derive(Debug)]
pub(crate) struct StoredGraph {
    pub graph: String,
    pub extra_data: Option<String>,
    pub targets: Option<String>,
}

/// What is stored of a prompt's end.
#[derive(Debug, Clone)]
pub(crate) struct PromptEnd {
    pub end: End,
    pub started_at: Option<Timestamp>,
    pub ended_at: Timestamp,
    pub outputs: Map<String, Value>,
    pub failure: Option<PromptFailure>,
}

/// What an event did to a prompt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Advanced {
    /// Where it stood.
    pub from: Stage,
    /// Where it stands.
    pub to: Stage,
    /// What has to be done at ComfyUI.
    pub effect: Option<Effect>,
}

impl Advanced {
    /// The end that this event brought about.
    pub(crate) fn ended(self) -> Option<End> {
        match (self.from, self.to) {
            (Stage::Ended(_), _) => None,
            (_, Stage::Ended(end)) => Some(end),
            _ => None,
        }
    }
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
    attempts: i64,
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

impl TryFrom<RawPrompt> for PromptRow {
    type Error = Error;

    fn try_from(raw: RawPrompt) -> Result<Self, Error> {
        Ok(Self {
            stage: stage(&raw.id, &raw.state, raw.attempts, raw.started_at)?,
            number: unsigned(raw.number),
            id: raw.id,
            by_another_client: raw.origin == "comfyui",
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
        })
    }
}

fn small(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(0)
}

/// A state that this version does not know is an error: guessing one would end or run a prompt.
fn stage(id: &str, state: &str, attempts: i64, started_at: Option<i64>) -> Result<Stage, Error> {
    Stage::parse(state, small(attempts), started_at.is_some())
        .ok_or_else(|| Error::internal(format!("prompt {id} has the unknown state {state:?} in the database")))
}

impl Store {
    /// Keeps a new prompt, last in its priority, if fewer than `most` are unfinished. It is on the disk when this returns.
    pub(crate) async fn insert_prompt(&self, new: &PromptInsert, most: u32) -> Result<Queued, Error> {
        let (priority, created_at) = (i64::from(new.priority), milliseconds(new.created_at));
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let unfinished = sqlx::query_scalar!("SELECT count(*) FROM prompts WHERE ended_at IS NULL")
            .fetch_one(&mut *transaction)
            .await?;
        if unfinished >= i64::from(most) {
            return Ok(Queued::Full(unsigned(unfinished)));
        }
        let done = sqlx::query!(
            "INSERT INTO prompts (id, origin, state, priority, position, kind, workflow_id, client_id, graph, extra_data, targets,
                                  created_at)
             VALUES (?, 'dashboard', 'waiting', ?, (SELECT coalesce(max(position), 0) + 1 FROM prompts), ?, ?, ?, ?, ?, ?, ?)",
            new.id, priority, new.kind, new.workflow_id, new.client_id, new.graph, new.extra_data, new.targets, created_at
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
            "SELECT number, id, origin, state, attempts, priority, kind, workflow_id, client_id, node_errors,
                    outputs, failure, created_at, started_at, ended_at FROM prompts WHERE id = ?",
            id
        )
        .fetch_optional(&self.pool)
        .await?;
        row.map(PromptRow::try_from).transpose()
    }

    /// The queue: every unfinished prompt, in the order in which they run.
    pub(crate) async fn unfinished_prompts(&self) -> Result<Vec<PromptRow>, Error> {
        let rows = sqlx::query_as!(
            RawPrompt,
            "SELECT number, id, origin, state, attempts, priority, kind, workflow_id, client_id, node_errors,
                    outputs, failure, created_at, started_at, ended_at FROM prompts
             WHERE ended_at IS NULL ORDER BY priority DESC, position"
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(PromptRow::try_from).collect()
    }

    /// What is handed to ComfyUI of a prompt.
    pub(crate) async fn prompt_graph(&self, id: &str) -> Result<Option<StoredGraph>, Error> {
        let query = sqlx::query_as!(StoredGraph, "SELECT graph, extra_data, targets FROM prompts WHERE id = ?", id);
        Ok(query.fetch_optional(&self.pool).await?)
    }

    /// Applies an event to a prompt and stores the stage that follows, unless another writer was faster; then it is applied
    /// to what that one left. `end` is stored where the prompt ends, but for its `end`, which the machine decides. What goes
    /// beside the graph is forgotten then: it may hold keys of paid services. `None` where there is no such prompt.
    pub(crate) async fn advance_prompt(
        &self,
        id: &str,
        event: StageEvent,
        end: &PromptEnd,
    ) -> Result<Option<Advanced>, Error> {
        let mut seen = None;
        loop {
            let row = sqlx::query!("SELECT state, attempts, started_at FROM prompts WHERE id = ?", id)
                .fetch_optional(&self.pool)
                .await?;
            let Some(row) = row else { return Ok(None) };
            let from = stage(id, &row.state, row.attempts, row.started_at)?;
            let (to, effect) = step(from, event);
            // The same stage twice: the statement below refuses it, because the queue is paused.
            if to == from || seen == Some(from) {
                return Ok(Some(Advanced { from, to: from, effect }));
            }
            if self.store_stage(id, &row.state, row.attempts, row.started_at, to, end).await? {
                return Ok(Some(Advanced { from, to, effect }));
            }
            seen = Some(from);
        }
    }

    /// Compare-and-set of a stage. Nothing is sent while the queue is paused.
    async fn store_stage(
        &self,
        id: &str,
        state: &str,
        attempts: i64,
        started_at: Option<i64>,
        to: Stage,
        end: &PromptEnd,
    ) -> Result<bool, Error> {
        let new_state = to.as_str();
        let new_attempts = to.attempts().map_or(attempts, i64::from);
        let is_end = matches!(to, Stage::Ended(_));
        let ended_at = is_end.then(|| milliseconds(end.ended_at));
        let new_started_at = match to {
            Stage::Running { .. } => started_at.or(Some(milliseconds(end.ended_at))),
            Stage::Waiting { .. } => None,
            Stage::Ended(_) => end.started_at.map(milliseconds).or(started_at),
            _ => started_at,
        };
        let outputs = is_end.then(|| Value::Object(end.outputs.clone()).to_string());
        let failure = end.failure.as_ref().filter(|_| to == Stage::Ended(End::Failed)).map(PromptFailure::to_json);
        let done = sqlx::query!(
            "UPDATE prompts SET state = ?1, attempts = ?2, started_at = ?3, ended_at = ?4, outputs = coalesce(?5, outputs),
                    failure = coalesce(?6, failure), extra_data = CASE WHEN ?4 IS NULL THEN extra_data END
             WHERE id = ?7 AND state = ?8 AND attempts = ?9
                   AND (?1 <> 'sent' OR NOT EXISTS (SELECT 1 FROM prompt_queue WHERE paused <> 0))",
            new_state,
            new_attempts,
            new_started_at,
            ended_at,
            outputs,
            failure,
            id,
            state,
            attempts
        )
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Keeps what ComfyUI said of outputs that it leaves out.
    pub(crate) async fn keep_node_errors(&self, id: &str, node_errors: &str) -> Result<(), Error> {
        sqlx::query!("UPDATE prompts SET node_errors = ? WHERE id = ?", node_errors, id).execute(&self.pool).await?;
        Ok(())
    }

    /// Keeps a prompt that another client handed in, now that it has ended.
    pub(crate) async fn keep_foreign_prompt(&self, new: &PromptInsert, end: &PromptEnd) -> Result<(), Error> {
        let (state, failure) = (end.end.as_str(), end.failure.as_ref().map(PromptFailure::to_json));
        let (started, ended) = (end.started_at.map(milliseconds), milliseconds(end.ended_at));
        let (outputs, created) = (Value::Object(end.outputs.clone()).to_string(), milliseconds(new.created_at));
        sqlx::query!(
            "INSERT OR IGNORE INTO prompts (id, origin, state, priority, position, kind, client_id, graph, outputs, failure,
                                            created_at, started_at, ended_at)
             VALUES (?, 'comfyui', ?, 0, 0, ?, ?, ?, ?, ?, ?, ?, ?)",
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
            "SELECT number, id, origin, state, attempts, priority, kind, workflow_id, client_id, node_errors,
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
        Ok((rows.into_iter().map(PromptRow::try_from).collect::<Result<_, _>>()?, unsigned(total)))
    }
}
