//! The invariant of partial files: what was journalled, or is whole by its hash, stays until a restart, a failure by hash or a
//! cancel is told. A kill may swallow what would have been told, a power cut and a failed sync may lose bytes; after those
//! it is looked at anew.

use std::collections::BTreeMap;

use super::disk::MemoryDisk;
use super::plan::{Plan, sha256};
use crate::geometry::{BLOCK, Block};
use crate::storage::journal::Reading;
use crate::{Job, JobEvent, JobId, Sha256Digest, TransferError, Update};

/// What has to stay, by path.
#[derive(Debug, Default)]
pub(crate) struct Kept(BTreeMap<String, Safe>);

/// What the next run could go on with.
#[derive(Debug, PartialEq, Eq)]
struct Safe {
    /// Journalled, and on the disk with the checksum that the journal holds.
    blocks: BTreeMap<u32, Block>,
    /// All of it is here, and has the hash that is asked for.
    whole: bool,
}

impl Safe {
    fn of(part: &[u8], journal: Option<&Vec<u8>>, asked: Option<Sha256Digest>) -> Self {
        let journal = journal.and_then(|bytes| Reading::of_bytes(bytes).journal);
        let mut blocks = journal.map(|journal| journal.blocks).unwrap_or_default();
        blocks.retain(|index, block| {
            let start = u64::from(*index) * BLOCK;
            let bytes = part.get(start as usize..(start + u64::from(block.have)) as usize);
            bytes.is_some_and(|bytes| crc32fast::hash(bytes) == block.crc)
        });
        let whole = blocks.is_empty() && asked.is_some_and(|asked| sha256(part) == asked);
        Self { blocks, whole }
    }

    fn is_nothing(&self) -> bool {
        self.blocks.is_empty() && !self.whole
    }

    /// Whether nothing of `before` is lost.
    fn holds(&self, before: &Self) -> bool {
        let is_here =
            |(index, block): (&u32, &Block)| self.blocks.get(index).is_some_and(|here| here.have >= block.have);
        (self.whole || !before.whole) && before.blocks.iter().all(is_here)
    }
}

fn files_of<'a>(plan: &'a Plan, job: &JobId) -> impl Iterator<Item = String> + 'a {
    let job = plan.jobs.iter().find(|known| known.id == *job);
    job.into_iter().flat_map(|Job { files, .. }| files.iter().map(|file| file.destination.to_string()))
}

impl Kept {
    /// A process begins, or a job has come to rest: what is here now has to stay.
    pub(crate) fn look(&mut self, plan: &Plan, disk: &MemoryDisk) {
        for (path, safe) in seen(plan, disk) {
            // What is here no longer has to be told first.
            let grown = self.0.get(&path).is_none_or(|before| safe.holds(before));
            if grown && !safe.is_nothing() {
                self.0.insert(path, safe);
            }
        }
    }

    /// Nothing can be said of what was here before.
    pub(crate) fn forget(&mut self) {
        self.0.clear();
    }

    /// What is told excuses a loss.
    pub(crate) fn hear(&mut self, update: &Update, plan: &Plan, disk: &MemoryDisk) {
        let excused = match &update.event {
            JobEvent::FileRestarted { file, .. } | JobEvent::FileCompleted { file, .. } => Some(*file),
            JobEvent::FileFailed { file, error } if tells_of_loss(error) => Some(*file),
            JobEvent::Cancelled { .. } => {
                files_of(plan, &update.job).for_each(|path| _ = self.0.remove(&path));
                None
            }
            JobEvent::Paused(_) | JobEvent::Failed { .. } => {
                self.look(plan, disk);
                None
            }
            _ => None,
        };
        if let Some(path) = excused.and_then(|file| files_of(plan, &update.job).nth(file)) {
            self.0.remove(&path);
        }
    }

    /// What has to hold once everything that a process had to say was heard.
    pub(crate) fn holds(&self, plan: &Plan, disk: &MemoryDisk) -> Result<(), String> {
        let now = seen(plan, disk);
        let nothing = Safe { blocks: BTreeMap::new(), whole: false };
        let files = disk.files();
        // A file that was renamed and whose folder could not be synced has failed, and nothing of it is lost.
        let has_arrived = |path: &String| files.get(path).is_some_and(|bytes| plan.files[path].is_right(bytes));
        let lost = |(path, before): &(&String, &Safe)| {
            let is_kept = now.get(*path).unwrap_or(&nothing).holds(before) || has_arrived(path);
            !may_have_lost(disk, path) && !is_kept
        };
        match self.0.iter().find(lost) {
            Some((path, before)) => {
                let now = now.get(path);
                Err(format!("{path} lost what was here, and nobody was told: {before:?} before, {now:?} now"))
            }
            None => Ok(()),
        }
    }
}

/// Each partial file as it is now, unless a failed sync may have lost some of it.
fn seen(plan: &Plan, disk: &MemoryDisk) -> BTreeMap<String, Safe> {
    let files = disk.files();
    let asked = plan.jobs.iter().flat_map(|job| &job.files);
    let safe = asked.filter_map(|file| {
        let path = file.destination.to_string();
        let name = format!("{path}.part");
        let part = files.get(&name).filter(|_| !may_have_lost(disk, &path))?;
        let fits = file.size.is_none_or(|size| size == part.len() as u64);
        Some((path, Safe::of(part, files.get(&format!("{name}.journal")), file.sha256.filter(|_| fits))))
    });
    safe.collect()
}

/// A sync of the partial file or of its journal has failed: then what it covered is invalid.
fn may_have_lost(disk: &MemoryDisk, path: &str) -> bool {
    [".part", ".part.journal"].iter().any(|suffix| disk.has_lost_bytes(&format!("{path}{suffix}")))
}

/// The bytes are wrong, or a sync of them failed and, without a journal, all of them were thrown away.
fn tells_of_loss(error: &TransferError) -> bool {
    matches!(
        error,
        TransferError::HashMismatch { .. }
            | TransferError::SizeMismatch { .. }
            | TransferError::NotAFile { .. }
            | TransferError::Io { action: "syncing", .. }
    )
}
