//! Files of ComfyUI's own folders over HTTP: outputs are read as a stream, inputs are sent.
//!
//! Nothing is kept in memory beyond one piece of a file.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, LAST_MODIFIED};
use reqwest::{Body, Method};
use serde::Deserialize;
use tokio::time::Instant;

use crate::client::{Client, absent_is_none};
use crate::error::ComfyError;
use crate::prompt::FileReference;
use crate::transport::Limit;

/// How long ComfyUI may take nothing of an upload, and how long it may take to answer once it has all of it.
const UPLOAD_IDLE: Duration = Duration::from_secs(60);

/// A file on its way out of ComfyUI.
pub struct FileStream {
    /// 200, or 206 for a part, 416 for a part that is not there, 304 where it is known already.
    pub status: u16,
    /// Its media type.
    pub content_type: Option<String>,
    /// Bytes that will come.
    pub content_length: Option<u64>,
    /// Which part it is: `bytes 0-99/1234`.
    pub content_range: Option<String>,
    /// The validator of its content.
    pub etag: Option<String>,
    /// When it was last written, as an HTTP date.
    pub last_modified: Option<String>,
    /// The bytes; an error ends them.
    pub body: std::pin::Pin<Box<dyn Stream<Item = Result<Bytes, std::io::Error>> + Send>>,
}

impl Client {
    /// Opens a file; `headers` are passed on (`Range`, `If-None-Match` and the like). `None` where there is no such file.
    ///
    /// # Errors
    /// [`ComfyError::Unavailable`].
    pub async fn view(&self, file: &FileReference, headers: &[(&str, &str)]) -> Result<Option<FileStream>, ComfyError> {
        let query = [("filename", &*file.filename), ("subfolder", &*file.subfolder), ("type", &*file.folder)];
        let call = self.transport.call(Method::GET, "/view", &query);
        let call =
            call.with(|request| headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)));
        let answer = call.send().await?;
        let answer = if matches!(answer.status(), 304 | 416) { Ok(answer) } else { answer.successful().await };
        let Some(answer) = absent_is_none(answer)? else { return Ok(None) };
        let (status, headers) = (answer.status(), answer.response.headers());
        Ok(Some(FileStream {
            status,
            content_type: text(headers, &CONTENT_TYPE),
            content_length: text(headers, &CONTENT_LENGTH).and_then(|length| length.parse().ok()),
            content_range: text(headers, &CONTENT_RANGE),
            etag: text(headers, &ETAG),
            last_modified: text(headers, &LAST_MODIFIED),
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
        let pace = Pace::default();
        let whole = pace.observed(whole);
        let call = self.transport.call(Method::POST, "/upload/image", &[]);
        let call = call.with(|request| request.header(CONTENT_TYPE, content_type).body(Body::wrap_stream(whole)));
        let stored: WireStored = call.send_while(pace).await?.successful().await?.json(Limit::SMALL).await?;
        Ok(FileReference { filename: stored.name, subfolder: stored.subfolder, folder: stored.folder })
    }
}

/// Whether the receiver of a body goes on: it is idle from the moment it has a piece until it asks for the next. While the
/// sender has none to give, nobody is idle here.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pace(Arc<Mutex<Option<Instant>>>);

impl Pace {
    fn observed<S>(&self, body: S) -> impl Stream<Item = S::Item> + Send + use<S>
    where
        S: Stream + Send + 'static,
        S::Item: Send,
    {
        let pace = self.clone();
        let mut body = Box::pin(body);
        futures_util::stream::poll_fn(move |context| {
            let polled = body.as_mut().poll_next(context);
            pace.set(polled.is_ready().then(Instant::now));
            polled
        })
    }

    fn set(&self, idle_since: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = idle_since;
    }

    /// Resolves once the receiver has been idle for too long.
    pub(crate) async fn idle_for_too_long(&self) -> Duration {
        loop {
            let idle_since = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let deadline = idle_since.unwrap_or_else(Instant::now) + UPLOAD_IDLE;
            if Instant::now() >= deadline {
                return UPLOAD_IDLE;
            }
            tokio::time::sleep_until(deadline).await;
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A large file over a slow line takes longer than any wait for one piece of it.
    #[tokio::test(start_paused = true)]
    async fn upload_is_given_up_for_a_receiver_that_is_idle_not_for_its_length() {
        let piece = |number: u32| async move {
            tokio::time::advance(UPLOAD_IDLE / 2).await;
            number
        };
        let pace = Pace::default();
        let mut body = Box::pin(pace.observed(futures_util::stream::iter(0..100).then(piece)));
        let receives = async {
            for number in 0..100 {
                assert_eq!(body.next().await, Some(number));
                tokio::time::advance(UPLOAD_IDLE / 2).await;
            }
            std::future::pending::<()>().await
        };
        let began = Instant::now();
        tokio::select! {
            () = receives => {}
            _ = pace.idle_for_too_long() => {}
        }
        assert_eq!(began.elapsed().as_secs(), 100 * UPLOAD_IDLE.as_secs() + UPLOAD_IDLE.as_secs() / 2);
    }
}
