//! The plainest HTTP client: sends text, reads bytes.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// An answer as far as it came.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    pub(crate) ended: Ended,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    Closed,
    Reset,
    Silent,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// Long enough for a machine that compiles beside the test.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Nothing for so long, where nothing is to come, is silence.
const SILENCE: Duration = Duration::from_millis(300);

/// Sends a GET with these further header lines on a connection of its own and reads to its end.
pub(crate) fn get(server: SocketAddr, target: &str, headers: &[&str]) -> Answer {
    ask(server, "GET", target, headers)
}

/// The same with any method.
pub(crate) fn ask(server: SocketAddr, method: &str, target: &str, headers: &[&str]) -> Answer {
    let mut stream = send(server, method, target, headers);
    let mut bytes = Vec::new();
    let ended = read_to_end(&mut stream, &mut bytes, TIMEOUT);
    answer(bytes, ended)
}

/// Sends a GET and waits patiently for the head and so many bytes of the body (for nothing, if `None`), then for a silence.
pub(crate) fn get_silent(server: SocketAddr, target: &str, body: Option<usize>) -> Answer {
    let mut stream = send(server, "GET", target, &[]);
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    let mut bytes = Vec::new();
    while body.is_some_and(|body| end_of_head(&bytes).is_none_or(|head| bytes.len() < head + body)) {
        let mut piece = [0; 4096];
        let count = stream.read(&mut piece).unwrap();
        assert!(count > 0, "it ended after {} bytes", bytes.len());
        bytes.extend(&piece[..count]);
    }
    let ended = read_to_end(&mut stream, &mut bytes, SILENCE);
    answer(bytes, ended)
}

fn send(server: SocketAddr, method: &str, target: &str, headers: &[&str]) -> TcpStream {
    let mut stream = TcpStream::connect(server).unwrap();
    let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    write!(stream, "{method} {target} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n{lines}\r\n").unwrap();
    stream
}

fn read_to_end(stream: &mut TcpStream, bytes: &mut Vec<u8>, silence: Duration) -> Ended {
    stream.set_read_timeout(Some(silence)).unwrap();
    match stream.read_to_end(bytes) {
        Ok(_) => Ended::Closed,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => Ended::Reset,
        Err(_) => Ended::Silent,
    }
}

fn end_of_head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

fn answer(bytes: Vec<u8>, ended: Ended) -> Answer {
    let end = end_of_head(&bytes).unwrap_or(bytes.len());
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let status = head.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0);
    Answer { status, body: bytes[end..].to_vec(), head, ended }
}
