//! One request as it came over the socket, and what became of its answer.

/// A request with its answer so far. Tests read these; rules match on them.
#[derive(Clone, Debug)]
pub struct Request {
    /// Counts all requests of the server, from 0.
    pub number: usize,
    /// Counts the connections of the server, from 0: two requests with the same value shared a socket.
    pub connection: usize,
    /// `GET`, `HEAD`, ...
    pub method: String,
    /// Path and query, as sent.
    pub target: String,
    /// Names in lower case, values as sent, in the order sent.
    pub headers: Vec<(String, String)>,
    /// Status of the answer; `None` before its head is written.
    pub status: Option<u16>,
    /// Body bytes handed to the socket so far, chunk framing not counted.
    pub body_bytes_sent: u64,
    /// How it stands with the answer.
    pub outcome: Outcome,
}

/// How it stands with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Still being made, written or held.
    Open,
    /// Written to its end.
    Complete,
    /// Ended early by a rule.
    BrokenOff,
    /// The client closed the connection first.
    ClientLeft,
}

impl Request {
    /// Reads the head of a request, up to but without the empty line. `None` if it is not HTTP/1.
    pub(super) fn parse(head: &[u8], number: usize, connection: usize) -> Option<Request> {
        let text = std::str::from_utf8(head).ok()?;
        let mut lines = text.split("\r\n");
        let mut first = lines.next()?.split(' ');
        let (method, target, version) = (first.next()?, first.next()?, first.next()?);
        if !version.starts_with("HTTP/1.") {
            return None;
        }
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.trim().to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        Some(Request {
            number,
            connection,
            method: method.to_owned(),
            target: target.to_owned(),
            headers,
            status: None,
            body_bytes_sent: 0,
            outcome: Outcome::Open,
        })
    }

    /// The target without its query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The value of a query parameter, as sent.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<&str> {
        let (_, query) = self.target.split_once('?')?;
        query.split('&').filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// The first header of that name, in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// First and last byte of a `Range: bytes=first-last` or `bytes=first-`. `None` for no range and any other form.
    #[must_use]
    pub fn range(&self) -> Option<(u64, Option<u64>)> {
        let (first, last) = self.header("range")?.strip_prefix("bytes=")?.split_once('-')?;
        let first = first.parse().ok()?;
        if last.is_empty() {
            return Some((first, None));
        }
        Some((first, Some(last.parse().ok()?)))
    }

    /// The token of an `Authorization: Bearer` header.
    #[must_use]
    pub fn bearer(&self) -> Option<&str> {
        self.header("authorization")?.strip_prefix("Bearer ")
    }

    /// Whether any byte of the request holds `text`: how a test proves that a secret went no further.
    #[must_use]
    pub fn mentions(&self, text: &str) -> bool {
        self.target.contains(text)
            || self.headers.iter().any(|(name, value)| name.contains(text) || value.contains(text))
    }

    pub(super) fn wants_close(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}
