//! What is on the disk when a file begins: the whole file, a finished or half `.part`, or nothing to be believed. Every
//! state that a kill can leave behind is understood here. Blocks.

use tokio_util::sync::CancellationToken;

use crate::blocks::{BLOCK, Block, BlockMap, LARGEST_FILE};
use crate::disk::{self, Access, Standing};
use crate::identity::Identity;
use crate::journal::Journal;
use crate::local_copy::Copier;
use crate::part::{Part, of_io};
use crate::salvage;
use crate::verify::{Content, content_of};
use crate::{Arrival, Existing, FileJob, FileOutcome, RestartReason, TransferError};

/// What there is to begin with.
#[derive(Debug)]
pub(crate) enum Beginning {
    /// All bytes are here, and their hash is known and right.
    Whole(Content),
    /// Some are, as far as the journal is to be believed.
    Resume { map: BlockMap, resume: Resume },
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

/// Looks at the partial file and its journal. It is the disk that is asked, not memory, and before anything is written: a
/// sync of an earlier process may have failed, which a small file has no journal to tell, and somebody may have taken that
/// of a large one away.
pub(crate) fn begin(part: &Part, file: &FileJob, copier: &Copier) -> Result<Beginning, TransferError> {
    let failed = |error| part.error("reading the partial file of", error);
    let size = part.size().map_err(failed)?;
    if size == 0 && salvage::seed(part, file, copier)? {
        return begin(part, file, copier);
    }
    let journal = part.read_journal().map_err(failed)?;
    if size == 0 {
        return fresh(part, None);
    }
    if disk::look_past_memory(part.file.as_ref()).is_err() {
        return fresh(part, Some(RestartReason::SyncFailed { blocks: size.div_ceil(BLOCK) }));
    }
    if let Some((identity, journal)) = journal.and_then(|journal| usable(journal, file)) {
        return Ok(resume(size, identity, journal));
    }
    let found = without_journal(part, file, size, &copier.stop)?;
    if matches!(found, Beginning::Fresh { .. }) && salvage::seed(part, file, copier)? {
        return begin(part, file, copier);
    }
    Ok(found)
}

/// A journal of the content that is asked for, as far as can be told.
fn usable(journal: Journal, file: &FileJob) -> Option<(Identity, Journal)> {
    let identity = journal.identity.clone()?;
    let total = identity.total.filter(|total| *total <= LARGEST_FILE)?;
    let same_size = file.size.is_none_or(|size| size == total);
    let same_hash = match (file.sha256, identity.sha256) {
        (Some(asked), Some(known)) => asked == known,
        _ => true,
    };
    // A hash that a server named for another link says nothing of this one.
    let is_proven = file.sha256.is_some() && identity.is_proven_by_hash();
    let same_source = is_proven || file.sources.iter().any(|source| source.public() == identity.source);
    (same_size && same_hash && same_source).then_some((identity, journal))
}

fn resume(size: u64, identity: Identity, journal: Journal) -> Beginning {
    let mut map = BlockMap::new(identity.total);
    let mut blocks = Vec::new();
    for (index, block) in journal.blocks {
        let index = index as usize;
        // What the file does not reach is not there, whatever the journal says.
        if index as u64 * BLOCK + u64::from(block.have) <= size {
            map.set(index, block);
            blocks.push((index, block));
        }
    }
    let prefix = map.contiguous_end();
    let hash_state = journal.hash_state.filter(|(position, _)| *position <= prefix);
    Beginning::Resume { map, resume: Resume { identity, blocks, hash_state } }
}

/// A `.part` of just the right size whose hash is known may have been finished when the kill came.
fn without_journal(
    part: &Part,
    file: &FileJob,
    size: u64,
    stop: &CancellationToken,
) -> Result<Beginning, TransferError> {
    if let Some(expected) = file.sha256.filter(|_| file.size.is_none_or(|asked| asked == size)) {
        let content =
            content_of(part.file.as_ref(), stop).map_err(|error| part.error("reading the partial file of", error))?;
        if let Some(content) = content.filter(|content| content.sha256 == expected) {
            return Ok(Beginning::Whole(content));
        }
    }
    fresh(part, Some(RestartReason::JournalUnreadable))
}

fn fresh(part: &Part, reason: Option<RestartReason>) -> Result<Beginning, TransferError> {
    throw_away(part)?;
    Ok(Beginning::Fresh { reason })
}

/// Empties the partial file and forgets its journal. The lock stays.
pub(crate) fn throw_away(part: &Part) -> Result<(), TransferError> {
    let failed = |error| part.error("emptying the partial file of", error);
    part.remove_journal().map_err(failed)?;
    part.file.set_size(0).map_err(failed)
}

/// Looks at the final name: a file that is the one asked for ends the transfer, another one may forbid it.
pub(crate) fn look_at_destination(
    part: &Part,
    file: &FileJob,
    stop: &CancellationToken,
) -> Result<Option<FileOutcome>, TransferError> {
    let name = part.destination().name();
    let path = part.destination().to_string();
    let failed = |error| of_io("looking at", part.destination(), error);
    let size = match part.folder.standing(name).map_err(failed)? {
        Standing::Nothing => return Ok(None),
        Standing::Other => {
            part.discard().map_err(failed)?;
            return Err(TransferError::NotARegularFile { path });
        }
        Standing::File { size, .. } => size,
    };
    let journal = part.read_journal().map_err(failed)?;
    let finished = journal.and_then(|journal| usable(journal, file)).and_then(|(_, journal)| journal.finished);
    let expected = file.sha256.or(finished);
    let fits_size = file.size.is_none_or(|asked| asked == size);
    let worth_reading = match file.existing {
        Existing::Share => expected.is_none() || fits_size,
        Existing::Keep => fits_size && (expected.is_some() || file.size.is_some()),
        Existing::Replace => fits_size && expected.is_some(),
    };
    if worth_reading {
        let opened = part.folder.open(name, Access::Read).map_err(failed)?;
        let Some(content) = content_of(opened.as_ref(), stop).map_err(failed)? else { return Ok(None) };
        if expected.is_none_or(|expected| expected == content.sha256) {
            // Whoever put it there may not have synced it. A kill may have come between the rename and its sync: the second
            // line syncs the folder.
            opened.sync().map_err(failed)?;
            part.discard().map_err(failed)?;
            return Ok(Some(outcome_of(content, file, Arrival::AlreadyWhole)));
        }
    }
    match file.existing {
        Existing::Replace => Ok(None),
        Existing::Keep | Existing::Share => {
            part.discard().map_err(failed)?;
            Err(TransferError::DestinationExists { path, size })
        }
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

/// The first bytes of the partial file, to see whether they are a page.
pub(crate) fn first_bytes(part: &Part) -> Vec<u8> {
    let mut bytes = vec![0; 512];
    let read = disk::read_up_to(part.file.as_ref(), &mut bytes, 0).unwrap_or(0);
    bytes.truncate(read);
    bytes
}
