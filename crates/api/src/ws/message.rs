//! The JSON of the socket: what a client may say, and what each event looks like. The body of a message is written once for
//! all who get it; only `seq` is each connection's own.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json, value::RawValue};
use service::downloads::DownloadView;
use service::events::Event;
use service::jobs::Job;
use service::json_bounds;
use service::prompts::{QueueFigures, WorkflowFailed, WorkflowOutput, WorkflowPreview, WorkflowProgress};
use service::system::Sample;

use crate::dto::FileCounts;
use crate::dto::downloads::{DownloadState, file_counts};
use crate::dto::error::ErrorBody;
use crate::dto::units::{duration_text, percent, speed_text};
use crate::error::ApiError;

/// The kind of a binary frame with a picture and words about it.
const PREVIEW_WITH_WORDS: u32 = 4;

/// What a client says. Everything is optional here, so that what is wrong can be named.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ClientMessage {
    pub(super) r#type: String,
    pub(super) channels: Vec<String>,
    pub(super) previews: bool,
    pub(super) action: String,
    /// Not parsed before it is known that the client may do what it asks.
    pub(super) data: Option<Box<RawValue>>,
    pub(super) request_id: RequestId,
}

impl ClientMessage {
    pub(super) fn parse(text: &str) -> Result<Self, ApiError> {
        let needed = "a JSON object is needed";
        // A derived reader would take an array for an object, key by key.
        if !text.trim_start().starts_with('{') {
            return Err(ApiError::invalid("message", needed));
        }
        json_bounds::check(text.as_bytes()).map_err(|excess| ApiError::too_complex("The message", excess))?;
        serde_json::from_str(text)
            .map_err(|refused| ApiError::unparsable("message", &format_args!("{needed}: {refused}")))
    }
}

/// What the client calls its message, given back as it was sent.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(transparent)]
pub(super) struct RequestId(Option<Box<RawValue>>);

impl fmt::Display for RequestId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.0.as_deref().map_or("null", RawValue::get))
    }
}

/// A message but for its number.
#[derive(Debug)]
pub(super) struct Encoded {
    head: String,
    tail: String,
}

impl Encoded {
    /// A message of this type.
    pub(super) fn new(kind: &str, now: Timestamp, data: &impl Serialize) -> Self {
        Self::with(kind, now, data, "")
    }

    /// A message that tells how things stand already.
    pub(super) fn snapshot(kind: &str, now: Timestamp, data: &impl Serialize) -> Self {
        Self::with(kind, now, data, "\"snapshot\":true,")
    }

    /// An answer to the client's own request.
    pub(super) fn reply(kind: &str, now: Timestamp, request_id: &RequestId, data: &impl Serialize) -> Self {
        Self::with(kind, now, data, &format!("\"request_id\":{request_id},"))
    }

    fn with(kind: &str, now: Timestamp, data: &impl Serialize, extra: &str) -> Self {
        let data = serde_json::to_string(data).unwrap_or_else(|_| "null".to_owned());
        Self {
            head: format!("{{\"type\":\"{kind}\",\"seq\":"),
            tail: format!(",\"timestamp\":\"{now:.3}\",{extra}\"data\":{data}}}"),
        }
    }

    /// About how many bytes it has.
    pub(super) fn size(&self) -> usize {
        self.head.len() + self.tail.len()
    }

    /// The message with its number.
    pub(super) fn numbered(&self, seq: u64) -> String {
        format!("{}{seq}{}", self.head, self.tail)
    }
}

/// A download in a message.
#[derive(Debug, Serialize)]
struct DownloadData<'a> {
    download_id: &'a str,
    preset_id: Option<&'a str>,
    status: DownloadState,
    progress: f64,
    current_file: Option<&'a str>,
    speed: Option<String>,
    eta: Option<String>,
    files: FileCounts,
    speed_bytes_per_second: Option<u64>,
    eta_seconds: Option<u64>,
    downloaded_bytes: u64,
    total_bytes: Option<u64>,
    stalled: bool,
    pause_reason: Option<&'static str>,
}

impl<'a> From<&'a DownloadView> for DownloadData<'a> {
    fn from(view: &'a DownloadView) -> Self {
        Self {
            download_id: &view.id,
            preset_id: view.preset_id.as_ref().map(AsRef::as_ref),
            status: view.state,
            progress: percent(view.progress),
            current_file: view.current_file.as_deref(),
            speed: view.bytes_per_second.map(speed_text),
            eta: view.eta_seconds.map(duration_text),
            files: file_counts(view),
            speed_bytes_per_second: view.bytes_per_second,
            eta_seconds: view.eta_seconds,
            downloaded_bytes: view.downloaded_bytes,
            total_bytes: view.total_bytes,
            stalled: view.stalled,
            pause_reason: view.pause_reason.map(|reason| reason.as_str()),
        }
    }
}

/// An event as messages: one, or two where the interface wants a failure told twice.
pub(super) fn of_event(event: &Event, now: Timestamp) -> Vec<Encoded> {
    match event {
        Event::DownloadQueued(view) => vec![of_download("download_queued", view, now)],
        Event::DownloadProgress(view) => vec![of_download("download_progress", view, now)],
        Event::DownloadPaused(view) => vec![of_download("download_paused", view, now)],
        Event::DownloadResumed(view) => vec![of_download("download_resumed", view, now)],
        Event::DownloadCancelled(view) => vec![of_download("download_cancelled", view, now)],
        Event::DownloadCompleted(view) => vec![completed(view, now)],
        Event::DownloadFailed(view) => vec![failure_notice(view, now), failed(view, now)],
        Event::JobProgress(job) => vec![Encoded::new("job_progress", now, &job_data(job))],
        Event::SystemStatus(sample) => vec![Encoded::new("system_status", now, &system_data(sample))],
        Event::QueueUpdate(figures) => vec![Encoded::new("queue_update", now, &queue_data(figures))],
        Event::WorkflowProgress(step) => vec![Encoded::new("workflow_progress", now, &step_data(step))],
        Event::WorkflowOutput(shown) => vec![Encoded::new("workflow_output", now, &output_data(shown))],
        Event::WorkflowFailed(failed) => vec![Encoded::new("error", now, &workflow_failure_data(failed))],
        // Pictures go as bytes, to those who asked for them.
        Event::WorkflowPreview(_) => Vec::new(),
    }
}

/// How an unfinished download stands, as the channel's ordinary message.
pub(super) fn snapshot_of(view: &DownloadView, now: Timestamp) -> Encoded {
    let kind = match view.state {
        DownloadState::Queued => "download_queued",
        DownloadState::Paused => "download_paused",
        DownloadState::Downloading
        | DownloadState::Verifying
        | DownloadState::Completed
        | DownloadState::Failed
        | DownloadState::Cancelled => "download_progress",
    };
    Encoded::snapshot(kind, now, &DownloadData::from(view))
}

/// How a job that runs stands, as the channel's ordinary message.
pub(super) fn snapshot_of_job(job: &Job, now: Timestamp) -> Encoded {
    Encoded::snapshot("job_progress", now, &job_data(job))
}

/// The machine as it is, as the channel's ordinary message.
pub(super) fn snapshot_of_system(sample: &Sample, now: Timestamp) -> Encoded {
    Encoded::snapshot("system_status", now, &system_data(sample))
}

/// The queue as it is, as the channel's ordinary message.
pub(super) fn snapshot_of_queue(figures: &QueueFigures, now: Timestamp) -> Encoded {
    Encoded::snapshot("queue_update", now, &queue_data(figures))
}

/// How far a prompt is, as the channel's ordinary message.
pub(super) fn snapshot_of_step(step: &WorkflowProgress, now: Timestamp) -> Encoded {
    Encoded::snapshot("workflow_progress", now, &step_data(step))
}

/// A picture as ComfyUI itself sends it: the number 4, the length of a JSON text, that text, the picture.
pub(super) fn of_preview(preview: &WorkflowPreview) -> Bytes {
    let about = json!({"prompt_id": preview.prompt_id, "node_id": preview.node, "image_type": preview.media_type});
    let about = about.to_string();
    let mut frame = BytesMut::with_capacity(8 + about.len() + preview.image.len());
    frame.put_u32(PREVIEW_WITH_WORDS);
    frame.put_u32(u32::try_from(about.len()).unwrap_or(0));
    frame.extend_from_slice(about.as_bytes());
    frame.extend_from_slice(&preview.image);
    frame.freeze()
}

fn queue_data(figures: &QueueFigures) -> Value {
    let task = |(id, kind): &(String, String)| json!({"prompt_id": id, "type": kind});
    json!({
        "queue_pending": figures.pending,
        "queue_running": figures.running,
        "current_task": figures.current.as_ref().map(task),
        "paused": figures.is_paused,
    })
}

fn step_data(step: &WorkflowProgress) -> Value {
    json!({
        "prompt_id": step.prompt_id,
        "node": step.node,
        "value": step.value,
        "max": step.max,
        "type": step.kind.as_str(),
        "title": step.title,
        "node_type": step.node_type,
        "overall": percent(step.overall),
        "status": step.state.as_str(),
    })
}

fn output_data(shown: &WorkflowOutput) -> Value {
    json!({"prompt_id": shown.prompt_id, "node": shown.node, "output": shown.output})
}

fn workflow_failure_data(failed: &WorkflowFailed) -> Value {
    let failure = &failed.failure;
    json!({
        "code": "WORKFLOW_FAILED",
        "message": failure.message,
        "details": {
            "prompt_id": failed.prompt_id,
            "node": failure.node,
            "node_type": failure.node_type,
            "exception_type": failure.exception_type,
            "traceback": failure.traceback,
            "error": failure.error,
            "node_errors": failure.node_errors,
        },
    })
}

fn system_data(sample: &Sample) -> Value {
    let share = |used: u64, total: u64| (total > 0).then(|| percent(used as f64 / total as f64 * 100.0));
    json!({
        "cpu_usage": sample.cpu.percent.map(percent),
        "memory_usage": share(sample.memory.used_bytes, sample.memory.total_bytes),
        "gpu_usage": sample.gpu_percent().map(percent),
        "disk_usage": sample.disk.and_then(|disk| share(disk.used_bytes, disk.total_bytes)),
    })
}

fn job_data(job: &Job) -> Value {
    json!({
        "job_id": job.id,
        "type": job.kind,
        "status": job.state.as_str(),
        "progress": percent(job.progress()),
        "done_bytes": job.done_bytes,
        "total_bytes": job.total_bytes,
        "current": job.current,
        "error": job.error,
    })
}

/// A failure that is not the answer to an action.
pub(super) fn error(body: &ErrorBody, request_id: &RequestId) -> Encoded {
    let data = json!({"code": body.code, "message": body.message, "details": body.details});
    Encoded::reply("error", body.timestamp, request_id, &data)
}

fn of_download(kind: &str, view: &DownloadView, now: Timestamp) -> Encoded {
    Encoded::new(kind, now, &DownloadData::from(view))
}

fn completed(view: &DownloadView, now: Timestamp) -> Encoded {
    let data = json!({
        "download_id": view.id,
        "preset_id": view.preset_id.as_ref().map(ToString::to_string),
        "status": "success",
        "time_taken_seconds": view.seconds_taken(),
    });
    Encoded::new("download_complete", now, &data)
}

fn failed(view: &DownloadView, now: Timestamp) -> Encoded {
    let data = json!({
        "download_id": view.id,
        "preset_id": view.preset_id.as_ref().map(ToString::to_string),
        "status": "failed",
        "error": view.failure.clone(),
    });
    Encoded::new("download_failed", now, &data)
}

fn failure_notice(view: &DownloadView, now: Timestamp) -> Encoded {
    let failure = view.failure.as_ref();
    let data = json!({
        "code": failure.map_or("DOWNLOAD_FAILED", |failure| failure.code.as_str()),
        "message": failure.map_or("The download failed", |failure| failure.message.as_str()),
        "details": {
            "file": failure.and_then(|failure| failure.file.as_deref()),
            "error": failure.and_then(|failure| failure.error.as_deref()),
            "download_id": view.id,
        },
    });
    Encoded::new("error", now, &data)
}
