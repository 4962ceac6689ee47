//! Asking for a part on the condition that the file is still the one that is here. A refused condition is not a change: the
//! answer's validators are compared in any case, so a host may be asked without one.

use std::sync::atomic::Ordering::Relaxed;

use crate::content_identity::Identity;
use crate::http::classify::OpenError;
use crate::http::response::Body;
use crate::http::source::{Opened, Source, Wanted, Web};

/// An answer, and whether it was asked for on a condition.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) opened: Opened,
    pub(crate) conditional: bool,
}

impl Asked {
    /// The whole came where a part was asked for, as if the file were another one by now.
    pub(crate) fn is_refused(&self) -> bool {
        self.conditional && matches!(self.opened.body, Body::Whole(_))
    }
}

/// Asks a source for the bytes from `start` on, as a part of what `identity` says is here. A host that gives the whole of that
/// very file for it takes no conditions and is asked without from then on. A strong ETag shows at once that nothing has changed;
/// a date may be that of two versions within a second.
pub(crate) async fn ask(
    web: &Web,
    source: &Source,
    identity: Option<&Identity>,
    start: u64,
    end: Option<u64>,
) -> Result<Asked, OpenError> {
    let takes_conditions = end.is_some() && !source.refuses_conditions.load(Relaxed);
    let if_range = identity.and_then(Identity::if_range).filter(|_| takes_conditions);
    let opened = web.open(source, Wanted { start, end, if_range }).await?;
    let asked = Asked { opened, conditional: if_range.is_some() };
    let Some(identity) = identity.filter(|_| asked.is_refused()) else { return Ok(asked) };
    let same = identity.is_named_by(&asked.opened.facts);
    source.refuses_conditions.fetch_or(same, Relaxed);
    if !same || !identity.has_strong_etag() {
        return Ok(asked);
    }
    let opened = web.open(source, Wanted { start, end, if_range: None }).await?;
    Ok(Asked { opened, conditional: false })
}
