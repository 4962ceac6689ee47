//! What is on the disk when a file begins: the whole file, a finished or half `.part`, or nothing to be trusted. Every
//! state that a kill can leave behind is understood here. Blocks.

use tokio_util::sync::CancellationToken;

use crate::content_identity::{Identity, SourceKey};
use crate::geometry::{Block, LARGEST_FILE};
use crate::halt::Halt;
use crate::storage::fs::Standing;
use crate::storage::journal::Journal;
use crate::storage::part::{Discard, Holding, Part, of_io};
use crate::storage::verify::{Content, content_of};
use crate::transfer::local_copy::Copier;
use crate::transfer::repair;
use crate::transfer::segments::BlockMap;
use crate::{Arrival, Existing, FileJob, FileOutcome, RestartReason, TransferError};

/// What there is to begin with.
#[derive(Debug)]
pub(crate) enum Beginning {
    /// All bytes are here, and their hash is known and right.
    Whole(Content),
    /// Some are, as far as the journal is to be trusted.
    Resume { map: BlockMap, resume: Box<Resume> },
    /// None are; the reason, if bytes were thrown away.
    Fresh { reason: Option<RestartReason> },
}

/// What an earlier run knew.
#[derive(Debug)]
pub(crate) struct Resume {
    pub(crate) identity: Identity,
    /// To be compared with their checksums while the rest arrives.
    pub(crate) blocks: Vec<(usize, Block)>,
    pub(crate) hash_state: Option<(u64, Vec<u8>)>,
}

/// Looks at what is here of a file. It is the disk that is asked, not memory, and before anything is written: a sync of an
/// earlier process may have failed, which a small file has no journal to tell, and somebody may have taken that of a large one
/// away.
pub(crate) fn begin(part: &Part, holding: Holding, file: &FileJob, copier: &Copier) -> Result<Beginning, Halt> {
    let size = part.size().map_err(|error| part.error("reading the partial file of", error))?;
    let journal = match holding {
        Holding::Empty | Holding::Renamed(_) => return empty(part, file, copier, None),
        Holding::Resumable(journal) => Some(journal),
        Holding::Unjournalled => None,
    };
    if part.look_past_memory().is_err() {
        return fresh(part, RestartReason::SyncFailed { blocks: size.div_ceil(part.block_size()) });
    }
    if let Some(journal) = journal.and_then(|journal| usable(journal, file)) {
        return Ok(resume(part, size, journal));
    }
    match finished_part(part, file, size, &copier.stop)? {
        Some(content) => Ok(Beginning::Whole(content)),
        None => empty(part, file, copier, Some(RestartReason::JournalUnreadable)),
    }
}

/// Nothing that is here can be used: a repair begins with the damaged file, anything else with nothing.
fn empty(part: &Part, file: &FileJob, copier: &Copier, reason: Option<RestartReason>) -> Result<Beginning, Halt> {
    part.discard(reason.map_or(Discard::Unused, Discard::StartOver))?;
    if !repair::seed(part, file, copier)? {
        return Ok(Beginning::Fresh { reason });
    }
    match part.look().map_err(|error| part.error("reading the partial file of", error))? {
        Holding::Resumable(journal) => {
            Ok(resume(part, part.size().map_err(|error| part.error("salvaging", error))?, journal))
        }
        _ => Ok(Beginning::Fresh { reason }),
    }
}

/// The journal, as far as it belongs to the content that is asked for.
fn usable(journal: Journal, file: &FileJob) -> Option<Journal> {
    let identity = &journal.identity;
    let total = identity.total.filter(|total| *total <= LARGEST_FILE)?;
    let same_size = file.size.is_none_or(|size| size == total);
    let same_hash = match (file.sha256, identity.sha256) {
        (Some(asked), Some(known)) => asked == known,
        _ => true,
    };
    if !same_size || !same_hash {
        return None;
    }
    let is_proven = file.sha256.is_some() && identity.is_proven_by_hash();
    if is_proven || file.sources.iter().any(|source| SourceKey::of(source) == identity.source) {
        return Some(journal);
    }
    // A link that was signed anew: the server has to show that it still gives the same. A hash that it named for the other
    // link says nothing of this one.
    let signed_anew = file.sources.iter().any(|source| SourceKey::of(source).differs_in_query(&identity.source));
    (signed_anew && identity.has_strong_etag()).then(|| {
        let identity = Identity { sha256: None, ..journal.identity };
        Journal { identity, finished: None, ..journal }
    })
}

fn resume(part: &Part, size: u64, journal: Journal) -> Beginning {
    let mut map = BlockMap::new(journal.identity.total, part.block_size());
    let mut blocks = Vec::new();
    for (index, block) in journal.blocks {
        let index = index as usize;
        // What the file does not reach is not there, whatever the journal says.
        if index as u64 * part.block_size() + u64::from(block.have) <= size {
            map.set(index, block);
            blocks.push((index, block));
        }
    }
    let prefix = map.contiguous_end();
    let hash_state = journal.hash_state.filter(|(position, _)| *position <= prefix);
    Beginning::Resume { map, resume: Box::new(Resume { identity: journal.identity, blocks, hash_state }) }
}

/// A `.part` of just the right size whose hash is known may have been finished when the kill came. Nothing where it was not.
fn finished_part(part: &Part, file: &FileJob, size: u64, stop: &CancellationToken) -> Result<Option<Content>, Halt> {
    let Some(expected) = file.sha256.filter(|_| file.size.is_none_or(|asked| asked == size)) else { return Ok(None) };
    let content = part.content(stop);
    let content = content.map_err(|unread| unread.halt(|error| part.error("reading the partial file of", error)))?;
    Ok((content.sha256 == expected).then_some(content))
}

fn fresh(part: &Part, reason: RestartReason) -> Result<Beginning, Halt> {
    part.discard(Discard::StartOver(reason))?;
    Ok(Beginning::Fresh { reason: Some(reason) })
}

/// Looks at the final name: a file that is the one asked for ends the transfer, another one may forbid it. What has arrived
/// stays beside it.
pub(crate) fn look_at_destination(
    part: &Part,
    holding: &Holding,
    file: &FileJob,
    stop: &CancellationToken,
) -> Result<Option<FileOutcome>, Halt> {
    let path = part.destination().to_string();
    let failed = |error| of_io("looking at", part.destination(), error);
    let size = match part.at_destination().map_err(failed)? {
        Standing::Nothing => return Ok(None),
        Standing::Other => return Err(TransferError::NotARegularFile { path }.into()),
        Standing::File { size, .. } => size,
    };
    let journal = holding.journal().cloned().and_then(|journal| usable(journal, file));
    let expected = file.sha256.or(journal.and_then(|journal| journal.finished));
    let fits_size = file.size.is_none_or(|asked| asked == size);
    let worth_reading = match file.existing {
        // A file of ours is renamed after its journal says so: beside bytes that still arrive it is somebody else's.
        Existing::Share if expected.is_none() => !matches!(holding, Holding::Resumable(_)),
        Existing::Share => fits_size,
        Existing::Keep => fits_size && (expected.is_some() || file.size.is_some()),
        Existing::Replace => fits_size && expected.is_some(),
    };
    if worth_reading {
        let opened = part.open_destination().map_err(failed)?;
        let content = content_of(opened.as_ref(), part.block_size(), stop).map_err(|unread| unread.halt(failed))?;
        if expected.is_none_or(|expected| expected == content.sha256) {
            // Whoever put it there may not have synced it. A kill may have come between the rename and its sync: the second
            // line syncs the folder.
            opened.sync().map_err(failed)?;
            part.discard(Discard::Superseded)?;
            return Ok(Some(outcome_of(content, file, Arrival::AlreadyWhole)));
        }
    }
    if matches!(holding, Holding::Renamed(_)) {
        // It was renamed, and is not there any more.
        part.discard(Discard::Unused)?;
    }
    match file.existing {
        Existing::Replace => Ok(None),
        Existing::Keep | Existing::Share => Err(TransferError::DestinationExists { path, size }.into()),
    }
}

/// The outcome of a file that did not cross the network.
pub(crate) fn outcome_of(content: Content, file: &FileJob, how: Arrival) -> FileOutcome {
    FileOutcome {
        size: content.size,
        sha256: content.sha256,
        etag: None,
        last_modified: None,
        verified: file.sha256 == Some(content.sha256),
        how,
        blocks: content.blocks,
        source: file.sources.first().map(crate::SourceUrl::public).unwrap_or_default(),
        wire_bytes: 0,
    }
}
