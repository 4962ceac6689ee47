//! What an HTTP answer to a request for a range means. Pure: headers in, verdict out. A 206 proves nothing by itself:
//! start, end and total are compared with what was asked, every time.

use reqwest::StatusCode;
use reqwest::header::{
    AsHeaderName, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, HeaderMap,
    LAST_MODIFIED,
};

use crate::geometry::LARGEST_FILE;
use crate::hosts::AN_HTML_PAGE;
use crate::{Facts, Sha256Digest};

/// The part of a file that an answer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ContentRange {
    pub(crate) start: u64,
    /// The first byte after it.
    pub(crate) end: u64,
    pub(crate) total: Option<u64>,
}

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// The part that was asked for.
    Part(ContentRange),
    /// The whole file from its beginning; the length if stated.
    Whole(Option<u64>),
}

impl Body {
    /// The first byte of the file that is not in it, as far as the answer says.
    pub(crate) fn end(&self) -> Option<u64> {
        match self {
            Self::Part(range) => Some(range.end),
            Self::Whole(length) => *length,
        }
    }
}

/// Reads `Content-Range: bytes 0-9/10`.
pub(crate) fn content_range(headers: &HeaderMap) -> Result<ContentRange, String> {
    let mut values = headers.get_all(CONTENT_RANGE).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err("it has no Content-Range, or more than one".into());
    };
    let value = value.to_str().map_err(|_| "its Content-Range is not text".to_owned())?;
    parse_content_range(value).ok_or_else(|| format!("its Content-Range is {}", quoted(value)))
}

fn parse_content_range(value: &str) -> Option<ContentRange> {
    let (unit, rest) = value.trim().split_once(' ')?;
    let (range, total) = rest.trim().split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let number = |text: &str| {
        let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| text.parse::<u64>().ok()).flatten()
    };
    let (start, last) = (number(first)?, number(last)?);
    let total = if total == "*" { None } else { Some(number(total)?) };
    let sane = unit.eq_ignore_ascii_case("bytes")
        && start <= last
        && last < u64::MAX
        && total.is_none_or(|total| last < total);
    sane.then(|| ContentRange { start, end: last + 1, total })
}

/// The total in the `Content-Range: bytes */10` of a 416.
pub(crate) fn unsatisfied_total(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_RANGE)?.to_str().ok()?.trim().strip_prefix("bytes */")?.parse().ok()
}

/// How a body is encoded that was asked for as it is.
pub(crate) fn unasked_encoding(headers: &HeaderMap) -> Option<&str> {
    text(headers, CONTENT_ENCODING).filter(|encoding| !encoding.eq_ignore_ascii_case("identity"))
}

/// Judges a successful answer to a request for `start..end` (`end` may lie past the end of the file), or for the whole.
pub(crate) fn judge(status: StatusCode, headers: &HeaderMap, start: u64, end: Option<u64>) -> Result<Body, String> {
    if let Some(encoding) = unasked_encoding(headers) {
        return Err(format!("it is encoded as {} although it was asked for as it is", quoted(encoding)));
    }
    let length = content_length(headers)?;
    if status != StatusCode::PARTIAL_CONTENT {
        return believable(length).map(Body::Whole);
    }
    let Some(end) = end else { return Err("it holds a part where the whole was asked for".into()) };
    if text(headers, CONTENT_TYPE).is_some_and(|kind| kind.to_ascii_lowercase().starts_with("multipart/byteranges")) {
        return Err("it holds several parts where one was asked for".into());
    }
    let range = content_range(headers)?;
    believable(range.total)?;
    let expected_end = range.total.map_or(end, |total| end.min(total));
    if range.start != start || range.end > expected_end {
        return Err(format!(
            "it holds bytes {}-{} where {start}-{} were asked for",
            range.start,
            range.end - 1,
            end - 1
        ));
    }
    if length.is_some_and(|length| length != range.end - range.start) {
        return Err("its Content-Length and Content-Range differ".into());
    }
    Ok(Body::Part(range))
}

/// A size that a file can have.
fn believable(size: Option<u64>) -> Result<Option<u64>, String> {
    match size {
        Some(size) if size > LARGEST_FILE => Err(format!("it says that the file has {size} bytes")),
        size => Ok(size),
    }
}

/// A header's value in an error: somebody else's text, which may be long.
fn quoted(value: &str) -> String {
    format!("{:?}", value.chars().take(80).collect::<String>())
}

fn content_length(headers: &HeaderMap) -> Result<Option<u64>, String> {
    match text(headers, CONTENT_LENGTH) {
        None => Ok(None),
        Some(value) => value.parse().map(Some).map_err(|_| format!("its Content-Length is {}", quoted(value))),
    }
}

pub(crate) fn text(headers: &HeaderMap, name: impl AsHeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// What Hugging Face says about a file on its first answer, before the redirect to where the bytes are.
pub(crate) fn hugging_face_facts(headers: &HeaderMap, facts: &mut Facts) {
    let linked = text(headers, "x-linked-etag").map(|etag| etag.trim_start_matches("W/").trim_matches('"'));
    facts.sha256 = facts.sha256.or_else(|| linked.and_then(|etag| Sha256Digest::parse(etag).ok()));
    let size = || text(headers, "x-linked-size")?.parse().ok().filter(|size| *size <= LARGEST_FILE);
    facts.size = facts.size.or_else(size);
    facts.commit = facts.commit.take().or_else(|| text(headers, "x-repo-commit").map(str::to_owned));
}

/// What the final answer says about the file.
pub(crate) fn final_facts(headers: &HeaderMap, body: &Body, facts: &mut Facts) {
    let stated = match body {
        Body::Part(range) => range.total,
        Body::Whole(length) => *length,
    };
    facts.size = stated.or(facts.size);
    facts.ranges = matches!(body, Body::Part(_));
    facts.etag = text(headers, ETAG).map(str::to_owned);
    facts.last_modified = text(headers, LAST_MODIFIED).map(str::to_owned);
    if let Some(name) = text(headers, CONTENT_DISPOSITION).and_then(crate::file_name::from_content_disposition) {
        facts.file_name = Some(name);
    }
}

/// What a body is, when it is certainly no weight file. `name` is that of the destination: a page or a JSON file may be
/// asked for as such.
pub(crate) fn not_a_file(name: &str, content_type: Option<&str>, first_bytes: &[u8]) -> Option<&'static str> {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension).to_ascii_lowercase();
    if TEXT_EXTENSIONS.contains(&extension.as_str()) {
        return None;
    }
    let kind = content_type.unwrap_or_default().trim().to_ascii_lowercase();
    let start = first_bytes.trim_ascii_start();
    let begins = |with: &str| start.get(..with.len()).is_some_and(|head| head.eq_ignore_ascii_case(with.as_bytes()));
    if kind.starts_with("text/html") || begins("<!doctype html") || begins("<html") {
        Some(AN_HTML_PAGE)
    } else if begins("version https://git-lfs.github.com/spec/") {
        Some("a Git LFS pointer")
    } else if kind.starts_with("application/json") && matches!(start.first(), None | Some(b'{' | b'[' | b'"')) {
        Some("a JSON message")
    } else if kind.starts_with("application/xml") || begins("<?xml") {
        Some("an XML message")
    } else {
        None
    }
}

const TEXT_EXTENSIONS: [&str; 12] =
    ["html", "htm", "xhtml", "json", "jsonl", "xml", "svg", "txt", "md", "yaml", "yml", "csv"];

#[cfg(test)]
#[path = "response_tests.rs"]
mod tests;
