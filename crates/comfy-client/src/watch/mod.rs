//! ComfyUI's socket, kept open: one connection with our own client id, made again whenever it is lost.
//!
//! Owns connecting, waiting and letting go. What a frame says is read in `frame`. Frames that came while there was no
//! connection are lost: after each `Connected`, who listens has to ask `/queue` and `/history`.
//!
//! The connection begins as a request of the same HTTP client that asks everything else, so TLS, certificates, user and
//! password are the same by construction.

mod frame;

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use reqwest::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use reqwest::{Method, Upgraded};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::{client::generate_key, derive_accept_key};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

pub use frame::{ComfyEvent, NodeProgress};

use crate::client::Client;
use crate::error::ComfyError;
use crate::transport::Transport;

/// Events that wait for who listens; more progress than that is dropped, outcomes wait.
const WAITING_EVENTS: usize = 1024;
/// A preview is a picture of some hundred kilobytes, `SaveImageWebsocket` sends whole ones. A frame that announces more is
/// refused before its bytes are kept.
const LARGEST_FRAME: usize = 32 << 20;
/// The largest frame of text: all nodes of a large graph are some megabytes. A larger one is passed over.
const LARGEST_TEXT: usize = 8 << 20;

/// How long to wait between attempts to connect, and when a silent connection is given up.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// After the first failure; doubled each time.
    pub first: Duration,
    /// Never longer than this.
    pub longest: Duration,
    /// A connection attempt may take so long.
    pub connect: Duration,
    /// Without any frame for so long ComfyUI is asked for a sign; without one for twice as long the connection is given up.
    pub silence: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(500),
            longest: Duration::from_secs(15),
            connect: Duration::from_secs(5),
            silence: Duration::from_secs(20),
        }
    }
}

/// The events of a ComfyUI for `client_id`, and the future that brings them: it has to be spawned, and ends when the receiver
/// is dropped.
pub fn watch(
    client: &Client,
    client_id: &str,
    backoff: Backoff,
) -> (mpsc::Receiver<ComfyEvent>, impl Future<Output = ()> + Send + use<>) {
    let (events, receiver) = mpsc::channel(WAITING_EVENTS);
    (receiver, keep_connected(client.transport.clone(), client_id.to_owned(), backoff, events))
}

async fn keep_connected(transport: Transport, client_id: String, backoff: Backoff, events: mpsc::Sender<ComfyEvent>) {
    let mut wait = backoff.first;
    loop {
        let cause = match connect(&transport, &client_id, backoff.connect).await {
            Ok(socket) => {
                wait = backoff.first;
                if events.send(ComfyEvent::Connected).await.is_err() {
                    return;
                }
                listen(socket, backoff.silence, &events).await
            }
            Err(cause) => cause,
        };
        tracing::debug!(%cause, "the socket of ComfyUI is closed");
        if events.send(ComfyEvent::Disconnected { cause }).await.is_err() {
            return;
        }
        tokio::select! {
            () = sleep(with_jitter(wait)) => {}
            () = events.closed() => return,
        }
        wait = (wait * 2).min(backoff.longest);
    }
}

/// Between half of it and all of it, so that many dashboards do not come back at once.
fn with_jitter(wait: Duration) -> Duration {
    let share = f64::from(u32::try_from(crate::files::random_bits() & 0xffff).unwrap_or(0)) / 65536.0;
    wait.mul_f64(0.5 + share / 2.0)
}

type Socket = WebSocketStream<Upgraded>;

async fn connect(transport: &Transport, client_id: &str, limit: Duration) -> Result<Socket, String> {
    let connected = timeout(limit, upgrade(transport, client_id)).await;
    let mut socket = connected.map_err(|_| "no answer in time".to_owned())??;
    // Said first, it brings previews with the node and prompt that they belong to.
    let features = r#"{"type": "feature_flags", "data": {"supports_preview_metadata": true}}"#;
    socket.send(Message::text(features)).await.map_err(|cause| cause.to_string())?;
    Ok(socket)
}

/// `GET /ws?clientId=…` with the headers of RFC 6455, section 4.1.
async fn upgrade(transport: &Transport, client_id: &str) -> Result<Socket, String> {
    let key = generate_key();
    let call = transport.call(Method::GET, "/ws", &[("clientId", client_id)]).with(|request| {
        request
            .header(CONNECTION, "Upgrade")
            .header(UPGRADE, "websocket")
            .header(SEC_WEBSOCKET_VERSION, "13")
            .header(SEC_WEBSOCKET_KEY, &key)
    });
    let words = |cause: ComfyError| cause.to_string();
    let answer = call.send().await.map_err(words)?;
    if answer.status() != 101 {
        return Err(match answer.status() {
            200..=299 => "it is not upgraded to a WebSocket; does a proxy pass on the Upgrade header?".to_owned(),
            _ => answer.into_error().await.to_string(),
        });
    }
    let accept = answer.response.headers().get(SEC_WEBSOCKET_ACCEPT).map(|accept| accept.as_bytes().to_vec());
    if accept.as_deref() != Some(derive_accept_key(key.as_bytes()).as_bytes()) {
        return Err("the answer to the WebSocket handshake does not fit".to_owned());
    }
    let stream = answer.response.upgrade().await.map_err(|cause| cause.without_url().to_string())?;
    let config = WebSocketConfig::default().max_message_size(Some(LARGEST_FRAME)).max_frame_size(Some(LARGEST_FRAME));
    Ok(WebSocketStream::from_raw_socket(stream, Role::Client, Some(config)).await)
}

/// Hands on what comes until the connection ends; says why it did.
async fn listen(mut socket: Socket, silence: Duration, events: &mpsc::Sender<ComfyEvent>) -> String {
    let mut heard = Instant::now();
    loop {
        let message = tokio::select! {
            message = timeout(silence, socket.next()) => message,
            () = events.closed() => return "nobody listens".to_owned(),
        };
        let message = match message {
            Ok(Some(Ok(message))) => message,
            Ok(Some(Err(cause))) => return cause.to_string(),
            Ok(None) => return "ComfyUI closed it".to_owned(),
            Err(_) if heard.elapsed() >= silence * 2 => return "ComfyUI gave no sign of life".to_owned(),
            Err(_) => {
                if let Err(cause) = socket.send(Message::Ping(bytes::Bytes::new())).await {
                    return cause.to_string();
                }
                continue;
            }
        };
        heard = Instant::now();
        let event = match message {
            Message::Text(text) if text.len() > LARGEST_TEXT => {
                tracing::warn!(bytes = text.len(), "ComfyUI sent a frame that is too large; it is passed over");
                None
            }
            Message::Text(text) => frame::from_text(&text),
            Message::Binary(bytes) => frame::from_bytes(bytes),
            Message::Close(_) => return "ComfyUI closed it".to_owned(),
            _ => None,
        };
        let Some(event) = event else { continue };
        if event.may_be_lost() {
            let _ = events.try_send(event);
        } else if events.send(event).await.is_err() {
            return "nobody listens".to_owned();
        }
    }
}
