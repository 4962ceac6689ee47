//! From a request and a plan to the head of an answer and the stretch of bytes that follows it.

use super::content::Content;
use super::lies::{ContentRange, Validator};
use super::plan::{Framing, Plan};
use super::reply::Reply;
use super::request::Request;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;

/// When every file of this server was last changed, unless a rule says otherwise.
const LAST_MODIFIED: &str = "Wed, 21 Oct 2015 07:28:00 GMT";

pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Content,
    /// First byte of `body` that is sent, and how many of them.
    pub(super) first: u64,
    pub(super) length: u64,
    pub(super) extra: u64,
    pub(super) framing: Framing,
    /// The body and the head do not agree about its length, or the head promises the end of the connection.
    pub(super) closes: bool,
}

impl Answer {
    /// The answer that `plan` wants for `request`.
    pub(super) fn make(request: &Request, plan: &Plan) -> Answer {
        let mut answer = match &plan.reply {
            Some(reply) => Answer::from_reply(reply),
            None if plan.gzip => Answer::compressed(plan),
            None => Answer::from_file(request, plan),
        };
        if plan.reply.is_none() {
            answer.describe(request, plan);
            answer.extra = plan.extra_bytes;
        }
        answer.framing = plan.framing;
        match plan.framing {
            Framing::Length => {
                let said = (answer.length + answer.extra).saturating_add_signed(plan.length_error);
                answer.header("Content-Length", said.to_string());
            }
            Framing::Chunked => answer.header("Transfer-Encoding", "chunked".to_owned()),
            Framing::UntilClose => answer.header("Connection", "close".to_owned()),
        }
        answer.headers.retain(|(name, _)| !plan.left_out.iter().any(|left| left.eq_ignore_ascii_case(name)));
        answer.headers.extend(plan.headers.iter().cloned());
        answer.closes = plan.length_error != 0
            || plan.framing == Framing::UntilClose
            || answer
                .headers
                .iter()
                .any(|(name, value)| name.eq_ignore_ascii_case("connection") && value.eq_ignore_ascii_case("close"));
        answer
    }

    fn new(status: u16, body: Content, first: u64, length: u64) -> Answer {
        let framing = Framing::Length;
        Answer { status, headers: Vec::new(), body, first, length, extra: 0, framing, closes: false }
    }

    fn from_reply(reply: &Reply) -> Answer {
        let mut answer = Answer::new(reply.status, reply.body.clone(), 0, reply.body.size());
        answer.headers.clone_from(&reply.headers);
        answer
    }

    fn compressed(plan: &Plan) -> Answer {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&plan.content.to_vec()).expect("a vector takes every byte");
        let body = Content::bytes(encoder.finish().expect("a vector takes every byte"));
        let length = body.size();
        let mut answer = Answer::new(200, body, 0, length);
        answer.header("Content-Encoding", "gzip".to_owned());
        answer
    }

    fn from_file(request: &Request, plan: &Plan) -> Answer {
        let size = plan.content.size();
        let whole = || Answer::new(200, plan.content.clone(), 0, size);
        if plan.unsatisfiable {
            return Answer::refused(plan);
        }
        let asked = match asked_range(request, size) {
            Some(asked) if !plan.ignores_range && if_range_holds(request, plan) => asked,
            _ => return whole(),
        };
        let Some((first, last)) = asked else {
            return Answer::refused(plan);
        };
        let first = first.saturating_add_signed(plan.range_shift).min(last);
        if plan.multipart {
            return Answer::multipart(plan, first, last);
        }
        let sent_from = first.saturating_add_signed(plan.silent_shift).min(last);
        let length = (last - first + 1).min(size - sent_from);
        let mut answer = Answer::new(206, plan.content.clone(), sent_from, length);
        for value in content_ranges(plan.content_range.as_ref(), first, last, size) {
            answer.header("Content-Range", value);
        }
        answer
    }

    fn refused(plan: &Plan) -> Answer {
        let page = "<!DOCTYPE html>\n<html><body><h1>416 Requested Range Not Satisfiable</h1></body></html>\n";
        let body = Content::bytes(if plan.refusal_page { page } else { "" });
        let length = body.size();
        let mut answer = Answer::new(416, body, 0, length);
        answer.header("Content-Range", format!("bytes */{}", plan.content.size()));
        if plan.refusal_page {
            answer.header("Content-Type", "text/html".to_owned());
        }
        answer
    }

    fn multipart(plan: &Plan, first: u64, last: u64) -> Answer {
        const BOUNDARY: &str = "part-of-the-file";
        let size = plan.content.size();
        let mut body = format!(
            "--{BOUNDARY}\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes {first}-{last}/{size}\r\n\r\n"
        )
        .into_bytes();
        body.extend(plan.content.slice(first, last - first + 1));
        body.extend(format!("\r\n--{BOUNDARY}--\r\n").bytes());
        let length = body.len() as u64;
        let mut answer = Answer::new(206, Content::bytes(body), 0, length);
        answer.header("Content-Type", format!("multipart/byteranges; boundary={BOUNDARY}"));
        answer
    }

    /// The headers that say what the file is.
    fn describe(&mut self, request: &Request, plan: &Plan) {
        if !self.headers.iter().any(|(name, _)| name == "Content-Type") {
            self.header("Content-Type", "application/octet-stream".to_owned());
        }
        self.header("Accept-Ranges", "bytes".to_owned());
        let tag = plan.content.etag();
        match &plan.validator {
            Validator::Strong => self.header("ETag", tag),
            Validator::Weak => self.header("ETag", format!("W/{tag}")),
            Validator::Tag(tag) => self.header("ETag", tag.clone()),
            Validator::TagPerRequest => self.header("ETag", format!("\"answer-{}\"", request.number)),
            Validator::LastModified(_) | Validator::Nothing => {}
        }
        match &plan.validator {
            Validator::Strong | Validator::Weak => self.header("Last-Modified", LAST_MODIFIED.to_owned()),
            Validator::LastModified(date) => self.header("Last-Modified", date.clone()),
            Validator::Tag(_) | Validator::TagPerRequest | Validator::Nothing => {}
        }
    }

    fn header(&mut self, name: &str, value: String) {
        self.headers.push((name.to_owned(), value));
    }

    /// Status line and headers as they go over the wire.
    pub(super) fn head(&self) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        head.into_bytes()
    }
}

/// `None`: no range that this server understands, so the whole file. `Some(None)`: a range outside the file.
fn asked_range(request: &Request, size: u64) -> Option<Option<(u64, u64)>> {
    let value = request.header("range")?.strip_prefix("bytes=")?;
    if let Some(suffix) = value.strip_prefix('-') {
        let length: u64 = suffix.parse().ok()?;
        let inside = length > 0 && size > 0;
        return Some(inside.then(|| (size.saturating_sub(length), size - 1)));
    }
    let (first, last) = request.range()?;
    let last = last.unwrap_or(u64::MAX);
    if last < first {
        return None;
    }
    Some((first < size).then(|| (first, last.min(size - 1))))
}

/// A weak tag never matches, as RFC 9110 13.1.5 wants it.
fn if_range_holds(request: &Request, plan: &Plan) -> bool {
    let Some(condition) = request.header("if-range") else {
        return true;
    };
    match &plan.validator {
        Validator::Strong => condition == plan.content.etag() || condition == LAST_MODIFIED,
        Validator::Tag(tag) => condition == tag && !tag.starts_with("W/"),
        Validator::LastModified(date) => condition == date,
        Validator::Weak => condition == LAST_MODIFIED,
        Validator::TagPerRequest | Validator::Nothing => false,
    }
}

fn content_ranges(said: Option<&ContentRange>, first: u64, last: u64, total: u64) -> Vec<String> {
    let one = |first: u64, last: u64, total: u64| vec![format!("bytes {first}-{last}/{total}")];
    match said {
        None => one(first, last, total),
        Some(ContentRange::Early(by)) => one(first.saturating_sub(*by), last, total),
        Some(ContentRange::Late(by)) => one(first + by, last, total),
        Some(ContentRange::WrongEnd(by)) => one(first, last.saturating_add_signed(*by), total),
        Some(ContentRange::WrongTotal(by)) => one(first, last, total.saturating_add_signed(*by)),
        Some(ContentRange::UnknownTotal) => vec![format!("bytes {first}-{last}/*")],
        Some(ContentRange::Missing) => Vec::new(),
        Some(ContentRange::Doubled) => [one(first, last, total), one(0, last, total)].concat(),
        Some(ContentRange::Negative) => vec![format!("bytes -{first}-{last}/{total}")],
        Some(ContentRange::Text(text)) => vec![text.clone()],
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        206 => "Partial Content",
        302 => "Found",
        307 => "Temporary Redirect",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        416 => "Range Not Satisfiable",
        429 => "Too Many Requests",
        503 => "Service Unavailable",
        _ => "As Ordered",
    }
}
