//! The last steps of a file whose bytes are all here: sync, compare, rename, sync the folder, forget the journal.

use std::sync::Arc;

use crate::incoming::Incoming;
use crate::journal::Record;
use crate::part::Part;
use crate::transfer::{Halt, Transfer};
use crate::verify::{Content, PrefixHash, content_of};
use crate::{
    Arrival, BlockChecksums, Existing, Facts, FileJob, FileOutcome, FileState, JobEvent, Sha256Digest, SourceUrl,
    TransferError, answer, fetch,
};

/// All bytes are in the `.part`.
pub(crate) struct Arrived {
    /// The hash that ran behind the prefix; a small file has none yet.
    pub(crate) hash: Option<PrefixHash>,
    /// Known already, from reading a finished `.part`.
    pub(crate) content: Option<Content>,
    pub(crate) expected: Option<Sha256Digest>,
    pub(crate) source: SourceUrl,
    /// Every source that has given bytes.
    pub(crate) givers: Vec<SourceUrl>,
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
            givers: Vec::new(),
            facts: Facts::default(),
        }
    }
}

/// What the synced file is.
struct Checked {
    size: u64,
    sha256: Sha256Digest,
    blocks: BlockChecksums,
}

/// Brings an arrived file under its final name.
pub(crate) async fn finish(transfer: &Transfer, incoming: &Arc<Incoming>, arrived: Arrived) -> Result<Finish, Halt> {
    transfer.meter.set_state(FileState::Verifying);
    transfer.outbox.send(JobEvent::Verifying { file: transfer.index }).await;
    let Arrived { hash, content, expected, source, facts, .. } = arrived;
    let synced = transfer.engine.blocking({
        let incoming = Arc::clone(incoming);
        move || sync_whole(&incoming)
    });
    let (synced, hashed) = tokio::join!(synced, async {
        match hash {
            Some(hash) => hash.finish().await,
            None => Ok(None),
        }
    });
    synced?;
    let hashed = hashed.map_err(|error| incoming.part.error("reading back", error))?;
    let checked = match (content, hashed) {
        (Some(content), _) => Checked { size: content.size, sha256: content.sha256, blocks: content.blocks },
        (None, Some(sha256)) => from_map(incoming, sha256),
        (None, None) => read_back(transfer, incoming).await?,
    };
    if let Some(error) = wrong(transfer, incoming, &checked, expected) {
        return Ok(Finish::WrongBytes(error));
    }
    let replace = transfer.file.existing == Existing::Replace;
    let part = Arc::clone(&incoming.part);
    let sha256 = checked.sha256;
    if !transfer.engine.blocking(move || commit(&part, sha256, replace)).await? {
        return Ok(Finish::PartRemoved);
    }
    Ok(Finish::Whole(FileOutcome {
        size: checked.size,
        sha256,
        etag: facts.etag,
        last_modified: facts.last_modified,
        verified: expected.is_some(),
        how: Arrival::Fetched,
        blocks: checked.blocks,
        source: source.public(),
        wire_bytes: transfer.meter.wire(),
    }))
}

/// Cuts off what lies beyond the end, then brings everything to the disk. A failure here is final for what was written:
/// the next run begins without it.
fn sync_whole(incoming: &Incoming) -> Result<(), TransferError> {
    let part = &incoming.part;
    let total = incoming.map().total();
    let size = part.size().map_err(|error| part.error("looking at", error))?;
    if let Some(total) = total.filter(|total| *total < size) {
        part.file.set_size(total).map_err(|error| part.error("cutting", error))?;
    }
    incoming.sync().map_err(|(error, covered)| {
        // Without a journal nothing says which bytes are void, so all of them go.
        let voided = if part.has_journal() { incoming.void(covered) } else { part.file.set_size(0) };
        part.error("syncing", voided.err().unwrap_or(error))
    })
}

fn from_map(incoming: &Incoming, sha256: Sha256Digest) -> Checked {
    let map = incoming.map();
    Checked { size: map.present(), sha256, blocks: map.checksums() }
}

async fn read_back(transfer: &Transfer, incoming: &Arc<Incoming>) -> Result<Checked, Halt> {
    let (part, stop) = (Arc::clone(&incoming.part), transfer.stop.clone());
    let content = transfer
        .engine
        .blocking(move || content_of(part.file.as_ref(), &stop).map_err(|error| part.error("reading back", error)))
        .await?;
    let content = content.ok_or(Halt::Stopped)?;
    Ok(Checked { size: content.size, sha256: content.sha256, blocks: content.blocks })
}

/// Why the bytes cannot be the file that was asked for.
fn wrong(
    transfer: &Transfer,
    incoming: &Incoming,
    checked: &Checked,
    expected: Option<Sha256Digest>,
) -> Option<TransferError> {
    let host = || Arc::<str>::from(transfer.file.sources[0].as_url().host_str().unwrap_or_default()).to_string();
    if let Some(asked) = transfer.file.size.filter(|asked| *asked != checked.size) {
        return Some(TransferError::SizeMismatch { host: host(), expected: asked, actual: checked.size });
    }
    if checked.size == 0 && transfer.file.size != Some(0) {
        return Some(fetch::not_a_file(&host(), "an empty body", None));
    }
    match expected {
        Some(expected) if expected != checked.sha256 => {
            Some(TransferError::HashMismatch { expected, actual: checked.sha256 })
        }
        Some(_) => None,
        // A partial file of an earlier run may begin with anything.
        None => answer::not_a_file(transfer.file.destination.name(), None, &crate::start::first_bytes(&incoming.part))
            .map(|what| fetch::not_a_file(&host(), what, None)),
    }
}

fn commit(part: &Part, sha256: Sha256Digest, replace: bool) -> Result<bool, TransferError> {
    if part.has_journal() {
        let noted = part.note(&[Record::Finished(sha256)]).and_then(|()| part.sync_journal());
        noted.map_err(|error| part.error("writing the journal of", error))?;
    }
    part.commit(replace)
}
