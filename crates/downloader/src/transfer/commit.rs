//! The last steps of a file whose bytes are all here: sync, compare, rename, sync the folder, forget the journal.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::halt::Halt;
use crate::http::response;
use crate::storage::journal::Record;
use crate::storage::part::{Discard, Part};
use crate::storage::prefix_hash::PrefixHash;
use crate::storage::verify::Content;
use crate::transfer::Transfer;
use crate::transfer::part_store::{PartStore, SyncError};
use crate::{
    Arrival, Existing, Facts, FileJob, FileOutcome, FileState, JobEvent, Sha256Digest, SourceUrl, TransferError,
};

/// All bytes are in the `.part`.
pub(crate) struct Arrived {
    /// The hash that ran behind the prefix; a small file has none.
    pub(crate) hash: Option<PrefixHash>,
    /// Known already, from reading a finished `.part`.
    pub(crate) content: Option<Content>,
    pub(crate) expected: Option<Sha256Digest>,
    pub(crate) source: SourceUrl,
    /// Every source that has given bytes.
    pub(crate) contributors: Vec<SourceUrl>,
    pub(crate) facts: Facts,
}

/// How it ended.
pub(crate) enum Finish {
    Whole(FileOutcome),
    /// The bytes are not the ones asked for: once more from the beginning, else this error.
    WrongBytes(TransferError),
    /// Somebody took the `.part` away, so there is nothing to rename.
    PartRemoved,
}

impl Arrived {
    pub(crate) fn from_content(content: Content, file: &FileJob) -> Self {
        Self {
            hash: None,
            content: Some(content),
            expected: file.sha256,
            source: file.sources[0].clone(),
            contributors: Vec::new(),
            facts: Facts::default(),
        }
    }
}

/// Brings an arrived file under its final name.
pub(crate) async fn finish(transfer: &Transfer, part_store: &Arc<PartStore>, arrived: Arrived) -> Result<Finish, Halt> {
    transfer.stats.set_state(FileState::Verifying);
    transfer.outbox.send(JobEvent::Verifying { file: transfer.index }).await;
    let Arrived { hash, mut content, expected, source, facts, .. } = arrived;
    let synced = hash.is_some();
    if let Some(hash) = hash {
        // The hash is not far behind, the sync takes long: both at once.
        let store_to_sync = Arc::clone(part_store);
        let synced = transfer.blocking(move || sync_whole(&store_to_sync));
        let (synced, hashed) = tokio::join!(synced, hash.finish());
        synced?;
        let hashed = hashed.map_err(|error| part_store.part.error("reading back", error))?;
        content = content.or(hashed.map(|sha256| from_map(part_store, sha256)));
    }
    let last_steps = LastSteps {
        part_store: Arc::clone(part_store),
        file: transfer.file.clone(),
        expected,
        stop: transfer.stop.clone(),
    };
    let content = match transfer.stoppable(move || last_steps.take(synced, content)).await? {
        Last::Renamed(content) => content,
        Last::WrongBytes(error) => return Ok(Finish::WrongBytes(error)),
        Last::PartRemoved => return Ok(Finish::PartRemoved),
    };
    Ok(Finish::Whole(FileOutcome {
        size: content.size,
        sha256: content.sha256,
        etag: facts.etag,
        last_modified: facts.last_modified,
        verified: expected.is_some(),
        how: Arrival::Fetched,
        blocks: content.blocks,
        source: source.public(),
        wire_bytes: transfer.stats.wire(),
    }))
}

/// What blocks of it, in one go: each change of thread costs a small file as much as a write.
struct LastSteps {
    part_store: Arc<PartStore>,
    file: FileJob,
    expected: Option<Sha256Digest>,
    stop: CancellationToken,
}

enum Last {
    Renamed(Content),
    WrongBytes(TransferError),
    PartRemoved,
}

impl LastSteps {
    /// Does what is left of them.
    fn take(&self, synced: bool, content: Option<Content>) -> Result<Last, Halt> {
        let part = &self.part_store.part;
        if !synced {
            sync_whole(&self.part_store)?;
        }
        let one_piece = || self.part_store.hash_of_one_piece().map(|sha256| from_map(&self.part_store, sha256));
        let content = match content.or_else(one_piece) {
            Some(content) => content,
            None => {
                part.content(&self.stop).map_err(|unread| unread.halt(|error| part.error("reading back", error)))?
            }
        };
        if let Some(error) = wrong(&self.file, part, &content, self.expected) {
            return Ok(Last::WrongBytes(error));
        }
        let renamed = commit(part, content.sha256, self.file.existing == Existing::Replace)?;
        Ok(if renamed { Last::Renamed(content) } else { Last::PartRemoved })
    }
}

/// Cuts off what lies beyond the end, then brings everything to the disk. A failure here is final for what was written:
/// the next run begins without it.
pub(crate) fn sync_whole(part_store: &PartStore) -> Result<(), TransferError> {
    let part = &part_store.part;
    let total = part_store.map().total();
    let size = part.size().map_err(|error| part.error("looking at", error))?;
    // Where other syncs came before this one, one that failed may have lost the length: it is said once more.
    if let Some(total) = total.filter(|total| *total < size || part.has_journal()) {
        part.discard(Discard::BeyondEnd(total))?;
    }
    match part_store.sync() {
        Ok(()) => Ok(()),
        // Every byte is on the disk. The journal is synced again with the record that the file is whole.
        Err(SyncError::Journal(error)) => {
            tracing::warn!(file = %part.destination(), %error, "journal not synced");
            Ok(())
        }
        // Without a journal nothing says which bytes are invalid, so all of them go.
        Err(SyncError::Blocks(error, _)) if !part.has_journal() => {
            Err(part.discard(Discard::SyncFailed).err().unwrap_or_else(|| part.error("syncing", error)))
        }
        Err(failed) => Err(part.error("syncing", part_store.invalidate_unsynced(failed))),
    }
}

fn from_map(part_store: &PartStore, sha256: Sha256Digest) -> Content {
    let map = part_store.map();
    Content { size: map.present(), sha256, blocks: map.checksums() }
}

/// Why the bytes cannot be the file that was asked for.
fn wrong(file: &FileJob, part: &Part, content: &Content, expected: Option<Sha256Digest>) -> Option<TransferError> {
    let host = || file.sources[0].as_url().host_str().unwrap_or_default().to_owned();
    if let Some(asked) = file.size.filter(|asked| *asked != content.size) {
        return Some(TransferError::SizeMismatch { host: host(), expected: asked, actual: content.size });
    }
    if content.size == 0 && file.size != Some(0) {
        return Some(TransferError::not_a_file(&host(), "an empty body", None));
    }
    match expected {
        Some(expected) if expected != content.sha256 => {
            Some(TransferError::HashMismatch { expected, actual: content.sha256 })
        }
        Some(_) => None,
        // A partial file of an earlier run may begin with anything.
        None => response::not_a_file(file.destination.name(), None, &part.first_bytes())
            .map(|what| TransferError::not_a_file(&host(), what, None)),
    }
}

pub(crate) fn commit(part: &Part, sha256: Sha256Digest, replace: bool) -> Result<bool, TransferError> {
    if part.has_journal() {
        let noted = part.note(&[Record::Finished(sha256)]).and_then(|()| part.sync_journal());
        noted.map_err(|error| part.error("writing the journal of", error))?;
    }
    part.commit(replace)
}
