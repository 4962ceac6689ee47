//! Files of ComfyUI's own folders over HTTP: outputs are read as a stream, inputs are sent.
//!
//! Nothing is kept in memory beyond one piece of a file.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderMap, HeaderName, RANGE};
use reqwest::{Body, Method};
use serde::Deserialize;

use crate::client::{Client, absent_is_none};
use crate::error::ComfyError;
use crate::prompt::FileReference;

/// How long an upload may take as a whole before ComfyUI has to answer.
const UPLOAD: Duration = Duration::from_secs(600);

/// A file on its way out of ComfyUI.
pub struct FileStream {
    /// 200, or 206 for a part, or 416 for a part that is not there.
    pub status: u16,
    /// Its media type.
    pub content_type: Option<String>,
    /// Bytes that will come.
    pub content_length: Option<u64>,
    /// Which part it is: `bytes 0-99/1234`.
    pub content_range: Option<String>,
    /// The bytes; an error ends them.
    pub body: std::pin::Pin<Box<dyn Stream<Item = Result<Bytes, std::io::Error>> + Send>>,
}

impl Client {
    /// Opens a file; `range` is the value of a `Range` header. `None` where there is no such file.
    ///
    /// # Errors
    /// [`ComfyError::Unavailable`].
    pub async fn view(&self, file: &FileReference, range: Option<&str>) -> Result<Option<FileStream>, ComfyError> {
        let query = [("filename", &*file.filename), ("subfolder", &*file.subfolder), ("type", &*file.folder)];
        let call = self.transport.call(Method::GET, "/view", &query);
        let answer = call.with(|request| match range {
            Some(range) => request.header(RANGE, range),
            None => request,
        });
        let answer = answer.send().await?;
        let answer = if answer.status() == 416 { Ok(answer) } else { answer.successful().await };
        let Some(answer) = absent_is_none(answer)? else { return Ok(None) };
        let (status, headers) = (answer.status(), answer.response.headers());
        Ok(Some(FileStream {
            status,
            content_type: text(headers, &CONTENT_TYPE),
            content_length: text(headers, &CONTENT_LENGTH).and_then(|length| length.parse().ok()),
            content_range: text(headers, &CONTENT_RANGE),
            body: Box::pin(answer.stream()),
        }))
    }

    /// Puts a file into ComfyUI's `input` folder. ComfyUI picks another name where that one is taken and `overwrite` is not set.
    ///
    /// # Errors
    /// [`ComfyError::Unavailable`], [`ComfyError::Refused`] (413 where it is larger than ComfyUI takes).
    pub async fn upload_input<S>(
        &self,
        to: &FileReference,
        overwrite: bool,
        body: S,
    ) -> Result<FileReference, ComfyError>
    where
        S: Stream<Item = Result<Bytes, std::io::Error>> + Send + 'static,
    {
        // A boundary only must not stand in the file by chance; nothing needs it to be secret.
        let boundary = format!("comfyui-dashboard-{:032x}", random_bits());
        let (head, tail) = form(&boundary, to, overwrite);
        let whole = futures_util::stream::iter([Ok(Bytes::from(head))])
            .chain(body)
            .chain(futures_util::stream::iter([Ok(Bytes::from(tail))]));
        let content_type = format!("multipart/form-data; boundary={boundary}");
        let call = self.transport.call(Method::POST, "/upload/image", &[]);
        let call = call.with(|request| request.header(CONTENT_TYPE, content_type).body(Body::wrap_stream(whole)));
        let stored: WireStored = call.send_within(UPLOAD).await?.successful().await?.json().await?;
        Ok(FileReference { filename: stored.name, subfolder: stored.subfolder, folder: stored.folder })
    }
}

#[derive(Deserialize)]
struct WireStored {
    name: String,
    #[serde(default)]
    subfolder: String,
    #[serde(rename = "type")]
    folder: String,
}

/// What stands before and after the file in a form.
fn form(boundary: &str, to: &FileReference, overwrite: bool) -> (String, String) {
    let field = |name: &str, value: &str| {
        format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let name = to.filename.replace(['"', '\r', '\n'], "_");
    let head = [
        field("type", &to.folder),
        field("subfolder", &to.subfolder.replace(['\r', '\n'], "_")),
        field("overwrite", if overwrite { "true" } else { "false" }),
        format!("--{boundary}\r\nContent-Disposition: form-data; name=\"image\"; filename=\"{name}\"\r\n"),
        "Content-Type: application/octet-stream\r\n\r\n".to_owned(),
    ];
    (head.concat(), format!("\r\n--{boundary}--\r\n"))
}

/// Unforeseeable enough for a boundary and for jitter: the seed of a hash map.
pub(crate) fn random_bits() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0)
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}
