//! Content that is on this machine already: checked by its hash, then hard-linked, cloned or copied. Blocks.

use std::path::{Path, PathBuf};

use tokio_util::sync::CancellationToken;

use crate::blocks::BLOCK;
use crate::disk::{self, Disk, OpenFile, Standing};
use crate::part::Part;
use crate::start::{outcome_of, throw_away};
use crate::verify::content_of;
use crate::{Arrival, Existing, FileJob, FileOutcome, Sha256Digest, TransferError};

/// Tries each copy that may have the hash that is asked for. `None` when none has it, or the hash is not known.
pub(crate) fn take(
    disk: &dyn Disk,
    part: &Part,
    file: &FileJob,
    hf_cache: Option<&Path>,
    stop: &CancellationToken,
) -> Result<Option<FileOutcome>, TransferError> {
    let Some(expected) = file.sha256 else { return Ok(None) };
    let cached = hf_cache.into_iter().flat_map(|cache| blobs_of(file, cache, expected));
    for copy in file.local_copies.iter().cloned().chain(cached) {
        if let Some(outcome) = take_one(disk, part, file, &copy, expected, stop)? {
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
    disk: &dyn Disk,
    part: &Part,
    file: &FileJob,
    copy: &Path,
    expected: Sha256Digest,
    stop: &CancellationToken,
) -> Result<Option<FileOutcome>, TransferError> {
    // A copy that cannot be read is no copy; the network is still there.
    let Ok(opened) = disk.open_anywhere(copy) else { return Ok(None) };
    let Ok(status) = opened.status() else { return Ok(None) };
    if !status.is_file || file.size.is_some_and(|size| size != status.size) {
        return Ok(None);
    }
    let Ok(Some(content)) = content_of(opened.as_ref(), stop) else { return Ok(None) };
    if content.sha256 != expected {
        return Ok(None);
    }
    // Whoever made it may never have brought it to the disk.
    if opened.sync().is_ok() && link(part, copy, status.inode)? {
        return Ok(Some(outcome_of(content, file, Arrival::Linked)));
    }
    clone_or_copy(part, opened.as_ref()).map_err(|error| part.error("copying into", error))?;
    part.file.sync().map_err(|error| part.error("syncing", error))?;
    let copied = content_of(part.file.as_ref(), stop).map_err(|error| part.error("reading", error))?;
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
    if part.folder.link(copy, name).is_err() {
        return Ok(false);
    }
    let linked = part.folder.standing(name).map_err(failed)?;
    if !matches!(linked, Standing::File { inode: found, .. } if found == inode) {
        // The path leads elsewhere by now: that is not what was hashed.
        part.folder.remove(name).map_err(failed)?;
        return Ok(false);
    }
    part.discard().map_err(failed)?;
    Ok(true)
}

/// Fills the `.part` from another file: as a clone where the file system can, else byte by byte.
pub(crate) fn clone_or_copy(part: &Part, from: &dyn OpenFile) -> std::io::Result<()> {
    part.file.set_size(0)?;
    if let (Some(to), Some(from)) = (part.file.as_file(), from.as_file())
        && rustix::fs::ioctl_ficlone(to, from).is_ok()
    {
        return Ok(());
    }
    let mut offset = 0;
    loop {
        let mut piece = vec![0; BLOCK as usize];
        let read = disk::read_up_to(from, &mut piece, offset)?;
        if read == 0 {
            return Ok(());
        }
        piece.truncate(read);
        part.file.write_at(offset, &[piece.into()])?;
        offset += read as u64;
    }
}
