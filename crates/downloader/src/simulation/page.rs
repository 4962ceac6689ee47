//! What a server of the simulation holds under one URL, and how it describes it.

use bytes::Bytes;
use http::response::Builder;
use reqwest::header::{ETAG, LAST_MODIFIED};

use super::chance::Chance;
use crate::Sha256Digest;

/// One version of one file.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    pub(crate) content: Bytes,
    pub(crate) validator: Validator,
    pub(crate) gives_ranges: bool,
    pub(crate) states_length: bool,
    /// Redirects to a link that may expire.
    pub(crate) signs_links: bool,
    /// Its redirect names the SHA-256, as huggingface.co does.
    pub(crate) names_hash: Option<Sha256Digest>,
    /// Somebody can tell if a byte is wrong.
    pub(crate) hash_is_known: bool,
}

/// What the answer says of the version, which is counted from 0.
#[derive(Debug, Clone)]
pub(crate) enum Validator {
    Strong(usize),
    Weak(usize),
    Date(usize),
    /// Another one each time.
    Random,
    None,
}

impl Page {
    /// What `ETag` or `Last-Modified` say this time.
    pub(crate) fn tag(&self, chance: &Chance) -> Option<String> {
        match &self.validator {
            Validator::Strong(version) => Some(format!("\"v{version}\"")),
            Validator::Weak(version) => Some(format!("W/\"v{version}\"")),
            Validator::Date(version) => Some(format!("Sat, {:02} Nov 2026 10:00:00 GMT", version + 1)),
            Validator::Random => Some(format!("\"{}\"", chance.number(0..u64::MAX))),
            Validator::None => None,
        }
    }

    pub(crate) fn described(&self, answer: Builder, tag: Option<&str>) -> Builder {
        let name = if matches!(self.validator, Validator::Date(_)) { LAST_MODIFIED } else { ETAG };
        match tag {
            Some(tag) => answer.header(name, tag),
            None => answer,
        }
    }

    /// The head of a redirect.
    pub(crate) fn linked(&self, answer: Builder) -> Builder {
        match self.names_hash {
            Some(digest) => {
                answer.header("x-linked-etag", format!("\"{digest}\"")).header("x-linked-size", self.content.len())
            }
            None => answer,
        }
    }
}

impl Validator {
    /// The same kind for another version, where it tells versions apart.
    pub(crate) fn of_version(&self, version: usize) -> Option<Self> {
        match self {
            Self::Strong(_) => Some(Self::Strong(version)),
            Self::Weak(_) => Some(Self::Weak(version)),
            Self::Date(_) => Some(Self::Date(version)),
            Self::Random | Self::None => None,
        }
    }
}
