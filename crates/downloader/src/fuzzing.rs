//! The readers of this crate that the fuzz targets (`crates/fuzz-targets`) call. No interface for anybody else: it changes with
//! them.

use reqwest::StatusCode;
use reqwest::header::{CONTENT_RANGE, HeaderMap, HeaderName, HeaderValue};

use crate::Sha256Digest;
use crate::content_identity::Identity;
use crate::geometry::Block;
use crate::http::response::{self, Body};
use crate::storage::journal::{self, Reading, Record};

pub use crate::geometry::LARGEST_FILE;

/// `response::Body`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Part { start: u64, end: u64, total: Option<u64> },
    Whole(Option<u64>),
}

/// Start, end and total of a `Content-Range`.
#[must_use]
pub fn content_range(value: &[u8]) -> Option<(u64, u64, Option<u64>)> {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_RANGE, HeaderValue::from_bytes(value).ok()?);
    let range = response::content_range(&headers).ok()?;
    Some((range.start, range.end, range.total))
}

/// `response::judge`; headers that HTTP does not allow are left out.
#[must_use]
pub fn judge_answer(status: u16, headers: &[(&str, &[u8])], start: u64, end: Option<u64>) -> Option<Answer> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value)) {
            map.append(name, value);
        }
    }
    Some(match response::judge(StatusCode::from_u16(status).ok()?, &map, start, end).ok()? {
        Body::Part(range) => Answer::Part { start: range.start, end: range.end, total: range.total },
        Body::Whole(length) => Answer::Whole(length),
    })
}

/// `journal::Record`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JournalRecord {
    Identity { total: Option<u64>, sha256: Option<[u8; 32]>, etag: Option<String> },
    Block { index: u32, have: u32, crc: u32 },
    Invalid(u32),
    HashState(u64, Vec<u8>),
    Finished([u8; 32]),
    Named([u8; 32]),
}

/// Total, SHA-256 and ETag of an identity.
pub type IdentityParts = (Option<u64>, Option<[u8; 32]>, Option<String>);

/// `journal::Journal`; a block is its index, length and CRC-32.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JournalContents {
    pub identity: IdentityParts,
    pub blocks: Vec<(u32, u32, u32)>,
    pub hash_state: Option<(u64, Vec<u8>)>,
    pub finished: Option<[u8; 32]>,
}

/// The journal that has these records.
#[must_use]
pub fn journal_of(records: &[JournalRecord]) -> Vec<u8> {
    let mut bytes = journal::head();
    for record in records {
        let record = match record.clone() {
            JournalRecord::Identity { total, sha256, etag } => {
                let sha256 = sha256.map(Sha256Digest);
                Record::Identity(Identity { total, sha256, etag, ..Identity::default() })
            }
            JournalRecord::Block { index, have, crc } => Record::Block(index, Block { have, crc }),
            JournalRecord::Invalid(index) => Record::Invalid(index),
            JournalRecord::HashState(position, state) => Record::HashState(position, state),
            JournalRecord::Finished(digest) => Record::Finished(Sha256Digest(digest)),
            JournalRecord::Named(digest) => Record::Named(Sha256Digest(digest)),
        };
        record.write_to(&mut bytes);
    }
    bytes
}

/// What a journal says of one content, if it names one, and how many of its bytes can be trusted.
#[must_use]
pub fn read_journal(bytes: &[u8]) -> (Option<JournalContents>, u64) {
    let Reading { journal, good_bytes } = Reading::of_bytes(bytes);
    let contents = journal.map(|journal| JournalContents {
        identity: (journal.identity.total, journal.identity.sha256.map(|digest| digest.0), journal.identity.etag),
        blocks: journal.blocks.into_iter().map(|(index, block)| (index, block.have, block.crc)).collect(),
        hash_state: journal.hash_state,
        finished: journal.finished.map(|digest| digest.0),
    });
    (contents, good_bytes)
}
