//! The WebSocket side: who is connected, and the first frames that they get.

use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::http::Request;
use super::world::{OpenSocket, Shared, Temper};

/// Turns a connection into a WebSocket and serves it to its end.
pub(super) async fn serve(mut stream: TcpStream, request: &Request, shared: Arc<Shared>) {
    let Some(key) = request.header("sec-websocket-key") else { return };
    let accept = derive_accept_key(key.as_bytes());
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    if stream.write_all(head.as_bytes()).await.is_err() {
        return;
    }
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
    let (number, mut frames) = register(request, &shared);
    loop {
        tokio::select! {
            frame = frames.recv() => {
                let Some(frame) = frame else { break };
                if *shared.temper.borrow() != Temper::Hanging && socket.send(frame).await.is_err() {
                    break;
                }
            }
            message = socket.next() => match message {
                Some(Ok(Message::Text(text))) if text.contains("feature_flags") => {
                    let features = shared.world().answers["/features"].clone();
                    let reply = json!({"type": "feature_flags", "data": features}).to_string();
                    if socket.send(Message::text(reply)).await.is_err() {
                        break;
                    }
                }
                Some(Ok(_)) => {}
                _ => break,
            },
        }
    }
    shared.world().sockets.remove(&number);
    shared.changed.notify_waiters();
}

/// A client that comes back under its id is told at once which node its prompt is at.
fn register(request: &Request, shared: &Shared) -> (u64, mpsc::UnboundedReceiver<Message>) {
    let (frames, receiver) = mpsc::unbounded_channel();
    let mut world = shared.world();
    let client_id = request.query("clientId").filter(|id| !id.is_empty()).unwrap_or_else(|| world.new_id());
    let status = json!({"exec_info": {"queue_remaining": world.queue_remaining()}});
    let _ =
        frames.send(Message::text(json!({"type": "status", "data": {"status": status, "sid": client_id}}).to_string()));
    let ours = world.running.as_ref().filter(|running| running.client_id() == Some(&client_id));
    if let (Some(_), Some(node)) = (ours, &world.running_node) {
        let _ = frames.send(Message::text(json!({"type": "executing", "data": {"node": node}}).to_string()));
    }
    let number = world.next_socket;
    world.next_socket += 1;
    world.sockets.insert(number, OpenSocket { client_id, frames });
    drop(world);
    shared.changed.notify_waiters();
    (number, receiver)
}
