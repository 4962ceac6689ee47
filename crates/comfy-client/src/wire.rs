//! ComfyUI's JSON as it comes over HTTP, and the way from it to the domain types. Private mirrors; unknown keys are passed over.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, json};

use crate::bounded::{AtMost, Bounded, cut};
use crate::machine::{Device, LogLine, SavedWorkflow, SystemStats};
use crate::prompt::{Execution, NodeFailure, Outcome, Queue, QueueRow, Submission};

/// Values that are kept of what one prompt returned; some hundred files with their metadata are a few thousand.
pub(crate) const OUTPUT_VALUES: usize = 50_000;
/// Values that are kept of ComfyUI's errors: they repeat whole lists of choices.
const ERROR_VALUES: usize = 20_000;
/// Nodes of a graph that are looked at.
const GRAPH_NODES: usize = 20_000;
/// Lines of a traceback, and bytes of a line and of a message.
const TRACEBACK_LINES: usize = 200;
const LONGEST_TEXT: usize = 4096;

/// A row of the queue is a bare list: number, id, graph, extra data, outputs; newer servers append to it. Of the graph and
/// of what goes beside it only what somebody asks for is kept.
pub(crate) struct WireRow(QueueRow);

impl<'de> Deserialize<'de> for WireRow {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Row;
        impl<'de> Visitor<'de> for Row {
            type Value = WireRow;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("a list of number, id, graph, extra data and outputs")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut row: A) -> Result<WireRow, A::Error> {
                let missing = |at: usize| serde::de::Error::invalid_length(at, &"5 elements");
                let number = row.next_element()?.ok_or_else(|| missing(0))?;
                let prompt_id = row.next_element()?.ok_or_else(|| missing(1))?;
                let AtMost(nodes) =
                    row.next_element::<AtMost<KeyOf<ClassType>, GRAPH_NODES>>()?.ok_or_else(|| missing(2))?;
                let KeyOf(client_id, _) = row.next_element::<KeyOf<ClientId>>()?.ok_or_else(|| missing(3))?;
                let AtMost(outputs) = row.next_element::<AtMost<String, GRAPH_NODES>>()?.ok_or_else(|| missing(4))?;
                while row.next_element::<IgnoredAny>()?.is_some() {}
                let node_types = nodes.into_iter().filter_map(|KeyOf(class_type, _)| class_type).collect();
                Ok(WireRow(QueueRow { number, prompt_id, node_types, client_id, outputs }))
            }
        }
        from.deserialize_seq(Row)
    }
}

/// The name of a key.
trait Key {
    const NAME: &'static str;
}

struct ClassType;
impl Key for ClassType {
    const NAME: &'static str = "class_type";
}

struct ClientId;
impl Key for ClientId {
    const NAME: &'static str = "client_id";
}

/// The text under one key of an object; nothing else of it is kept, and what is no object has none.
struct KeyOf<K>(Option<String>, std::marker::PhantomData<K>);

impl<'de, K: Key> Deserialize<'de> for KeyOf<K> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Object<K>(std::marker::PhantomData<K>);
        impl<'de, K: Key> Visitor<'de> for Object<K> {
            type Value = Option<String>;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("JSON")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
                let mut found = None;
                while let Some(key) = entries.next_key::<std::borrow::Cow<'de, str>>()? {
                    if key == K::NAME {
                        found = entries.next_value::<Bounded<1>>()?.into_text();
                    } else {
                        entries.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(found)
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(None)
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(None)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
                Ok(None)
            }

            fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
                Ok(None)
            }

            fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
                Ok(None)
            }

            fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
                Ok(None)
            }

            fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
                Ok(None)
            }
        }
        let found = from.deserialize_any(Object::<K>(std::marker::PhantomData))?;
        Ok(Self(found, std::marker::PhantomData))
    }
}

#[derive(Deserialize)]
pub(crate) struct WireQueue {
    queue_running: Vec<WireRow>,
    queue_pending: Vec<WireRow>,
}

impl From<WireQueue> for Queue {
    fn from(queue: WireQueue) -> Self {
        let rows = |rows: Vec<WireRow>| rows.into_iter().map(|WireRow(row)| row).collect::<Vec<_>>();
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
        ("partial_execution_targets", submission.targets.as_ref().map(|targets| json!(targets))),
    ];
    body.extend(optional.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?))));
    Value::Object(body)
}

#[derive(Deserialize)]
pub(crate) struct WireAccepted {
    pub(crate) prompt_id: String,
    pub(crate) number: f64,
    #[serde(default)]
    pub(crate) node_errors: Bounded<ERROR_VALUES>,
}

#[derive(Deserialize)]
pub(crate) struct WireRejected {
    pub(crate) error: Bounded<ERROR_VALUES>,
    #[serde(default)]
    pub(crate) node_errors: Bounded<ERROR_VALUES>,
}

#[derive(Deserialize)]
pub(crate) struct WireExecution {
    prompt: WireRow,
    #[serde(default)]
    outputs: Bounded<OUTPUT_VALUES>,
    status: Option<WireStatus>,
}

#[derive(Deserialize)]
struct WireStatus {
    #[serde(default)]
    completed: bool,
    #[serde(default)]
    messages: AtMost<(String, WireMessage), 1000>,
}

/// The data of every message that a history keeps, each with what it has.
#[derive(Deserialize, Default, Clone)]
#[serde(default)]
pub(crate) struct WireMessage {
    pub(crate) prompt_id: Option<String>,
    timestamp: Option<i64>,
    pub(crate) nodes: AtMost<String, GRAPH_NODES>,
    pub(crate) node_id: Option<String>,
    pub(crate) node_type: Option<String>,
    exception_message: String,
    exception_type: String,
    traceback: AtMost<String, TRACEBACK_LINES>,
}

impl From<WireMessage> for NodeFailure {
    fn from(message: WireMessage) -> Self {
        Self {
            node: message.node_id,
            node_type: message.node_type,
            message: cut(message.exception_message.trim_end(), LONGEST_TEXT).to_owned(),
            exception_type: cut(&message.exception_type, LONGEST_TEXT).to_owned(),
            traceback: message.traceback.0.iter().map(|line| cut(line, LONGEST_TEXT).to_owned()).collect(),
        }
    }
}

impl From<WireExecution> for Execution {
    fn from(execution: WireExecution) -> Self {
        let WireRow(row) = execution.prompt;
        let status = execution.status.unwrap_or(WireStatus { completed: true, messages: AtMost::default() });
        let messages = &status.messages.0;
        let find = |name: &str| messages.iter().find(|(kind, _)| kind == name).map(|(_, data)| data);
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
        let ended = messages.iter().rev().find(|(kind, _)| {
            matches!(kind.as_str(), "execution_success" | "execution_error" | "execution_interrupted")
        });
        Self {
            outcome,
            started_at_ms,
            ended_at_ms: ended.and_then(|(_, message)| message.timestamp),
            cached: find("execution_cached").map(|message| message.nodes.0.clone()).unwrap_or_default(),
            outputs_are_cut: execution.outputs.is_cut,
            outputs: execution.outputs.into_object(),
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
