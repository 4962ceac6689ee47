//! What a socket client sends: the frames of RFC 6455 however their bytes arrive, and the JSON in their messages.

use api::ws::fuzzing::{Sent, answered, socket_messages};
use serde_json::Value;

use crate::memory::{self, Limit};

/// The most bytes of a message; RFC 6455 leaves it to the server.
const MOST_BYTES: u64 = 1 << 20;

/// The size of the first chunks, then the bytes of the connection.
pub(crate) fn check(bytes: &[u8]) {
    let (chunk, bytes) = bytes.split_first().map_or((1, bytes), |(chunk, rest)| (usize::from(*chunk) + 1, rest));
    let expected = naive(bytes);
    let read = memory::bounded(bytes.len(), Limit::per_byte(64), || socket_messages(bytes, chunk));
    assert_eq!(read, expected, "in chunks of {chunk} bytes");
    assert_eq!(socket_messages(bytes, bytes.len()), expected, "in one chunk");
    for message in read.0 {
        if let Sent::Text(text) = message {
            check_message(&text);
        }
    }
}

/// A message that is understood says what its JSON says, and its answer is JSON that gives the request's id back.
fn check_message(text: &str) {
    let understood = memory::bounded(text.len(), Limit::per_byte(64), || answered(text));
    let Some((kind, channels, action, answer)) = understood else { return };
    // `Value` refuses some numbers that may be passed on unread.
    let Ok(sent) = serde_json::from_str::<Value>(text) else { return };
    let answer: Value = serde_json::from_str(&answer).expect("an answer is JSON");
    assert_eq!(answer["request_id"], sent["request_id"], "{text}");
    let said = |name: &str| sent[name].as_str().unwrap_or_default().to_owned();
    assert_eq!((kind, action), (said("type"), said("action")), "{text}");
    let named = sent["channels"].as_array().map(Vec::as_slice).unwrap_or_default();
    assert!(named.iter().map(Value::as_str).eq(channels.iter().map(|name| Some(name.as_str()))), "{text}");
}

/// RFC 6455, section 5, by hand, with all bytes at hand: the messages, and whether a violation ends them.
fn naive(mut bytes: &[u8]) -> (Vec<Sent>, bool) {
    let (mut sent, mut fragments) = (Vec::new(), None::<(u8, Vec<u8>)>);
    while let [first, second, rest @ ..] = bytes {
        let (is_final, opcode, is_control) = (first & 0x80 != 0, first & 0x0f, first & 0x08 != 0);
        let is_possible = match opcode {
            0 => fragments.is_some(),
            1 | 2 => fragments.is_none(),
            8..=10 => is_final,
            _ => false,
        };
        if first & 0x70 != 0 || second & 0x80 == 0 || !is_possible {
            return (sent, true);
        }
        let (length, rest) = match second & 0x7f {
            126 => match rest.split_first_chunk() {
                Some((length, rest)) => (u64::from(u16::from_be_bytes(*length)), rest),
                None => return (sent, false),
            },
            127 => match rest.split_first_chunk() {
                Some((length, rest)) => (u64::from_be_bytes(*length), rest),
                None => return (sent, false),
            },
            length => (u64::from(length), rest),
        };
        let before = fragments.as_ref().map_or(0, |(_, bytes)| bytes.len() as u64);
        let most = if is_control { 125 } else { MOST_BYTES - before };
        if length > most {
            return (sent, true);
        }
        let Some((mask, rest)) = rest.split_first_chunk::<4>() else { return (sent, false) };
        let Some((payload, rest)) = rest.split_at_checked(length as usize) else { return (sent, false) };
        let payload: Vec<u8> = payload.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]).collect();
        bytes = rest;
        let message = match opcode {
            8 => match closing(&payload) {
                Some(reason) => Sent::Close(reason),
                None => return (sent, true),
            },
            9 => Sent::Ping(payload),
            10 => Sent::Pong,
            _ => {
                let (kind, mut whole) = fragments.take().unwrap_or((opcode, Vec::new()));
                whole.extend(payload);
                match (is_final, kind) {
                    (false, _) => {
                        fragments = Some((kind, whole));
                        continue;
                    }
                    (true, 2) => Sent::Binary,
                    (true, _) => match String::from_utf8(whole) {
                        Ok(text) => Sent::Text(text),
                        Err(_) => return (sent, true),
                    },
                }
            }
        };
        sent.push(message);
    }
    (sent, false)
}

/// Code and reason of a close frame; the outer `None` where they may not be sent.
fn closing(payload: &[u8]) -> Option<Option<(u16, String)>> {
    let [high, low, reason @ ..] = payload else { return payload.is_empty().then_some(None) };
    let code = u16::from_be_bytes([*high, *low]);
    let is_allowed = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
    let reason = String::from_utf8(reason.to_vec()).ok()?;
    is_allowed.then_some(Some((code, reason)))
}
