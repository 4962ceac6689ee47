//! `/api/outputs`: what ComfyUI made, as a list, as a stream, and gone; and files for its inputs.

use actix_web::{
    HttpRequest, HttpResponse,
    body::{BodyStream, SizedStream},
    delete, get,
    http::{
        StatusCode,
        header::{
            self, Charset, ContentDisposition, ContentEncoding, DispositionParam, DispositionType, ExtendedValue,
        },
    },
    post,
    web::{Bytes, Data, Json, Payload},
};
use futures_util::{StreamExt, stream};
use service::{
    Dashboard,
    outputs::{FileReference, FileStream, ViewConditions},
};
use tokio::sync::mpsc;
use tokio::time::{Duration, Instant, timeout};

use super::presets::confirmed;
use crate::dto::{
    error::ErrorEnvelope,
    outputs::{FileQuery, OutputList, OutputListQuery, OutputsDeleteRequest, OutputsDeleted, UploadQuery, Uploaded},
    page::{ListQuery, PartQuery},
};
use crate::error::{ApiError, ErrorCode};
use crate::extract::{BodyOrQuery, BodyPace, Query, too_slow};

/// Types of files that a browser may show in place: none of them runs anything.
const SHOWN: [&str; 7] = ["image/png", "image/jpeg", "image/webp", "image/gif", "image/avif", "video/", "audio/"];
/// Pieces of an upload that wait until ComfyUI takes them.
const WAITING_PIECES: usize = 8;

/// List outputs
///
/// The files of ComfyUI's output folder with their sizes, or those of one prompt.
#[utoipa::path(
    tag = "outputs",
    params(OutputListQuery, PartQuery),
    responses(
        (status = 200, description = "A part of the list", body = OutputList, example = json!({
            "outputs": [{
                "filename": "output_00001.png", "subfolder": "", "type": "output", "path": "output_00001.png", "size": "1MB",
                "size_bytes": 1_482_113, "modified": "2026-02-15T10:30:15Z"
            }],
            "total": 1, "total_size_gb": 0.0, "total_size_bytes": 1_482_113, "complete": true, "page": 1, "per_page": 20,
            "has_next": false, "has_prev": false
        })),
        (status = 404, description = "`NOT_FOUND`: no such prompt", body = ErrorEnvelope),
        (status = 503, description = "`COMFYUI_UNAVAILABLE`, with what was tried", body = ErrorEnvelope),
    )
)]
#[get("/api/outputs")]
pub(super) async fn list_outputs(
    dashboard: Data<Dashboard>,
    query: ListQuery<OutputListQuery>,
) -> Result<Json<OutputList>, ApiError> {
    let list = dashboard.outputs.list(&query.into()).await?;
    Ok(Json(list.into()))
}

/// View an output
///
/// The file itself, as a stream; `Range`, `If-Range` and `If-None-Match` are honoured. Where ComfyUI's folder is on this
/// machine it is read from there, also while ComfyUI is down.
#[utoipa::path(
    tag = "outputs",
    params(
        FileQuery,
        ("Range" = Option<String>, Header, description = "Which part", example = "bytes=0-1023"),
        ("If-None-Match" = Option<String>, Header, description = "The tag of what is there already", example = "\"5a-17f\""),
    ),
    responses(
        (status = 200, description = "The file", body = Vec<u8>, content_type = "application/octet-stream", example = "its bytes"),
        (status = 304, description = "It is what `If-None-Match` names"),
        (status = 206, description = "A part of it", body = Vec<u8>, content_type = "application/octet-stream", example = "some bytes"),
        (status = 404, description = "`NOT_FOUND`", body = ErrorEnvelope),
        (status = 416, description = "`RANGE_NOT_SATISFIABLE`: there is no such part", body = ErrorEnvelope),
        (status = 503, description = "`COMFYUI_UNAVAILABLE`, with what was tried", body = ErrorEnvelope),
    )
)]
#[get("/api/outputs/view")]
pub(super) async fn view_output(
    dashboard: Data<Dashboard>,
    query: Query<FileQuery>,
    request: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let value = |name: header::HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
    let conditions = ViewConditions {
        range: value(header::RANGE),
        if_none_match: value(header::IF_NONE_MATCH),
        if_range: value(header::IF_RANGE),
    };
    let wanted = FileReference::from(query.0);
    let name = wanted.filename.clone();
    let file = dashboard.outputs.view(wanted, conditions).await?;
    if file.status == StatusCode::RANGE_NOT_SATISFIABLE.as_u16() {
        let refused = ApiError::new(ErrorCode::RangeNotSatisfiable, "The file has no such part");
        return Err(refused.with_header(header::CONTENT_RANGE, &file.content_range.unwrap_or_default()));
    }
    Ok(streamed(file, &name))
}

/// Delete outputs
///
/// Each path is judged alone; those that could not be deleted are listed with the reason.
#[utoipa::path(
    tag = "outputs",
    params(OutputsDeleteRequest),
    request_body(content = Option<OutputsDeleteRequest>, description = "The same keys, for clients that can send a body",
        example = json!({"paths": ["output_00001.png"], "confirm": true})),
    responses(
        (status = 200, description = "What is gone and what stayed", body = OutputsDeleted, example = json!({
            "deleted": 1, "space_freed_gb": 0.0, "space_freed_bytes": 1_482_113, "errors": []
        })),
        (status = 404, description = "`NOT_FOUND`: none of the paths exists", body = ErrorEnvelope),
        (status = 409, description = "`CONFLICT`: ComfyUI's folder is not on this machine", body = ErrorEnvelope),
        (status = 503, description = "`COMFYUI_UNAVAILABLE`, with what was tried", body = ErrorEnvelope),
    )
)]
#[delete("/api/outputs")]
pub(super) async fn delete_outputs(
    dashboard: Data<Dashboard>,
    request: BodyOrQuery<OutputsDeleteRequest>,
) -> Result<Json<OutputsDeleted>, ApiError> {
    confirmed(request.0.confirm)?;
    if request.0.paths.is_empty() {
        return Err(ApiError::invalid("paths", "at least one path is needed"));
    }
    let gone = dashboard.outputs.delete(&request.0.paths).await?;
    Ok(Json(gone.into()))
}

/// Upload an input
///
/// The body is the file itself, of any size that ComfyUI takes; it is passed on as it comes.
#[utoipa::path(
    tag = "outputs",
    params(UploadQuery),
    request_body(content = Vec<u8>, content_type = "application/octet-stream", description = "The file", example = "its bytes"),
    responses(
        (status = 201, description = "Where it is", body = Uploaded,
            example = json!({"name": "face.png", "subfolder": "", "type": "input"})),
        (status = 413, description = "`PAYLOAD_TOO_LARGE`: ComfyUI takes no file of this size", body = ErrorEnvelope),
        (status = 503, description = "`COMFYUI_UNAVAILABLE`, with what was tried", body = ErrorEnvelope),
    )
)]
#[post("/api/inputs")]
pub(super) async fn upload_input(
    dashboard: Data<Dashboard>,
    query: Query<UploadQuery>,
    pace: Data<BodyPace>,
    body: Payload,
) -> Result<HttpResponse, ApiError> {
    // The framework's body belongs to this thread, ComfyUI's client may be on any: the pieces are passed between.
    let (pieces, receiver) = mpsc::channel(WAITING_PIECES);
    let pieces_to_come =
        stream::unfold(receiver, |mut receiver| async move { receiver.recv().await.map(|piece| (piece, receiver)) });
    let overwrite = query.0.overwrite;
    let upload = dashboard.outputs.upload(query.0.into(), overwrite, pieces_to_come);
    let mut upload = std::pin::pin!(upload);
    let stored = tokio::select! {
        // What ComfyUI does not take need not come any more.
        stored = &mut upload => stored?,
        passed = pass_on(body, pieces, **pace) => {
            passed?;
            upload.await?
        }
    };
    Ok(HttpResponse::Created().json(Uploaded::from(stored)))
}

/// Passes a body on, piece by piece. It may wait for ComfyUI as long as that takes, for the client only so long.
async fn pass_on(
    mut body: Payload,
    pieces: mpsc::Sender<std::io::Result<Bytes>>,
    pace: BodyPace,
) -> Result<(), ApiError> {
    let (mut bytes, mut waited) = (0, Duration::ZERO);
    loop {
        let (began, left) = (Instant::now(), pace.allowance(bytes).saturating_sub(waited));
        let Some(piece) = timeout(left, body.next()).await.map_err(|_| too_slow())? else { return Ok(()) };
        waited += began.elapsed();
        bytes += piece.as_ref().map_or(0, Bytes::len);
        if pieces.send(piece.map_err(std::io::Error::other)).await.is_err() {
            return Ok(());
        }
    }
}

/// The name under which a file is saved; RFC 5987 spells what is not ASCII.
fn file_name(name: &str) -> DispositionParam {
    if name.is_ascii() {
        return DispositionParam::Filename(name.to_owned());
    }
    let value = name.as_bytes().to_vec();
    DispositionParam::FilenameExt(ExtendedValue {
        charset: Charset::Ext("UTF-8".to_owned()),
        language_tag: None,
        value,
    })
}

/// Only pictures, films and sounds are shown in place; whatever else ComfyUI made is a file to keep.
fn streamed(file: FileStream, name: &str) -> HttpResponse {
    let status = StatusCode::from_u16(file.status).unwrap_or(StatusCode::OK);
    let mut answer = HttpResponse::build(status);
    for (name, value) in [(header::ETAG, file.etag), (header::LAST_MODIFIED, file.last_modified)] {
        if let Some(value) = value {
            answer.insert_header((name, value));
        }
    }
    // It may be kept, and is asked for each time whether it is still so: another file may take its name.
    answer.insert_header((header::CACHE_CONTROL, "private, no-cache"));
    if status == StatusCode::NOT_MODIFIED {
        return answer.finish();
    }
    let shown = file.content_type.filter(|kind| SHOWN.iter().any(|shown| kind.starts_with(shown)));
    answer.insert_header(ContentDisposition {
        disposition: if shown.is_some() { DispositionType::Inline } else { DispositionType::Attachment },
        parameters: vec![file_name(name)],
    });
    answer.content_type(shown.unwrap_or_else(|| "application/octet-stream".to_owned()));
    answer.insert_header((header::ACCEPT_RANGES, "bytes"));
    // A part of a compressed file would be no part of the file.
    answer.insert_header(ContentEncoding::Identity);
    if let Some(range) = file.content_range {
        answer.insert_header((header::CONTENT_RANGE, range));
    }
    match file.content_length {
        Some(length) => answer.body(SizedStream::new(length, file.body)),
        None => answer.body(BodyStream::new(file.body)),
    }
}
