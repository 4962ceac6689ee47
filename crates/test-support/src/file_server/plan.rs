//! What the rules of a route want for one answer. Rules write it; `answer` and `body` carry it out.

use super::content::Content;
use super::gate::Gate;
use super::lies::{ContentRange, Validator};
use super::reply::Reply;
use std::time::Duration;

pub(super) struct Plan {
    /// Takes the place of the file.
    pub(super) reply: Option<Reply>,
    pub(super) content: Content,
    pub(super) ignores_range: bool,
    pub(super) unsatisfiable: bool,
    /// Page that a 416 carries.
    pub(super) refusal_page: bool,
    /// The answer starts so many bytes later than asked, and says so.
    pub(super) range_shift: i64,
    /// The body starts so many bytes later than the head says.
    pub(super) silent_shift: i64,
    pub(super) content_range: Option<ContentRange>,
    pub(super) multipart: bool,
    pub(super) gzip: bool,
    pub(super) framing: Framing,
    /// Added to the true body length in `Content-Length`.
    pub(super) length_error: i64,
    /// Bytes sent after the last true one.
    pub(super) extra_bytes: u64,
    pub(super) validator: Validator,
    pub(super) headers: Vec<(String, String)>,
    pub(super) left_out: Vec<String>,
    pub(super) delivery: Delivery,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    Length,
    Chunked,
    UntilClose,
}

/// How the bytes go out.
#[derive(Default)]
pub(super) struct Delivery {
    pub(super) delay: Duration,
    pub(super) stall_before_head: bool,
    /// After so many body bytes of this answer, this happens.
    pub(super) ending: Option<(u64, Ending)>,
    pub(super) trickle: Option<(u64, Duration)>,
    /// Bytes a second.
    pub(super) rate: Option<u64>,
    pub(super) gates: Vec<Gate>,
    /// File offsets whose byte is sent inverted.
    pub(super) corrupted: Vec<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// The connection is closed in good order.
    Cut,
    /// The connection is reset.
    Reset,
    /// Never another byte, the connection stays.
    Stall,
}

impl Plan {
    pub(super) fn honest(content: Content) -> Plan {
        Plan {
            reply: None,
            content,
            ignores_range: false,
            unsatisfiable: false,
            refusal_page: false,
            range_shift: 0,
            silent_shift: 0,
            content_range: None,
            multipart: false,
            gzip: false,
            framing: Framing::Length,
            length_error: 0,
            extra_bytes: 0,
            validator: Validator::Strong,
            headers: Vec::new(),
            left_out: Vec::new(),
            delivery: Delivery::default(),
        }
    }
}
