//! ComfyUI's socket, kept open: one connection with our own client id, made again whenever it is lost.
//!
//! Owns connecting, waiting and letting go. What a frame says is read in `frame`. Frames that came while there was no
//! connection are lost: after each `Connected`, who listens has to ask `/queue` and `/history`.

mod frame;

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use url::Url;

pub use frame::{ComfyEvent, NodeProgress};

/// Events that wait for who listens; more progress than that is dropped, outcomes wait.
const WAITING_EVENTS: usize = 1024;
/// A preview is a picture of some hundred kilobytes; more than this is no ComfyUI.
const LARGEST_FRAME: usize = 64 << 20;

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

/// The events of the ComfyUI at `base` for `client_id`, and the future that brings them: it has to be spawned, and ends
/// when the receiver is dropped.
pub fn watch(
    base: &Url,
    client_id: &str,
    backoff: Backoff,
) -> (mpsc::Receiver<ComfyEvent>, impl Future<Output = ()> + Send + use<>) {
    let (events, receiver) = mpsc::channel(WAITING_EVENTS);
    let address = socket_address(base, client_id);
    (receiver, keep_connected(address, backoff, events))
}

/// `ws://host:port/ws?clientId=...`.
fn socket_address(base: &Url, client_id: &str) -> Url {
    let mut address = base.clone();
    let scheme = if base.scheme() == "https" { "wss" } else { "ws" };
    let _ = address.set_scheme(scheme);
    if let Ok(mut segments) = address.path_segments_mut() {
        segments.pop_if_empty().push("ws");
    }
    address.query_pairs_mut().clear().append_pair("clientId", client_id);
    address
}

async fn keep_connected(address: Url, backoff: Backoff, events: mpsc::Sender<ComfyEvent>) {
    let mut wait = backoff.first;
    loop {
        let cause = match connect(&address, backoff.connect).await {
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

type Socket = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

async fn connect(address: &Url, limit: Duration) -> Result<Socket, String> {
    let config = WebSocketConfig::default().max_message_size(Some(LARGEST_FRAME)).max_frame_size(Some(LARGEST_FRAME));
    let connecting = tokio_tungstenite::connect_async_with_config(address.as_str(), Some(config), true);
    let (mut socket, _) = timeout(limit, connecting)
        .await
        .map_err(|_| "no answer in time".to_owned())?
        .map_err(|cause| cause.to_string())?;
    // Said first, it brings previews with the node and prompt that they belong to.
    let features = r#"{"type": "feature_flags", "data": {"supports_preview_metadata": true}}"#;
    socket.send(Message::text(features)).await.map_err(|cause| cause.to_string())?;
    Ok(socket)
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
