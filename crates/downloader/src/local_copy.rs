//! Content that is on this machine already: checked by its hash, then hard-linked, cloned or copied. Blocks.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use tokio_util::sync::CancellationToken;

use crate::confined::{self, Standing};
use crate::part::Part;
use crate::start::{outcome_of, throw_away};
use crate::verify::content_of;
use crate::{Arrival, Existing, FileJob, FileOutcome, Sha256Digest, TransferError};

/// Tries each copy that may have the hash that is asked for. `None` when none has it, or the hash is not known.
pub(crate) fn take(
    part: &Part,
    file: &FileJob,
    hf_cache: Option<&Path>,
    stop: &CancellationToken,
) -> Result<Option<FileOutcome>, TransferError> {
    let Some(expected) = file.sha256 else { return Ok(None) };
    let cached = hf_cache.into_iter().flat_map(|cache| blobs_of(file, cache, expected));
    for copy in file.local_copies.iter().cloned().chain(cached) {
        if let Some(outcome) = take_one(part, file, &copy, expected, stop)? {
            return Ok(Some(outcome));
        }
    }
    Ok(None)
}

/// Whether there is any place to look for a copy, once the hash is known. Blocks for a moment.
pub(crate) fn may_be_there(file: &FileJob, hf_cache: Option<&Path>) -> bool {
    let cached = || hf_cache.into_iter().flat_map(|cache| repositories_of(file, cache)).any(|folder| folder.exists());
    !file.local_copies.is_empty() || cached()
}

/// Where a Hugging Face cache keeps large files: by their SHA-256, in a folder of their repository.
fn blobs_of(file: &FileJob, cache: &Path, digest: Sha256Digest) -> Vec<PathBuf> {
    repositories_of(file, cache).into_iter().map(|repo| repo.join("blobs").join(digest.to_string())).collect()
}

fn repositories_of(file: &FileJob, cache: &Path) -> Vec<PathBuf> {
    let repositories = file.sources.iter().filter_map(crate::SourceUrl::hugging_face_repo);
    let folder = |repo: String| {
        let (kind, name) = match repo.strip_prefix("datasets/") {
            Some(name) => ("datasets", name.to_owned()),
            None => ("models", repo),
        };
        format!("{kind}--{}", name.replace('/', "--"))
    };
    let in_hub = |folder: String| [cache.join("hub").join(&folder), cache.join(folder)];
    repositories.map(folder).flat_map(in_hub).collect()
}

fn take_one(
    part: &Part,
    file: &FileJob,
    copy: &Path,
    expected: Sha256Digest,
    stop: &CancellationToken,
) -> Result<Option<FileOutcome>, TransferError> {
    // A copy that cannot be read is no copy; the network is still there.
    let Ok(opened) = rustix::fs::open(copy, OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty()) else {
        return Ok(None);
    };
    let opened = File::from(opened);
    let Ok(stat) = opened.metadata() else { return Ok(None) };
    if !stat.is_file() || file.size.is_some_and(|size| size != stat.len()) {
        return Ok(None);
    }
    let Ok(Some(content)) = content_of(&opened, stop) else { return Ok(None) };
    if content.sha256 != expected {
        return Ok(None);
    }
    if link(part, copy, stat.ino())? {
        return Ok(Some(outcome_of(content, file, Arrival::Linked)));
    }
    clone_or_copy(part, &opened).map_err(|error| part.error("copying into", error))?;
    part.file.sync_data().map_err(|error| part.error("syncing", error))?;
    let copied = content_of(&part.file, stop).map_err(|error| part.error("reading", error))?;
    if copied.is_none_or(|copied| copied.sha256 != expected) {
        throw_away(part)?;
        return Ok(None);
    }
    let renamed = part.commit(file.existing == Existing::Replace)?;
    Ok(renamed.then(|| outcome_of(content, file, Arrival::Copied)))
}

/// Hard-links the copy to the final name. `Ok(false)` where that cannot be done: across file systems, or because
/// something has that name, which a link never replaces.
fn link(part: &Part, copy: &Path, inode: u64) -> Result<bool, TransferError> {
    let failed = |error: std::io::Error| part.error("linking", error);
    let name = part.destination().name();
    if rustix::fs::linkat(CWD, copy, &part.folder, name, AtFlags::SYMLINK_FOLLOW).is_err() {
        return Ok(false);
    }
    let linked = confined::standing(&part.folder, name).map_err(failed)?;
    if !matches!(linked, Standing::File { inode: found, .. } if found == inode) {
        // The path leads elsewhere by now: that is not what was hashed.
        confined::remove(&part.folder, name).map_err(failed)?;
        return Ok(false);
    }
    rustix::fs::fsync(&part.folder).map_err(|error| failed(error.into()))?;
    part.discard().map_err(failed)?;
    Ok(true)
}

/// Fills the `.part` from another file: as a clone where the file system can, else byte by byte.
pub(crate) fn clone_or_copy(part: &Part, from: &File) -> std::io::Result<()> {
    part.file.set_len(0)?;
    if rustix::fs::ioctl_ficlone(&part.file, from).is_ok() {
        return Ok(());
    }
    let (mut from, mut to) = (from, &part.file);
    std::io::Seek::rewind(&mut from)?;
    std::io::Seek::rewind(&mut to)?;
    std::io::copy(&mut from, &mut to).map(drop)
}
