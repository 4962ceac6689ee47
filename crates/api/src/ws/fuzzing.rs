//! What the fuzz targets (`crates/fuzz-targets`) call of this crate. No interface for anybody else: it changes with them.

use bytes::Bytes;
use jiff::Timestamp;

use super::{
    frames::{FrameParser, Incoming},
    message::{ClientMessage, Encoded},
};

/// What a socket client sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// A whole text message, its fragments joined.
    Text(String),
    /// A whole binary message.
    Binary,
    /// A ping with its payload.
    Ping(Vec<u8>),
    /// A pong.
    Pong,
    /// The client closes: code and reason, where it gave them.
    Close(Option<(u16, String)>),
}

/// The messages in the bytes of a connection that arrive in chunks of this size, and whether the server then closes it for a
/// violation of the protocol. Nothing is read after a violation.
#[must_use]
pub fn socket_messages(bytes: &[u8], chunk: usize) -> (Vec<Sent>, bool) {
    let (mut parser, mut sent) = (FrameParser::default(), Vec::new());
    for piece in bytes.chunks(chunk.max(1)) {
        let mut piece = Bytes::copy_from_slice(piece);
        loop {
            match parser.feed(&mut piece) {
                Ok(Some(message)) => sent.push(Sent::from(message)),
                Ok(None) => break,
                Err(_) => return (sent, true),
            }
        }
    }
    (sent, false)
}

impl From<Incoming> for Sent {
    fn from(message: Incoming) -> Self {
        match message {
            Incoming::Text(text) => Self::Text(text),
            Incoming::Binary => Self::Binary,
            Incoming::Ping(payload) => Self::Ping(payload),
            Incoming::Pong => Self::Pong,
            Incoming::Close(reason) => {
                Self::Close(reason.map(|reason| (reason.code.into(), reason.description.unwrap_or_default())))
            }
        }
    }
}

/// The type, the channels and the action of a client's message, and an answer to it. `None` where it is refused.
#[must_use]
pub fn answered(text: &str) -> Option<(String, Vec<String>, String, String)> {
    let asked = ClientMessage::parse(text).ok()?;
    let answer = Encoded::reply("pong", Timestamp::UNIX_EPOCH, &asked.request_id, &serde_json::json!({}));
    Some((asked.r#type, asked.channels, asked.action, answer.numbered(1)))
}
