//! One frame of ComfyUI's socket, read. Frames of unknown kinds and garbage are nothing, never an error.

use bytes::{Buf, Bytes};
use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};

use crate::bounded::Bounded;
use crate::prompt::NodeFailure;
use crate::wire::{OUTPUT_VALUES, WireMessage};

/// Nodes of a frame of progress that are looked at.
const PROGRESS_NODES: usize = 20_000;

/// What happens in ComfyUI. Only `Status` tells of prompts of other clients.
#[derive(Debug, Clone, PartialEq)]
pub enum ComfyEvent {
    /// The socket is open; what happened before is in `/queue` and `/history`.
    Connected,
    /// The socket is closed, or could not be opened; it is tried again.
    Disconnected {
        /// Why, for a log.
        cause: String,
    },
    /// So many prompts wait or run, of all clients.
    Status {
        /// How many.
        queue_remaining: u64,
    },
    /// A prompt begins to run.
    Started {
        /// Which.
        prompt_id: String,
    },
    /// Nodes whose result is at hand from an earlier run.
    Cached {
        /// Of which prompt.
        prompt_id: String,
        /// The nodes.
        nodes: Vec<String>,
    },
    /// A node begins to run. Without a node the prompt is at its end, whatever end that is.
    Executing {
        /// Of which prompt; older servers leave it out.
        prompt_id: Option<String>,
        /// The node.
        node: Option<String>,
    },
    /// A node counts.
    Progress {
        /// Of which prompt.
        prompt_id: Option<String>,
        /// Which node.
        node: Option<String>,
        /// So far.
        value: f64,
        /// Of so many.
        max: f64,
    },
    /// How all nodes that ran or run stand.
    ProgressState {
        /// Of which prompt.
        prompt_id: String,
        /// The nodes.
        nodes: Vec<NodeProgress>,
    },
    /// A node has something to show.
    Executed {
        /// Of which prompt.
        prompt_id: String,
        /// Which node.
        node: String,
        /// `{images: [{filename, subfolder, type}]}` and the like.
        output: Map<String, Value>,
    },
    /// A prompt ended well.
    Succeeded {
        /// Which.
        prompt_id: String,
    },
    /// A prompt ended with a node that failed.
    Failed {
        /// Which.
        prompt_id: String,
        /// How.
        failure: NodeFailure,
    },
    /// A prompt was stopped.
    Interrupted {
        /// Which.
        prompt_id: String,
        /// The node that it was at.
        node: Option<String>,
    },
    /// A picture of what a node is at.
    Preview {
        /// Of which prompt, where ComfyUI says.
        prompt_id: Option<String>,
        /// Which node, where ComfyUI says.
        node: Option<String>,
        /// `image/jpeg` or `image/png`.
        media_type: String,
        /// The picture's bytes.
        image: Bytes,
    },
}

/// How one node of a running prompt stands.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeProgress {
    /// The node as it runs; nodes made while running have an id of their own.
    pub node: String,
    /// The node of the prompt that it belongs to.
    pub display_node: String,
    /// `pending`, `running`, `finished` or `error`.
    pub state: String,
    /// So far.
    pub value: f64,
    /// Of so many.
    pub max: f64,
}

impl ComfyEvent {
    /// Whether a later event says the same better, so that this one may go where nobody keeps up.
    pub(super) fn may_be_lost(&self) -> bool {
        matches!(self, Self::Progress { .. } | Self::ProgressState { .. } | Self::Preview { .. })
    }
}

/// The kind of a frame; its data are skipped.
#[derive(Deserialize)]
struct WireKind<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
}

/// The data of a frame whose kind is known.
#[derive(Deserialize)]
struct WireData<T> {
    data: T,
}

#[derive(Deserialize)]
struct WireStatus {
    status: WireStatusInfo,
}

#[derive(Deserialize)]
struct WireStatusInfo {
    exec_info: WireExecInfo,
}

#[derive(Deserialize)]
struct WireExecInfo {
    queue_remaining: u64,
}

#[derive(Deserialize)]
struct WireExecuting {
    prompt_id: Option<String>,
    node: Option<String>,
}

#[derive(Deserialize)]
struct WireProgress {
    prompt_id: Option<String>,
    node: Option<String>,
    value: f64,
    max: f64,
}

#[derive(Deserialize)]
struct WireProgressState {
    prompt_id: String,
    nodes: ProgressNodes,
}

/// By node; what does not look like progress is passed over.
struct ProgressNodes(Vec<NodeProgress>);

impl<'de> Deserialize<'de> for ProgressNodes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Nodes;
        impl<'de> Visitor<'de> for Nodes {
            type Value = ProgressNodes;

            fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
                to.write_str("an object of nodes")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<ProgressNodes, A::Error> {
                let mut nodes = Vec::new();
                while let Some(node) = entries.next_key::<String>()? {
                    if nodes.len() < PROGRESS_NODES {
                        nodes.extend(node_progress(node, entries.next_value::<Bounded<32>>()?.value));
                    } else {
                        entries.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(ProgressNodes(nodes))
            }
        }
        from.deserialize_map(Nodes)
    }
}

#[derive(Deserialize)]
struct WireNodeProgress {
    value: f64,
    max: f64,
    state: String,
    display_node_id: Option<String>,
}

#[derive(Deserialize)]
struct WireExecuted {
    prompt_id: String,
    node: String,
    #[serde(default)]
    output: Bounded<OUTPUT_VALUES>,
}

/// What a text frame says, if anything is known of its kind.
pub(super) fn from_text(text: &str) -> Option<ComfyEvent> {
    let WireKind { kind } = serde_json::from_str(text).ok()?;
    match &*kind {
        "status" => {
            let WireStatus { status } = data(text)?;
            Some(ComfyEvent::Status { queue_remaining: status.exec_info.queue_remaining })
        }
        "executing" => {
            let WireExecuting { prompt_id, node } = data(text)?;
            Some(ComfyEvent::Executing { prompt_id, node })
        }
        "progress" => {
            let WireProgress { prompt_id, node, value, max } = data(text)?;
            Some(ComfyEvent::Progress { prompt_id, node, value, max })
        }
        "progress_state" => {
            let WireProgressState { prompt_id, nodes } = data(text)?;
            Some(ComfyEvent::ProgressState { prompt_id, nodes: nodes.0 })
        }
        "executed" => {
            let WireExecuted { prompt_id, node, output } = data(text)?;
            Some(ComfyEvent::Executed { prompt_id, node, output: output.into_object() })
        }
        "execution_start" | "execution_cached" | "execution_success" | "execution_error" | "execution_interrupted" => {
            of_prompt(&kind, data(text)?)
        }
        _ => None,
    }
}

fn data<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_str::<WireData<T>>(text).ok().map(|frame| frame.data)
}

/// The kinds whose data are as in the history.
fn of_prompt(kind: &str, message: WireMessage) -> Option<ComfyEvent> {
    let prompt_id = message.prompt_id.clone()?;
    match kind {
        "execution_start" => Some(ComfyEvent::Started { prompt_id }),
        "execution_cached" => Some(ComfyEvent::Cached { prompt_id, nodes: message.nodes.0 }),
        "execution_success" => Some(ComfyEvent::Succeeded { prompt_id }),
        "execution_error" => Some(ComfyEvent::Failed { prompt_id, failure: message.into() }),
        "execution_interrupted" => Some(ComfyEvent::Interrupted { prompt_id, node: message.node_id }),
        _ => None,
    }
}

fn node_progress(node: String, progress: Value) -> Option<NodeProgress> {
    let WireNodeProgress { value, max, state, display_node_id } = serde_json::from_value(progress).ok()?;
    Some(NodeProgress { display_node: display_node_id.unwrap_or_else(|| node.clone()), node, state, value, max })
}

/// What the data of a preview may say of itself.
#[derive(Deserialize, Default)]
struct WirePreview {
    prompt_id: Option<String>,
    node_id: Option<String>,
    image_type: Option<String>,
}

/// A binary frame begins with its kind: 1 is a picture behind the number of its format, 4 a picture behind the length
/// of a JSON text and that text. Other kinds (3 is text) are passed over.
pub(super) fn from_bytes(mut frame: Bytes) -> Option<ComfyEvent> {
    let kind = frame.try_get_u32().ok()?;
    let about = match kind {
        1 => {
            let format = if frame.try_get_u32().ok()? == 2 { "image/png" } else { "image/jpeg" };
            WirePreview { image_type: Some(format.to_owned()), ..WirePreview::default() }
        }
        4 => {
            let length = usize::try_from(frame.try_get_u32().ok()?).ok().filter(|length| *length <= frame.len())?;
            serde_json::from_slice(&frame.split_to(length)).ok()?
        }
        _ => return None,
    };
    let WirePreview { prompt_id, node_id: node, image_type } = about;
    let media_type = image_type.unwrap_or_else(|| "image/jpeg".to_owned());
    Some(ComfyEvent::Preview { prompt_id, node, media_type, image: frame })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn previews_of_both_kinds_are_pictures_and_other_bytes_are_nothing() {
        let plain = Bytes::from_static(&[0, 0, 0, 1, 0, 0, 0, 2, 9, 8]);
        let picture = ComfyEvent::Preview {
            prompt_id: None,
            node: None,
            media_type: "image/png".to_owned(),
            image: Bytes::from_static(&[9, 8]),
        };
        assert_eq!(from_bytes(plain), Some(picture));

        let about = br#"{"node_id": "5", "prompt_id": "p", "image_type": "image/jpeg"}"#;
        let mut frame = vec![0, 0, 0, 4, 0, 0, 0, u8::try_from(about.len()).expect("short")];
        frame.extend_from_slice(about);
        frame.push(7);
        let described = ComfyEvent::Preview {
            prompt_id: Some("p".to_owned()),
            node: Some("5".to_owned()),
            media_type: "image/jpeg".to_owned(),
            image: Bytes::from_static(&[7]),
        };
        assert_eq!(from_bytes(frame.into()), Some(described));

        for garbage in [&[][..], &[0, 0], &[0, 0, 0, 3, 1], &[0, 0, 0, 4, 255, 255, 255, 255, 1]] {
            assert_eq!(from_bytes(Bytes::copy_from_slice(garbage)), None);
        }
    }
}
