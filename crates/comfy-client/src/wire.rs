//! ComfyUI's JSON as it comes over HTTP, and the way from it to the domain types. Private mirrors; unknown keys are passed over.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::machine::{Device, LogLine, SavedWorkflow, SystemStats};
use crate::prompt::{Execution, NodeFailure, Outcome, Queue, QueueRow, Submission};

/// A row of the queue is a bare list: number, id, graph, extra data, outputs.
#[derive(Deserialize)]
pub(crate) struct WireRow(f64, String, Value, Value, Vec<String>);

/// Newer servers append to rows, so what follows is read and dropped.
#[derive(Deserialize)]
#[serde(try_from = "Vec<Value>")]
pub(crate) struct LenientRow(QueueRow);

impl TryFrom<Vec<Value>> for LenientRow {
    type Error = serde_json::Error;

    fn try_from(mut row: Vec<Value>) -> Result<Self, Self::Error> {
        row.truncate(5);
        let WireRow(number, prompt_id, prompt, extra_data, outputs) = serde_json::from_value(Value::Array(row))?;
        Ok(Self(QueueRow { number, prompt_id, prompt, extra_data, outputs }))
    }
}

#[derive(Deserialize)]
pub(crate) struct WireQueue {
    queue_running: Vec<LenientRow>,
    queue_pending: Vec<LenientRow>,
}

impl From<WireQueue> for Queue {
    fn from(queue: WireQueue) -> Self {
        let rows = |rows: Vec<LenientRow>| rows.into_iter().map(|LenientRow(row)| row).collect::<Vec<_>>();
        let mut pending = rows(queue.queue_pending);
        // ComfyUI sends its heap as it lies in memory.
        pending.sort_by(|one, other| {
            one.number.total_cmp(&other.number).then_with(|| one.prompt_id.cmp(&other.prompt_id))
        });
        Self { running: rows(queue.queue_running), pending }
    }
}

pub(crate) fn submission(submission: &Submission) -> Value {
    let mut body = Map::new();
    body.insert("prompt".to_owned(), Value::Object(submission.prompt.clone()));
    let optional = [
        ("client_id", submission.client_id.as_ref().map(|id| json!(id))),
        ("prompt_id", submission.prompt_id.as_ref().map(|id| json!(id))),
        ("number", submission.number.map(|number| json!(number))),
        ("extra_data", submission.extra_data.as_ref().map(|data| json!(data))),
    ];
    body.extend(optional.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
    Value::Object(body)
}

#[derive(Deserialize)]
pub(crate) struct WireAccepted {
    pub(crate) prompt_id: String,
    pub(crate) number: f64,
    #[serde(default)]
    pub(crate) node_errors: Value,
}

#[derive(Deserialize)]
pub(crate) struct WireRejected {
    pub(crate) error: Value,
    #[serde(default)]
    pub(crate) node_errors: Value,
}

#[derive(Deserialize)]
pub(crate) struct WireExecution {
    prompt: LenientRow,
    #[serde(default)]
    outputs: Map<String, Value>,
    status: Option<WireStatus>,
}

#[derive(Deserialize)]
struct WireStatus {
    #[serde(default)]
    completed: bool,
    #[serde(default)]
    messages: Vec<(String, WireMessage)>,
}

/// The data of every message that a history keeps, each with what it has.
#[derive(Deserialize, Default, Clone)]
#[serde(default)]
pub(crate) struct WireMessage {
    pub(crate) prompt_id: Option<String>,
    timestamp: Option<i64>,
    pub(crate) nodes: Vec<String>,
    pub(crate) node_id: Option<String>,
    pub(crate) node_type: Option<String>,
    exception_message: String,
    exception_type: String,
    traceback: Vec<String>,
}

impl From<WireMessage> for NodeFailure {
    fn from(message: WireMessage) -> Self {
        Self {
            node: message.node_id,
            node_type: message.node_type,
            message: message.exception_message.trim_end().to_owned(),
            exception_type: message.exception_type,
            traceback: message.traceback,
        }
    }
}

impl From<WireExecution> for Execution {
    fn from(execution: WireExecution) -> Self {
        let LenientRow(row) = execution.prompt;
        let status = execution.status.unwrap_or(WireStatus { completed: true, messages: Vec::new() });
        let find = |name: &str| status.messages.iter().find(|(kind, _)| kind == name).map(|(_, data)| data);
        let outcome = if let Some(at) = find("execution_interrupted") {
            Outcome::Interrupted { node: at.node_id.clone(), node_type: at.node_type.clone() }
        } else if let Some(failure) = find("execution_error") {
            Outcome::Failed(failure.clone().into())
        } else if status.completed {
            Outcome::Completed
        } else {
            Outcome::Failed(NodeFailure { message: "ComfyUI does not say why".to_owned(), ..NodeFailure::default() })
        };
        let started_at_ms = find("execution_start").and_then(|message| message.timestamp);
        let ended = status.messages.iter().rev().find(|(kind, _)| {
            matches!(kind.as_str(), "execution_success" | "execution_error" | "execution_interrupted")
        });
        Self {
            outcome,
            started_at_ms,
            ended_at_ms: ended.and_then(|(_, message)| message.timestamp),
            cached: find("execution_cached").map(|message| message.nodes.clone()).unwrap_or_default(),
            outputs: execution.outputs,
            row,
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct WireStats {
    system: WireSystem,
    #[serde(default)]
    devices: Vec<WireDevice>,
}

#[derive(Deserialize)]
struct WireSystem {
    comfyui_version: Option<String>,
    python_version: Option<String>,
    pytorch_version: Option<String>,
    os: Option<String>,
    ram_total: Option<u64>,
    ram_free: Option<u64>,
    #[serde(default)]
    argv: Vec<String>,
}

#[derive(Deserialize)]
struct WireDevice {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    index: Option<u32>,
    vram_total: u64,
    vram_free: u64,
}

impl From<WireStats> for SystemStats {
    fn from(WireStats { system, devices }: WireStats) -> Self {
        let first_word = |text: String| text.split_whitespace().next().map(str::to_owned);
        Self {
            comfyui_version: system.comfyui_version,
            python_version: system.python_version.and_then(first_word),
            pytorch_version: system.pytorch_version,
            os: system.os,
            ram_total: system.ram_total,
            ram_free: system.ram_free,
            argv: system.argv,
            devices: devices
                .into_iter()
                .map(|WireDevice { name, kind, index, vram_total, vram_free }| Device {
                    name,
                    kind,
                    index,
                    vram_total,
                    vram_free,
                })
                .collect(),
        }
    }
}

#[derive(Deserialize)]
pub(crate) struct WireLogs {
    entries: Vec<WireLogLine>,
}

#[derive(Deserialize)]
struct WireLogLine {
    t: String,
    m: String,
}

impl From<WireLogs> for Vec<LogLine> {
    fn from(logs: WireLogs) -> Self {
        logs.entries.into_iter().map(|line| LogLine { at: line.t, text: line.m }).collect()
    }
}

/// Older servers list bare paths, newer ones paths with sizes and times.
#[derive(Deserialize)]
#[serde(untagged)]
pub(crate) enum WireSaved {
    Path(String),
    Full { path: String, size: Option<u64>, modified: Option<f64> },
}

impl From<WireSaved> for SavedWorkflow {
    fn from(saved: WireSaved) -> Self {
        let (path, size, modified) = match saved {
            WireSaved::Path(path) => (path, None, None),
            WireSaved::Full { path, size, modified } => (path, size, modified),
        };
        // Seconds in some releases, milliseconds in others: no file here is from before 1973 or after 5138.
        let milliseconds = |time: f64| if time < 1.0e11 { time * 1000.0 } else { time };
        #[expect(clippy::cast_possible_truncation, reason = "a time in milliseconds fits")]
        let modified_at_ms = modified.map(|time| milliseconds(time) as i64);
        Self { path: path.replace('\\', "/"), size, modified_at_ms }
    }
}
