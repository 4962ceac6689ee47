//! Reads a client's frames (RFC 6455, section 5) and joins fragments into messages. A frame is judged by its head: a length
//! beyond the limit ends the connection before a byte of the payload is kept. It must not know what a message means.

use actix_ws::{CloseCode, CloseReason};
use bytes::{Buf, Bytes};
use futures_util::{Stream, StreamExt};

/// Most bytes of one message of a client, in one frame or in fragments.
pub(super) const MAX_MESSAGE_BYTES: usize = 1 << 20;
/// Most bytes of a control frame's payload.
const MAX_CONTROL_BYTES: u64 = 125;
/// Most bytes of a frame's head: two, a length of eight, a mask of four.
const MAX_HEAD_BYTES: usize = 14;

const FINAL: u8 = 0x80;
const RESERVED: u8 = 0x70;
const MASKED: u8 = 0x80;

/// What a client sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Incoming {
    Text(String),
    Binary,
    Ping(Vec<u8>),
    Pong,
    Close(Option<CloseReason>),
}

/// Why a connection is closed by the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Violation {
    TooLarge,
    NotUtf8,
    Protocol(&'static str),
}

impl From<Violation> for CloseReason {
    fn from(violation: Violation) -> Self {
        let (code, words) = match violation {
            Violation::TooLarge => (CloseCode::Size, "a message may have 1 MiB"),
            Violation::NotUtf8 => (CloseCode::Invalid, "text must be UTF-8"),
            Violation::Protocol(words) => (CloseCode::Protocol, words),
        };
        Self { code, description: Some(words.to_owned()) }
    }
}

/// The messages of one client.
pub(super) struct FrameReader<S> {
    payload: S,
    chunk: Bytes,
    parser: FrameParser,
}

impl<S: Stream<Item = Result<Bytes, E>> + Unpin, E> FrameReader<S> {
    pub(super) fn new(payload: S) -> Self {
        Self { payload, chunk: Bytes::new(), parser: FrameParser::default() }
    }

    /// The next message; `None`: the client is gone.
    pub(super) async fn next(&mut self) -> Option<Result<Incoming, Violation>> {
        loop {
            match self.parser.feed(&mut self.chunk) {
                Ok(None) => self.chunk = self.payload.next().await?.ok()?,
                Ok(Some(message)) => return Some(Ok(message)),
                Err(violation) => return Some(Err(violation)),
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DataKind {
    Text,
    Binary,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ControlKind {
    Close,
    Ping,
    Pong,
}

/// Where the payload of a frame goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Message { is_final: bool },
    Control(ControlKind),
}

/// A frame whose head was accepted.
#[derive(Debug)]
struct Frame {
    target: Target,
    mask: [u8; 4],
    /// Bytes of the payload that have arrived.
    arrived: usize,
    /// Bytes of the payload.
    length: usize,
}

/// The state between two chunks of bytes. It holds at most one message and one control frame.
#[derive(Debug, Default)]
pub(super) struct FrameParser {
    head: [u8; MAX_HEAD_BYTES],
    head_bytes: usize,
    frame: Option<Frame>,
    /// The message whose fragments arrive.
    message: Option<(DataKind, Vec<u8>)>,
    control: Vec<u8>,
}

impl FrameParser {
    /// Consumes bytes up to the end of the next message; `None`: more bytes are needed.
    pub(super) fn feed(&mut self, bytes: &mut Bytes) -> Result<Option<Incoming>, Violation> {
        loop {
            let Some(frame) = &mut self.frame else {
                match self.read_head(bytes)? {
                    Some(frame) => self.frame = Some(frame),
                    None => return Ok(None),
                }
                continue;
            };
            let taken = bytes.split_to(bytes.len().min(frame.length - frame.arrived));
            let kept = match (frame.target, &mut self.message) {
                (Target::Message { .. }, Some((_, kept))) => kept,
                _ => &mut self.control,
            };
            let mask = frame.mask.iter().cycle().skip(frame.arrived % 4);
            kept.extend(taken.iter().zip(mask).map(|(byte, mask)| byte ^ mask));
            frame.arrived += taken.len();
            if frame.arrived < frame.length {
                return Ok(None);
            }
            let target = frame.target;
            self.frame = None;
            if let Some(message) = self.finish(target)? {
                return Ok(Some(message));
            }
        }
    }

    /// Reads a head, byte by byte: each rule is applied as soon as the bytes that it speaks of are there.
    fn read_head(&mut self, bytes: &mut Bytes) -> Result<Option<Frame>, Violation> {
        while bytes.has_remaining() {
            self.head[self.head_bytes] = bytes.get_u8();
            self.head_bytes += 1;
            if self.head_bytes < 2 {
                continue;
            }
            let (first, second) = (self.head[0], self.head[1]);
            let target = self.target_of(first, second)?;
            let length_bytes = match second & !MASKED {
                126 => 2,
                127 => 8,
                _ => 0,
            };
            if self.head_bytes < 2 + length_bytes {
                continue;
            }
            let length = match length_bytes {
                0 => u64::from(second & !MASKED),
                _ => self.head[2..2 + length_bytes].iter().fold(0, |length, byte| (length << 8) | u64::from(*byte)),
            };
            let length = self.accepted_length(target, length)?;
            if self.head_bytes < 2 + length_bytes + 4 {
                continue;
            }
            let mut mask = [0; 4];
            mask.copy_from_slice(&self.head[2 + length_bytes..self.head_bytes]);
            self.head_bytes = 0;
            self.begin(first & 0x0f);
            return Ok(Some(Frame { target, mask, arrived: 0, length }));
        }
        Ok(None)
    }

    /// Judges the first two bytes of a head.
    fn target_of(&self, first: u8, second: u8) -> Result<Target, Violation> {
        let is_final = first & FINAL != 0;
        if first & RESERVED != 0 {
            return Err(Violation::Protocol("reserved bits are set"));
        }
        if second & MASKED == 0 {
            return Err(Violation::Protocol("a client's frames must be masked"));
        }
        let control = match (first & 0x0f, &self.message) {
            (0, None) => return Err(Violation::Protocol("a continuation of no message")),
            (0, Some(_)) | (1 | 2, None) => return Ok(Target::Message { is_final }),
            (1 | 2, Some(_)) => return Err(Violation::Protocol("a new message within a fragmented one")),
            (8, _) => ControlKind::Close,
            (9, _) => ControlKind::Ping,
            (10, _) => ControlKind::Pong,
            _ => return Err(Violation::Protocol("an unknown opcode")),
        };
        match is_final {
            true => Ok(Target::Control(control)),
            false => Err(Violation::Protocol("a fragmented control frame")),
        }
    }

    fn accepted_length(&self, target: Target, length: u64) -> Result<usize, Violation> {
        match target {
            Target::Control(_) if length > MAX_CONTROL_BYTES => {
                Err(Violation::Protocol("a control frame of more than 125 bytes"))
            }
            Target::Control(_) => Ok(length as usize),
            Target::Message { .. } => {
                let kept = self.message.as_ref().map_or(0, |(_, kept)| kept.len());
                let room = MAX_MESSAGE_BYTES - kept.min(MAX_MESSAGE_BYTES);
                usize::try_from(length).ok().filter(|length| *length <= room).ok_or(Violation::TooLarge)
            }
        }
    }

    fn begin(&mut self, opcode: u8) {
        match opcode {
            1 => self.message = Some((DataKind::Text, Vec::new())),
            2 => self.message = Some((DataKind::Binary, Vec::new())),
            _ => {}
        }
    }

    /// The message that ends with a frame; `None`: more fragments follow.
    fn finish(&mut self, target: Target) -> Result<Option<Incoming>, Violation> {
        let control = match target {
            Target::Message { is_final: false } => return Ok(None),
            Target::Message { is_final: true } => {
                return match self.message.take() {
                    Some((DataKind::Text, text)) => match String::from_utf8(text) {
                        Ok(text) => Ok(Some(Incoming::Text(text))),
                        Err(_) => Err(Violation::NotUtf8),
                    },
                    Some((DataKind::Binary, _)) => Ok(Some(Incoming::Binary)),
                    None => Ok(None),
                };
            }
            Target::Control(control) => control,
        };
        let payload = std::mem::take(&mut self.control);
        Ok(Some(match control {
            ControlKind::Ping => Incoming::Ping(payload),
            ControlKind::Pong => Incoming::Pong,
            ControlKind::Close => Incoming::Close(close_reason(&payload)?),
        }))
    }
}

/// The code and words of a close frame, which may have neither.
fn close_reason(payload: &[u8]) -> Result<Option<CloseReason>, Violation> {
    let (code, words) = match payload {
        [] => return Ok(None),
        [_] => return Err(Violation::Protocol("a close frame of one byte")),
        [high, low, words @ ..] => (u16::from_be_bytes([*high, *low]), words),
    };
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(Violation::Protocol("a close code that may not be sent"));
    }
    let words = std::str::from_utf8(words).map_err(|_| Violation::NotUtf8)?;
    Ok(Some(CloseReason { code: code.into(), description: (!words.is_empty()).then(|| words.to_owned()) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASK: [u8; 4] = [7, 0, 255, 33];

    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![first];
        match payload.len() {
            length @ 0..126 => frame.push(MASKED | length as u8),
            length => {
                frame.push(MASKED | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        frame.extend(MASK);
        frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        frame
    }

    fn read(bytes: &[u8], chunk: usize) -> (Vec<Incoming>, Option<Violation>) {
        let (mut parser, mut heard) = (FrameParser::default(), Vec::new());
        for piece in bytes.chunks(chunk) {
            let mut piece = Bytes::copy_from_slice(piece);
            loop {
                match parser.feed(&mut piece) {
                    Ok(Some(message)) => heard.push(message),
                    Ok(None) => break,
                    Err(violation) => return (heard, Some(violation)),
                }
            }
        }
        (heard, None)
    }

    #[test]
    fn messages_are_the_same_however_their_bytes_arrive() {
        let long = "x".repeat(70_000);
        let bytes = [
            frame(0x81, "grün".as_bytes()),
            frame(0x01, b"one "),
            frame(0x89, b"ping"),
            frame(0x00, b""),
            frame(0x80, long.as_bytes()),
            frame(0x8a, b""),
            frame(0x82, b"\xff"),
            frame(0x88, &[&1000_u16.to_be_bytes()[..], b"bye"].concat()),
        ]
        .concat();
        let expected = [
            Incoming::Text("grün".to_owned()),
            Incoming::Ping(b"ping".to_vec()),
            Incoming::Text(format!("one {long}")),
            Incoming::Pong,
            Incoming::Binary,
            Incoming::Close(Some(CloseReason { code: CloseCode::Normal, description: Some("bye".to_owned()) })),
        ];
        for chunk in [1, 2, 3, 13, 4096, bytes.len()] {
            assert_eq!(read(&bytes, chunk), (expected.to_vec(), None), "{chunk}");
        }
    }

    #[test]
    fn nothing_is_kept_of_a_message_beyond_the_limit() {
        let (mut parser, half) = (FrameParser::default(), vec![b'x'; MAX_MESSAGE_BYTES / 2 + 1]);
        let mut first = Bytes::from(frame(0x01, &half));
        assert_eq!(parser.feed(&mut first), Ok(None));
        let second = frame(0x80, &half);
        let mut head = Bytes::copy_from_slice(&second[..10]);
        assert_eq!(parser.feed(&mut head), Err(Violation::TooLarge), "the mask has not even arrived");
    }

    #[test]
    fn a_text_that_is_not_utf_8_is_refused() {
        assert_eq!(read(&frame(0x81, b"\xff\xfe"), 1).1, Some(Violation::NotUtf8));
        assert_eq!(read(&[frame(0x01, b"\xc3"), frame(0x80, b"\xbc")].concat(), 1).1, None, "split in a character");
    }
}
