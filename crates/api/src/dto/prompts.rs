//! Prompts as JSON: what is run, what waits, what became of each.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value, json};
use service::page::{Order, Page};
use service::prompts as view;
use utoipa::{IntoParams, ToSchema};

use super::page::{ListPart, ListQuery, SortOrder, order_or};
use crate::error::ApiError;
use crate::extract::OfFile;

/// A workflow to run: the graph itself, or a stored one by its id.
#[derive(Debug, Default, Deserialize, ToSchema)]
pub struct ExecuteRequest {
    /// The graph, in either format.
    #[serde(alias = "prompt")]
    #[schema(value_type = Option<Object>)]
    workflow: Option<Value>,
    /// A stored workflow.
    workflow_id: Option<String>,
    /// 0 is the back of the queue; a higher number runs earlier.
    priority: Option<u32>,
    /// What the client calls itself.
    client_id: Option<String>,
    /// What goes to ComfyUI beside the graph.
    #[schema(value_type = Option<Object>)]
    extra_data: Option<Map<String, Value>>,
    /// Puts model files right that lie in another subfolder than the graph says.
    #[serde(default)]
    fix_paths: bool,
    /// Only these output nodes run.
    partial_execution_targets: Option<Vec<String>>,
    /// What becomes of it while ComfyUI does not answer; without it, 503.
    when_unavailable: Option<WhenUnavailable>,
    /// A graph that stands alone, or in a wrapper of another name.
    #[serde(flatten)]
    #[schema(ignore)]
    rest: Map<String, Value>,
}

/// How a workflow in a file is run.
#[derive(Debug, Deserialize)]
pub struct ExecuteFileQuery {
    priority: Option<u32>,
    client_id: Option<String>,
    when_unavailable: Option<WhenUnavailable>,
}

impl OfFile for ExecuteRequest {
    type Query = ExecuteFileQuery;

    fn of_file(graph: Value, query: ExecuteFileQuery) -> Self {
        let ExecuteFileQuery { priority, client_id, when_unavailable } = query;
        Self { workflow: Some(graph), priority, client_id, when_unavailable, ..Self::default() }
    }
}

/// What becomes of a workflow while ComfyUI does not answer.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenUnavailable {
    /// It is refused: 503.
    Refuse,
    /// It waits: 202.
    Queue,
}

/// How a workflow is run.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ExecuteQuery {
    /// Puts model files right that lie in another subfolder than the graph says.
    #[serde(default)]
    #[param(required = false)]
    pub fix_paths: bool,
}

impl ExecuteRequest {
    /// The prompt that is asked for.
    pub fn prompt(self, fix_paths: bool) -> Result<view::NewPrompt, ApiError> {
        let graph = match (self.workflow, self.workflow_id) {
            (Some(graph), None) => view::GraphToRun::Given(graph),
            (None, Some(id)) => view::GraphToRun::Stored(id),
            (None, None) if !self.rest.is_empty() => view::GraphToRun::Given(Value::Object(self.rest)),
            _ => return Err(ApiError::invalid("workflow", "either it or \"workflow_id\" is needed, and not both")),
        };
        Ok(view::NewPrompt {
            graph,
            priority: self.priority.unwrap_or(0),
            client_id: self.client_id,
            extra_data: self.extra_data,
            fix_paths: fix_paths || self.fix_paths,
            targets: self.partial_execution_targets,
            when_unavailable: match self.when_unavailable {
                None | Some(WhenUnavailable::Refuse) => view::WhenUnavailable::Refuse,
                Some(WhenUnavailable::Queue) => view::WhenUnavailable::Queue,
            },
        })
    }
}

/// A model path that was put right.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct FixedPath {
    /// Id of the node.
    pub node: String,
    /// The input.
    pub input: String,
    /// What it said.
    pub from: String,
    /// What it says now.
    pub to: String,
}

/// A prompt that was kept.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct PromptAccepted {
    /// Its id.
    pub prompt_id: String,
    /// Unique, in the order of submission.
    pub number: u64,
    /// Always `queued`.
    pub status: String,
    /// What was taken differently from what ComfyUI's page might do.
    pub warnings: Vec<String>,
    /// Model paths that were put right.
    pub fixed_paths: Vec<FixedPath>,
    /// What ComfyUI said of outputs that it leaves out; `null` where nothing, or not yet.
    #[schema(value_type = Option<Object>)]
    pub node_errors: Value,
}

impl From<view::PromptAccepted> for PromptAccepted {
    fn from(accepted: view::PromptAccepted) -> Self {
        let fixed = accepted.fixed_paths.into_iter().map(|fixed| FixedPath {
            node: fixed.node,
            input: fixed.input,
            from: fixed.from,
            to: fixed.to,
        });
        Self {
            prompt_id: accepted.prompt_id,
            number: accepted.number,
            status: "queued".to_owned(),
            warnings: accepted.warnings,
            fixed_paths: fixed.collect(),
            node_errors: accepted.node_errors,
        }
    }
}

/// What became of a prompt.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Prompt {
    /// Its id.
    pub prompt_id: String,
    /// `queued`, `running`, `completed`, `failed` or `interrupted`.
    pub status: String,
    /// `images` of all nodes, results before what is kept for a while only (`type: temp`), and under `nodes` everything that each
    /// node returned.
    #[schema(value_type = Object)]
    pub outputs: Value,
    /// When it began to run.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(serialize_with = "super::units::whole_seconds")]
    pub started: Option<Timestamp>,
    /// When it ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(serialize_with = "super::units::whole_seconds")]
    pub completed: Option<Timestamp>,
    /// When it was submitted.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(serialize_with = "super::units::milliseconds")]
    pub submitted: Option<Timestamp>,
    /// How long it ran.
    pub duration_seconds: Option<f64>,
    /// Its number.
    #[schema(value_type = Option<f64>)]
    pub number: Option<Number>,
    /// Its priority; another client's has none.
    pub priority: Option<u32>,
    /// What it makes.
    pub r#type: String,
    /// `dashboard`, or `comfyui` where another client handed it in.
    pub source: String,
    /// The stored workflow that it came from.
    pub workflow_id: Option<String>,
    /// What its submitter calls itself.
    pub client_id: Option<String>,
    /// Why it failed.
    #[schema(value_type = Option<Object>)]
    pub error: Value,
}

impl From<view::PromptRecord> for Prompt {
    fn from(record: view::PromptRecord) -> Self {
        let span = record.started_at.zip(record.ended_at);
        let milliseconds = |(from, to): (Timestamp, Timestamp)| to.as_millisecond() - from.as_millisecond();
        Self {
            prompt_id: record.prompt_id,
            status: record.state.as_str().to_owned(),
            outputs: outputs(record.outputs),
            started: record.started_at,
            completed: record.ended_at,
            submitted: record.created_at,
            duration_seconds: span.map(|span| milliseconds(span) as f64 / 1000.0),
            number: record.number.and_then(number),
            priority: record.priority,
            r#type: record.kind,
            source: source(record.by_another_client),
            workflow_id: record.workflow_id,
            client_id: record.client_id,
            error: record.failure.map_or(Value::Null, failure),
        }
    }
}

/// Where a prompt came from.
pub(super) fn source(by_another_client: bool) -> String {
    if by_another_client { "comfyui" } else { "dashboard" }.to_owned()
}

/// Whole numbers are written so: other clients' may be fractional.
#[expect(clippy::cast_possible_truncation, reason = "a number of a prompt is far below 2^53")]
pub(super) fn number(number: f64) -> Option<Number> {
    if number.fract() == 0.0 { Some(Number::from(number as i64)) } else { Number::from_f64(number) }
}

fn outputs(nodes: Map<String, Value>) -> Value {
    let of_node = |output: &Value| output.get("images").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut images: Vec<Value> = nodes.values().flat_map(of_node).collect();
    // Some nodes show what they work on: results come first.
    images.sort_by_key(|image| image.get("type").is_some_and(|folder| folder == "temp"));
    json!({"images": images, "nodes": nodes})
}

fn failure(failure: view::PromptFailure) -> Value {
    json!({
        "message": failure.message,
        "node": failure.node,
        "node_type": failure.node_type,
        "exception_type": failure.exception_type,
        "traceback": failure.traceback,
        "error": failure.error,
        "node_errors": failure.node_errors,
    })
}

/// Which ended prompts are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PromptListQuery {
    /// Only those that ended so.
    #[param(inline)]
    status: Option<EndedStatus>,
    /// By their end; without it the latest come first.
    #[param(inline)]
    order: Option<SortOrder>,
}

/// How a prompt ended.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EndedStatus {
    /// All its outputs ran.
    Completed,
    /// A node failed, or ComfyUI would not have it.
    Failed,
    /// Somebody ended it.
    Interrupted,
}

impl From<ListQuery<PromptListQuery>> for view::PromptHistoryQuery {
    fn from(ListQuery(query, page): ListQuery<PromptListQuery>) -> Self {
        Self {
            state: query.status.map(|status| match status {
                EndedStatus::Completed => view::PromptState::Completed,
                EndedStatus::Failed => view::PromptState::Failed,
                EndedStatus::Interrupted => view::PromptState::Interrupted,
            }),
            order: order_or(query.order, Order::Descending),
            page,
        }
    }
}

/// A part of the list of prompts that ended.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct PromptList {
    /// The prompts of this page.
    pub history: Vec<Prompt>,
    /// Which part of it this is.
    #[serde(flatten)]
    pub part: ListPart,
}

impl From<Page<view::PromptRecord>> for PromptList {
    fn from(page: Page<view::PromptRecord>) -> Self {
        Self { part: ListPart::from(&page), history: page.items.into_iter().map(Prompt::from).collect() }
    }
}
