//! Content that is on this machine already: checked by its hash, then hard-linked, cloned or copied. Blocks.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::halt::Halt;
use crate::storage::disk_budget::{DiskBudget, TransferKey};
use crate::storage::fs::{self, Disk, OpenFile};
use crate::storage::part::{Discard, Part};
use crate::storage::verify::{Unread, content_of};
use crate::transfer::resume::outcome_of;
use crate::{Arrival, Existing, FileJob, FileOutcome, Sha256Digest};

/// Tries each copy that may have the hash that is asked for. `None` when none has it, or the hash is not known.
pub(crate) fn take(
    disk: &dyn Disk,
    part: &Part,
    file: &FileJob,
    hf_cache: Option<&Path>,
    copier: &Copier,
) -> Result<Option<FileOutcome>, Halt> {
    let Some(expected) = file.sha256 else { return Ok(None) };
    let cached = hf_cache.into_iter().flat_map(|cache| blobs_of(file, cache, expected));
    for copy in file.local_copies.iter().cloned().chain(cached) {
        if let Some(outcome) = take_one(disk, part, file, &copy, expected, copier)? {
            return Ok(Some(outcome));
        }
    }
    Ok(None)
}

/// Whether a Hugging Face cache has anything of the file's repository. Blocks for a moment.
pub(crate) fn is_cached(file: &FileJob, cache: &Path) -> bool {
    repositories_of(file, cache).iter().any(|folder| folder.exists())
}

/// Where a Hugging Face cache keeps large files: by their SHA-256, in a folder of their repository.
fn blobs_of(file: &FileJob, cache: &Path, digest: Sha256Digest) -> Vec<PathBuf> {
    repositories_of(file, cache).into_iter().map(|repo| repo.join("blobs").join(digest.to_string())).collect()
}

fn repositories_of(file: &FileJob, cache: &Path) -> Vec<PathBuf> {
    let repositories = file.sources.iter().filter_map(crate::SourceUrl::hugging_face_repo);
    let folder = |repo: String| {
        let (kind, name) = match repo.split_once('/') {
            Some((kind @ ("datasets" | "spaces"), name)) => (kind, name),
            _ => ("models", repo.as_str()),
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
    copier: &Copier,
) -> Result<Option<FileOutcome>, Halt> {
    // A copy that cannot be read is no copy; the network is still there.
    let Ok(opened) = disk.open_anywhere(copy) else { return Ok(None) };
    let Ok(status) = opened.status() else { return Ok(None) };
    if !status.is_file || file.size.is_some_and(|size| size != status.size) {
        return Ok(None);
    }
    let content = match content_of(opened.as_ref(), part.block_size(), &copier.stop) {
        Ok(content) => content,
        Err(Unread::Stopped) => return Err(Halt::Stopped),
        Err(Unread::Failed(_)) => return Ok(None),
    };
    if content.sha256 != expected {
        return Ok(None);
    }
    // Whoever made it may never have brought it to the disk.
    if opened.sync().is_ok() && link(part, copy, status.inode)? {
        return Ok(Some(outcome_of(content, file, Arrival::Linked)));
    }
    copier.fill(part, opened.as_ref(), "copying into")?;
    part.sync().map_err(|error| part.error("syncing", error))?;
    let copied = part.content(&copier.stop);
    let copied = copied.map_err(|unread| unread.halt(|error| part.error("reading", error)))?;
    if copied.sha256 != expected {
        // The copy changed meanwhile. What of it is still right, the journal tells.
        return Ok(None);
    }
    let renamed = part.commit(file.existing == Existing::Replace)?;
    Ok(renamed.then(|| outcome_of(content, file, Arrival::Copied)))
}

/// Hard-links the copy to the final name. `Ok(false)` where that cannot be done.
fn link(part: &Part, copy: &Path, inode: u64) -> Result<bool, Halt> {
    let linked = part.link_destination(copy, inode).map_err(|error| part.error("linking", error))?;
    if linked {
        part.discard(Discard::Superseded)?;
    }
    Ok(linked)
}

/// Fills partial files from others, for one transfer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Copier {
    pub(crate) space: Arc<DiskBudget>,
    pub(crate) key: TransferKey,
    pub(crate) stop: CancellationToken,
}

impl Copier {
    /// As a clone where the file system can, else byte by byte where there is room. What is there of the same content stays
    /// as it is, so that a copy which is stopped costs nothing.
    pub(crate) fn fill(&self, part: &Part, from: &dyn OpenFile, action: &'static str) -> Result<(), Halt> {
        let failed = |error| part.error(action, error);
        let size = from.status().map_err(failed)?.size;
        if self.stop.is_cancelled() {
            return Err(Halt::Stopped);
        }
        if !part.clone_from(from) {
            let needed = size.saturating_sub(part.allocated());
            part.reserve(&self.space, self.key, needed).map_err(Halt::Shortage)?;
            self.copy(part, from, size).map_err(|unread| unread.halt(failed))?;
        }
        Ok(part.discard(Discard::BeyondEnd(size))?)
    }

    fn copy(&self, part: &Part, from: &dyn OpenFile, size: u64) -> Result<(), Unread> {
        let mut offset = 0;
        loop {
            if self.stop.is_cancelled() {
                return Err(Unread::Stopped);
            }
            let mut piece = vec![0; part.block_size() as usize];
            let read = fs::read_up_to(from, &mut piece, offset)?;
            if read == 0 {
                return Ok(());
            }
            piece.truncate(read);
            part.write_at(offset, &[piece.into()])?;
            offset += read as u64;
            self.space.still_needs(self.key, size.saturating_sub(offset));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::{BLOCK, Geometry};
    use crate::storage::fs::Access;
    use crate::storage::unix::UnixDisk;
    use crate::{Destination, SourceUrl};

    #[test]
    fn a_copy_ends_when_it_is_told_to_and_asks_for_room_before_it_begins() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let destination = Destination::new(folder.path(), "f.bin").expect("a name");
        let open = || UnixDisk::default().open_parent(&destination, true).expect("a folder");
        let from = open().open("from.bin", Access::Create).expect("a file");
        from.write_at(0, &[vec![1; 3 * BLOCK as usize].into()]).expect("room");
        let Ok((part, _)) = Part::open(open(), &destination, Geometry::SMALL) else { panic!("nobody holds it") };
        let copier = |min_free| Copier { space: Arc::new(DiskBudget::new(min_free)), ..Copier::default() };
        let size = || part.size().expect("a size");

        let stopped = copier(0);
        stopped.stop.cancel();
        assert!(matches!(stopped.fill(&part, from.as_ref(), "copying into"), Err(Halt::Stopped)));
        assert!(matches!(stopped.copy(&part, from.as_ref(), 3 * BLOCK), Err(Unread::Stopped)));
        assert_eq!(size(), 0);

        match copier(u64::MAX).fill(&part, from.as_ref(), "copying into") {
            Err(Halt::Shortage(shortage)) => assert_eq!(shortage.needed, 3 * BLOCK),
            // A clone takes no room.
            other => assert!(matches!(other, Ok(())), "{other:?}"),
        }
        assert!(matches!(copier(0).fill(&part, from.as_ref(), "copying into"), Ok(())));
        assert_eq!(size(), 3 * BLOCK);
    }

    #[test]
    fn each_kind_of_repository_has_a_folder_of_its_own_in_the_cache() {
        let destination = Destination::new("/models", "f.bin").expect("a name");
        for (link, folder) in [
            ("hf://org/repo/f.bin", "models--org--repo"),
            ("hf://datasets/org/repo/f.bin", "datasets--org--repo"),
            ("hf://spaces/org/repo/f.bin", "spaces--org--repo"),
        ] {
            let file = FileJob::new(destination.clone(), vec![SourceUrl::parse(link).expect("a link")]);
            let found = repositories_of(&file, Path::new("/hf"));
            assert_eq!(found, [Path::new("/hf/hub").join(folder), Path::new("/hf").join(folder)]);
        }
    }
}
