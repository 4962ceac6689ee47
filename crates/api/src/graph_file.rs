//! A workflow that comes as a file: a picture, video or sound that ComfyUI made, or its JSON in a form. The file is read as it arrives
//! and only its metadata is kept.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;

use actix_multipart::Multipart;
use actix_web::{HttpRequest, dev::Payload, http::header, web};
use bytes::{Buf, Bytes};
use futures_util::{Stream, StreamExt};
use serde_json::Value;
use service::{
    json_bounds,
    workflows::embedded::{self, Embedded, EmbeddedError},
};
use tokio::sync::{Semaphore, SemaphorePermit, mpsc};

use crate::error::{ApiError, ErrorCode};
use crate::extract::{BodyPace, MOST_GRAPH_BODY_BYTES, too_slow};

/// Most bytes of a file with a workflow in it.
const MOST_FILE_BYTES: usize = 512 << 20;
/// How many files are read at once, each by a thread of its own.
const MOST_FILES: usize = 8;
/// Pieces of a file on the way to its reader.
const WAITING_PIECES: usize = 8;
/// Kinds of content that may be files of ComfyUI.
const KINDS: [&str; 4] = ["image/", "video/", "audio/", "application/octet-stream"];
const FORM: &str = "multipart/form-data";

/// Places for files that are being read.
#[derive(Debug)]
pub(crate) struct GraphFiles(Semaphore);

impl GraphFiles {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Semaphore::new(MOST_FILES)))
    }

    fn place(&self) -> Result<SemaphorePermit<'_>, ApiError> {
        self.0.try_acquire().map_err(|_| {
            ApiError::new(ErrorCode::ServerBusy, format!("{MOST_FILES} files are being read already; try again in 2 s"))
                .with("retry_after_seconds", 2)
                .with_header(header::RETRY_AFTER, "2")
        })
    }
}

/// Whether the body of a request is a file or a form, by what it says of itself.
pub(crate) fn is_file(request: &HttpRequest) -> bool {
    let kind = content_type(request).to_ascii_lowercase();
    kind.starts_with(FORM) || KINDS.iter().any(|known| kind.starts_with(known))
}

/// The graph in the body of a request.
pub(crate) async fn read(request: HttpRequest, payload: Payload) -> Result<Value, ApiError> {
    let pace = request.app_data::<web::Data<BodyPace>>().map_or_else(BodyPace::default, |pace| ***pace);
    let Some(files) = request.app_data::<web::Data<GraphFiles>>() else {
        return Err(ApiError::internal("the places for files are not set up"));
    };
    let _place = files.place()?;
    let content_type = content_type(&request);
    if !content_type.to_ascii_lowercase().starts_with(FORM) {
        return graph_of(payload, pace).await;
    }
    let mut form = Multipart::new(request.headers(), payload);
    match tokio::time::timeout(pace.grace, form.next()).await.map_err(|_| too_slow())? {
        Some(field) => graph_of(field.map_err(|refused| ApiError::invalid("body", refused))?, pace).await,
        None => Err(ApiError::invalid("body", "the form has no field; send the file as its first one")),
    }
}

fn content_type(request: &HttpRequest) -> &str {
    request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Reads a file to its end: a client that is answered before may never see the answer.
async fn graph_of<E: std::fmt::Display>(
    mut file: impl Stream<Item = Result<Bytes, E>> + Unpin,
    pace: BodyPace,
) -> Result<Value, ApiError> {
    let (pieces, receiver) = mpsc::channel(WAITING_PIECES);
    let reading = web::block(move || graph_in(Pieces { receiver, piece: Bytes::new() }));
    let passing = async {
        let (mut pieces, mut bytes, started) = (Some(pieces), 0, tokio::time::Instant::now());
        loop {
            let deadline = started + pace.allowance(bytes);
            let piece = tokio::time::timeout_at(deadline, file.next()).await.map_err(|_| too_slow())?;
            let Some(piece) = piece else { return Ok(()) };
            let piece = piece.map_err(|broken| ApiError::invalid("body", broken))?;
            bytes += piece.len();
            if bytes > MOST_FILE_BYTES {
                let message = format!("The file has more than {MOST_FILE_BYTES} bytes");
                return Err(ApiError::new(ErrorCode::PayloadTooLarge, message).with("limit_bytes", MOST_FILE_BYTES));
            }
            if let Some(reader) = &pieces
                && reader.send(piece).await.is_err()
            {
                pieces = None;
            }
        }
    };
    let (passed, read): (Result<(), ApiError>, _) = tokio::join!(passing, reading);
    passed?;
    read.map_err(ApiError::internal)?
}

/// The pieces of a file as a reader. It waits for them, so it belongs on a thread that may block.
struct Pieces {
    receiver: mpsc::Receiver<Bytes>,
    piece: Bytes,
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.receiver.blocking_recv() {
                Some(piece) => self.piece = piece,
                None => return Ok(0),
            }
        }
        let length = buffer.len().min(self.piece.len());
        self.piece.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

/// The graph in a file. Blocks.
pub(crate) fn graph_in(file: impl Read) -> Result<Value, ApiError> {
    let mut file = BufReader::new(file);
    let is_json = file.fill_buf().map_err(ApiError::internal)?.trim_ascii_start().starts_with(b"{");
    if is_json {
        let mut text = String::new();
        let most = MOST_GRAPH_BODY_BYTES as u64;
        file.take(most + 1).read_to_string(&mut text).map_err(|refused| no_workflow(&refused.to_string()))?;
        if text.len() as u64 > most {
            let message = format!("The workflow has more than {most} bytes");
            return Err(ApiError::new(ErrorCode::PayloadTooLarge, message).with("limit_bytes", most));
        }
        return parsed(&text);
    }
    let Embedded { workflow, prompt } = embedded::read(file).map_err(|refused| match refused {
        EmbeddedError::UnknownFormat => ApiError::new(
            ErrorCode::UnsupportedMediaType,
            "The file is none of PNG, WebP, JPEG, MP4, FLAC and JSON, which may hold a workflow",
        ),
        EmbeddedError::Read(cause) => no_workflow(&cause.to_string()),
    })?;
    let text = workflow.or(prompt).ok_or_else(|| {
        no_workflow("it carries none; ComfyUI writes one into what it saves unless it runs with --disable-metadata")
    })?;
    parsed(&text)
}

fn parsed(text: &str) -> Result<Value, ApiError> {
    json_bounds::check(text.as_bytes()).map_err(|excess| ApiError::too_complex("The workflow in the file", excess))?;
    serde_json::from_str(text).map_err(|refused| no_workflow(&refused.to_string()))
}

fn no_workflow(cause: &str) -> ApiError {
    ApiError::new(ErrorCode::InvalidWorkflow, format!("The file gives no workflow: {cause}")).with("parameter", "body")
}
