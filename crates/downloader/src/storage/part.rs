//! The two files that hold a download until it is whole: `NAME.part` with the bytes and `NAME.part.journal` with what is
//! trusted of them. Every call here blocks. It decides nothing; `transfer` does.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use rustix::io::Errno;
use tokio_util::sync::CancellationToken;

use crate::content_identity::Identity;
use crate::destination::{JOURNAL_SUFFIX, PART_SUFFIX};
use crate::geometry::{Block, Geometry};
use crate::halt::Shortage;
use crate::storage::disk_budget::{DiskBudget, TransferKey};
use crate::storage::fs::{self, Access, Disk, Folder, OpenFile, Standing};
use crate::storage::journal::{self, Journal, Reading, Record};
use crate::storage::verify::{self, Content, Unread};
use crate::{Destination, RestartReason, TransferError};

/// A `.part` that is open and locked.
#[derive(Debug)]
pub(crate) struct Part {
    // Private: nothing but `discard` deletes or truncates what is here.
    folder: Box<dyn Folder>,
    file: Box<dyn OpenFile>,
    geometry: Geometry,
    inode: u64,
    name: String,
    destination: Destination,
    journal: Mutex<JournalFile>,
    /// It held nothing when this run opened it, or was cleared since: what is in it, this run has put there.
    is_own: AtomicBool,
}

/// What a `.part` holds when it is opened, as its journal says.
#[derive(Debug)]
pub(crate) enum Holding {
    /// No byte, and no journal of a finished file.
    Empty,
    /// Bytes, and which of them belong to which content.
    Resumable(Journal),
    /// Bytes that no journal describes. They may be a whole file that its hash proves.
    Unjournalled,
    /// No byte, beside the journal of a file that was finished: it was about to be renamed, or has been.
    Renamed(Journal),
}

impl Holding {
    pub(crate) fn journal(&self) -> Option<&Journal> {
        match self {
            Self::Resumable(journal) | Self::Renamed(journal) => Some(journal),
            Self::Empty | Self::Unjournalled => None,
        }
    }
}

/// Why a partial file, or a part of what it holds, is thrown away. [`Part::discard`] and [`discard_closed`] alone do that, as far
/// as the reason demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Discard {
    /// It holds no byte when its transfer ends.
    Empty,
    /// The destination is the file that was asked for.
    Superseded,
    /// This run has put bytes there which the next one could neither resume nor prove.
    Unprovable,
    /// The job was cancelled.
    Cancelled,
    /// It holds no byte when its transfer begins; a journal may tell of a file that was finished and is gone.
    Unused,
    /// A copy from this machine was stopped or failed.
    IncompleteCopy,
    /// The hash of the whole is wrong.
    WrongBytes,
    /// A sync failed, and no journal tells which bytes it covered.
    SyncFailed,
    /// The transfer starts over, which is told.
    StartOver(RestartReason),
    /// What lies beyond the end of the file, which has so many bytes.
    BeyondEnd(u64),
}

/// How much is thrown away.
enum Extent {
    /// Both files, for good: a power cut does not bring them back.
    Files,
    /// The bytes and the journal. The empty file stays, with its lock.
    Content,
    /// The bytes after these.
    Tail(u64),
}

impl Discard {
    fn extent(self) -> Extent {
        match self {
            Self::Empty | Self::Superseded | Self::Unprovable | Self::Cancelled => Extent::Files,
            Self::Unused | Self::IncompleteCopy | Self::WrongBytes | Self::SyncFailed | Self::StartOver(_) => {
                Extent::Content
            }
            Self::BeyondEnd(end) => Extent::Tail(end),
        }
    }
}

/// Where the journal stands.
#[derive(Debug)]
enum JournalFile {
    /// A file may be there, of which nothing is trusted.
    Stale,
    Absent,
    /// Records are appended at `end`.
    Open {
        file: Arc<dyn OpenFile>,
        end: u64,
        /// The records before `end` that no sync has covered: a failed one may have dropped them.
        unsynced: Vec<u8>,
    },
}

/// Why a `.part` cannot be used now.
#[derive(Debug)]
pub(crate) enum PartError {
    /// Somebody else holds it.
    Locked,
    Failed(TransferError),
}

/// Opens the folder of a destination.
pub(crate) fn open_folder(
    disk: &dyn Disk,
    destination: &Destination,
    make: bool,
) -> Result<Box<dyn Folder>, TransferError> {
    disk.open_parent(destination, make).map_err(|source| {
        let path = destination.to_string();
        match Errno::from_io_error(&source) {
            Some(Errno::XDEV | Errno::LOOP | Errno::NOTDIR) => TransferError::OutsideRoot { path, source },
            _ => of_io("opening the folder of", destination, source),
        }
    })
}

impl Part {
    /// Opens or makes the `.part` in `folder`, locks it and reads its journal. What stands in its way and is not a file of ours
    /// (a link, an empty folder) is removed.
    pub(crate) fn open(
        folder: Box<dyn Folder>,
        destination: &Destination,
        geometry: Geometry,
    ) -> Result<(Self, Holding), PartError> {
        let name = format!("{}{PART_SUFFIX}", destination.name());
        let failed = |error: io::Error| PartError::Failed(of_place("opening", destination, PART_SUFFIX, error));
        for _ in 0..100 {
            let file = match folder.open(&name, Access::Create) {
                Ok(file) => file,
                Err(error) if is_no_file(&error) => {
                    folder.remove(&name).map_err(failed)?;
                    continue;
                }
                Err(error) => return Err(failed(error)),
            };
            if !file.lock() {
                return Err(PartError::Locked);
            }
            let status = file.status().map_err(failed)?;
            let ours = folder.standing(&name).map_err(failed)?;
            let same = matches!(ours, Standing::File { inode, .. } if inode == status.inode);
            if same && status.has_other_names {
                // Somebody linked to it: their bytes are not ours to overwrite.
                folder.remove(&name).map_err(failed)?;
            } else if same {
                let (destination, inode) = (destination.clone(), status.inode);
                let (journal, is_own) = (Mutex::new(JournalFile::Stale), AtomicBool::new(false));
                return Self { folder, file, geometry, inode, name, destination, journal, is_own }.opened(status.size);
            } else if ours == Standing::Other {
                folder.remove(&name).map_err(failed)?;
            }
            // Else the process that held it has renamed or removed it meanwhile: look again.
        }
        Err(PartError::Locked)
    }

    fn opened(self, size: u64) -> Result<(Self, Holding), PartError> {
        match self.look() {
            Ok(holding) => Ok((self, holding)),
            Err(error) => {
                if size == 0 {
                    // Nothing is lost with it; the journal stays.
                    let _ = self.folder.remove(&self.name);
                }
                Err(PartError::Failed(self.error("reading the partial file of", error)))
            }
        }
    }

    /// What is here of the file. Cuts off what is broken at the end of the journal.
    pub(crate) fn look(&self) -> io::Result<Holding> {
        let (size, journal) = (self.size()?, self.read_journal()?);
        let holding = match journal {
            Some(journal) if size > 0 => Holding::Resumable(journal),
            Some(journal) if journal.finished.is_some() => Holding::Renamed(journal),
            None if size > 0 => Holding::Unjournalled,
            _ => Holding::Empty,
        };
        self.is_own.fetch_or(matches!(holding, Holding::Empty), Relaxed);
        Ok(holding)
    }

    /// Whether all that is in it came in this run.
    pub(crate) fn is_own(&self) -> bool {
        self.is_own.load(Relaxed)
    }

    pub(crate) fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Bytes in a block of it.
    pub(crate) fn block_size(&self) -> u64 {
        self.geometry.block()
    }

    pub(crate) fn destination(&self) -> &Destination {
        &self.destination
    }

    /// The error as a caller sees it.
    pub(crate) fn error(&self, action: &'static str, error: io::Error) -> TransferError {
        of_place(action, &self.destination, JOURNAL_SUFFIX, error)
    }

    pub(crate) fn size(&self) -> io::Result<u64> {
        Ok(self.file.status()?.size)
    }

    /// Bytes of the disk that it has, also where nothing is written yet; 0 where nobody can say.
    pub(crate) fn allocated(&self) -> u64 {
        let blocks = self.file.as_file().and_then(|file| rustix::fs::fstat(file).ok()).map(|stat| stat.st_blocks);
        blocks.map_or(0, |blocks| u64::try_from(blocks).unwrap_or(0) * 512)
    }

    fn journal_name(&self) -> String {
        format!("{}{JOURNAL_SUFFIX}", self.destination.name())
    }

    fn journal(&self) -> MutexGuard<'_, JournalFile> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_journal(&self, access: Access) -> io::Result<Option<Arc<dyn OpenFile>>> {
        let name = self.journal_name();
        match self.folder.open(&name, access) {
            // A second link to it means that it is somebody's file, not a journal to be cut.
            Ok(file) if !file.status()?.has_other_names => return Ok(Some(file.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) if !is_no_file(&error) => return Err(error),
            _ => {}
        }
        self.folder.remove(&name)?;
        if access == Access::Create { self.open_journal(access) } else { Ok(None) }
    }

    fn read_journal(&self) -> io::Result<Option<Journal>> {
        let Some(file) = self.open_journal(Access::ReadWrite)? else {
            *self.journal() = JournalFile::Absent;
            return Ok(None);
        };
        let Reading { journal, good_bytes } = Reading::of(file.as_ref())?;
        *self.journal() = match &journal {
            Some(_) => {
                file.set_size(good_bytes)?;
                JournalFile::Open { file, end: good_bytes, unsynced: Vec::new() }
            }
            None => JournalFile::Stale,
        };
        Ok(journal)
    }

    /// Begins the journal anew for this content. Blocks that were trusted before are no longer.
    pub(crate) fn begin_journal(&self, identity: &Identity) -> io::Result<()> {
        let file = self.open_journal(Access::Create)?.ok_or(io::ErrorKind::NotFound)?;
        file.set_size(0)?;
        let mut bytes = journal::head();
        Record::Identity(identity.clone()).write_to(&mut bytes);
        file.write_at(0, &[Bytes::copy_from_slice(&bytes)])?;
        *self.journal() = JournalFile::Open { file, end: bytes.len() as u64, unsynced: bytes };
        Ok(())
    }

    fn remove_journal(&self) -> io::Result<bool> {
        let mut journal = self.journal();
        if matches!(*journal, JournalFile::Absent) {
            return Ok(false);
        }
        *journal = JournalFile::Stale;
        let removed = self.folder.remove(&self.journal_name())?;
        *journal = JournalFile::Absent;
        Ok(removed)
    }

    pub(crate) fn has_journal(&self) -> bool {
        matches!(*self.journal(), JournalFile::Open { .. })
    }

    /// Appends records, if there is a journal. A small file has none.
    pub(crate) fn note(&self, records: &[Record]) -> io::Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        let mut bytes = Vec::new();
        records.iter().for_each(|record| record.write_to(&mut bytes));
        if let JournalFile::Open { file, end, unsynced } = &mut *self.journal() {
            file.write_at(*end, &[Bytes::copy_from_slice(&bytes)])?;
            *end += bytes.len() as u64;
            unsynced.extend(bytes);
        }
        Ok(())
    }

    /// Syncs the journal. After a failure the records that it covered are written again, since a failed fsync may have
    /// dropped them: the next call can succeed.
    pub(crate) fn sync_journal(&self) -> io::Result<()> {
        // A handle of its own, so that blocks can be noted meanwhile.
        let (file, covered) = match &mut *self.journal() {
            JournalFile::Open { file, end, unsynced } => {
                (Arc::clone(file), (*end - unsynced.len() as u64, std::mem::take(unsynced)))
            }
            JournalFile::Stale | JournalFile::Absent => return Ok(()),
        };
        file.sync().inspect_err(|_| self.rewrite_records(&file, covered))
    }

    /// Writes records again at their place in `file`, unless the journal is another one by now.
    fn rewrite_records(&self, file: &Arc<dyn OpenFile>, (start, mut records): (u64, Vec<u8>)) {
        let mut journal = self.journal();
        let JournalFile::Open { file: current, end, unsynced } = &mut *journal else { return };
        if !Arc::ptr_eq(current, file) || *end != start + (records.len() + unsynced.len()) as u64 {
            return;
        }
        records.append(unsynced);
        // Where this fails too, the next sync does not cover them, and the next start reads up to the first that is lost.
        let _ = file.write_at(start, &[Bytes::copy_from_slice(&records)]);
        *unsynced = records;
    }

    /// Sets room aside. File systems that cannot do so are fine; a full one is an error.
    pub(crate) fn preallocate(&self, total: u64) -> io::Result<bool> {
        if total == 0 { Ok(false) } else { self.file.set_aside(total) }
    }

    /// Gives the whole, synced file its final name and removes the journal. An existing file is replaced only when
    /// `replace` is set. `Ok(false)`: somebody took the `.part` away, so there is nothing to rename.
    pub(crate) fn commit(&self, replace: bool) -> Result<bool, TransferError> {
        match self.folder.standing(&self.name).map_err(|error| self.error("renaming", error))? {
            Standing::File { inode, .. } if inode == self.inode => {}
            _ => return Ok(false),
        }
        if let Err(error) = self.folder.rename(&self.name, self.destination.name(), replace) {
            return Err(match Errno::from_io_error(&error) {
                Some(Errno::EXIST) => self.taken(),
                Some(Errno::ISDIR | Errno::NOTEMPTY) => {
                    TransferError::NotARegularFile { path: self.destination.to_string() }
                }
                _ => self.error("renaming", error),
            });
        }
        self.remove_journal().map_err(|error| self.error("removing the journal of", error))?;
        self.folder.sync().map_err(|error| self.error("syncing the folder of", error))?;
        Ok(true)
    }

    fn taken(&self) -> TransferError {
        let path = self.destination.to_string();
        match self.folder.standing(self.destination.name()) {
            Ok(Standing::File { size, .. }) => TransferError::DestinationExists { path, size },
            _ => TransferError::NotARegularFile { path },
        }
    }

    /// Deletes or truncates what is here, as far as the reason demands.
    pub(crate) fn discard(&self, why: Discard) -> Result<(), TransferError> {
        tracing::debug!(file = %self.destination, ?why, "partial file discarded");
        match why.extent() {
            Extent::Files => self.remove_files().map_err(|error| self.error("removing the partial file of", error)),
            Extent::Content => self.empty().map_err(|error| self.error("emptying the partial file of", error)),
            Extent::Tail(end) => self.file.set_size(end).map_err(|error| self.error("cutting", error)),
        }
    }

    fn empty(&self) -> io::Result<()> {
        self.remove_journal()?;
        self.file.set_size(0)?;
        self.is_own.store(true, Relaxed);
        Ok(())
    }

    fn remove_files(&self) -> io::Result<()> {
        let journal = self.remove_journal();
        self.folder.remove(&self.name)?;
        self.folder.sync()?;
        journal.map(drop)
    }

    /// Writes frames one after another from `offset` on.
    pub(crate) fn write_at(&self, offset: u64, frames: &[Bytes]) -> io::Result<()> {
        self.file.write_at(offset, frames)
    }

    /// Writes a whole block from aligned memory past the page cache. `false` where the file system cannot do so.
    pub(crate) fn write_past_cache(&self, offset: u64, block: &Bytes) -> io::Result<bool> {
        self.file.write_past_cache(offset, block)
    }

    /// Makes it a clone of another file, where the file system can do so.
    pub(crate) fn clone_from(&self, other: &dyn OpenFile) -> bool {
        match (self.file.as_file(), other.as_file()) {
            (Some(to), Some(from)) => rustix::fs::ioctl_ficlone(to, from).is_ok(),
            _ => false,
        }
    }

    /// Brings content and size to the disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }

    /// See [`fs::look_past_memory`].
    pub(crate) fn look_past_memory(&self) -> io::Result<()> {
        fs::look_past_memory(self.file.as_ref())
    }

    /// See [`fs::read_exact_at`].
    pub(crate) fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        fs::read_exact_at(self.file.as_ref(), buffer, offset)
    }

    /// See [`verify::content_of`].
    pub(crate) fn content(&self, stop: &CancellationToken) -> Result<Content, Unread> {
        verify::content_of(self.file.as_ref(), self.block_size(), stop)
    }

    /// See [`verify::damaged_blocks`].
    pub(crate) fn damaged_blocks(&self, blocks: &[(usize, Block)], stop: &CancellationToken) -> Vec<usize> {
        verify::damaged_blocks(self.file.as_ref(), self.block_size(), blocks, stop)
    }

    /// The first bytes, to see whether they are a page.
    pub(crate) fn first_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; 512];
        let read = fs::read_up_to(self.file.as_ref(), &mut bytes, 0).unwrap_or(0);
        bytes.truncate(read);
        bytes
    }

    /// Reserves so many bytes on the file system of the partial file.
    pub(crate) fn reserve(&self, space: &DiskBudget, key: TransferKey, bytes: u64) -> Result<(), Shortage> {
        space.reserve(key, self.folder.as_ref(), bytes)
    }

    /// Bytes that a transfer may use there; nothing where the file system does not say.
    pub(crate) fn available(&self, space: &DiskBudget, key: TransferKey) -> Option<u64> {
        space.available(key, self.folder.as_ref())
    }

    /// What stands at the destination.
    pub(crate) fn at_destination(&self) -> io::Result<Standing> {
        self.folder.standing(self.destination.name())
    }

    /// Opens what stands at the destination for reading.
    pub(crate) fn open_destination(&self) -> io::Result<Box<dyn OpenFile>> {
        self.folder.open(self.destination.name(), Access::Read)
    }

    /// Gives another file of this machine the final name. `false` where that cannot be done: across file systems, because
    /// something has that name, which a link never replaces, or because the path leads to another inode by now.
    pub(crate) fn link_destination(&self, other: &Path, inode: u64) -> io::Result<bool> {
        if self.folder.link(other, self.destination.name()).is_err() {
            return Ok(false);
        }
        if !matches!(self.at_destination()?, Standing::File { inode: found, .. } if found == inode) {
            self.folder.remove(self.destination.name())?;
            return Ok(false);
        }
        Ok(true)
    }
}

/// The same for the files of a destination that no transfer has open; says whether there were any.
pub(crate) fn discard_closed(disk: &dyn Disk, destination: &Destination, why: Discard) -> Result<bool, TransferError> {
    tracing::debug!(file = %destination, ?why, "partial file removed");
    let folder = match open_folder(disk, destination, false) {
        Ok(folder) => folder,
        Err(TransferError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let failed = |error| of_io("removing the partial file of", destination, error);
    let part_name = format!("{}{PART_SUFFIX}", destination.name());
    if folder.open(&part_name, Access::ReadWrite).is_ok_and(|file| !file.lock()) {
        return Ok(false); // Another process or job writes it: it is not this job's.
    }
    let part = folder.remove(&part_name).map_err(failed)?;
    let journal = folder.remove(&format!("{}{JOURNAL_SUFFIX}", destination.name())).map_err(failed)?;
    if part || journal {
        folder.sync().map_err(failed)?;
    }
    Ok(part || journal)
}

/// A link, a folder or a device stands where a file was to be opened.
fn is_no_file(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::LOOP | Errno::ISDIR | Errno::NXIO))
}

/// The same for a file beside it: a folder there that is not empty is somebody's, and is not removed.
fn of_place(action: &'static str, destination: &Destination, suffix: &str, source: io::Error) -> TransferError {
    match Errno::from_io_error(&source) {
        Some(Errno::NOTEMPTY) => TransferError::NotARegularFile { path: format!("{destination}{suffix}") },
        _ => of_io(action, destination, source),
    }
}

/// What a failed system call on a destination means.
pub(crate) fn of_io(action: &'static str, destination: &Destination, source: io::Error) -> TransferError {
    match Errno::from_io_error(&source) {
        Some(Errno::NOSPC | Errno::DQUOT) => TransferError::InsufficientStorage { needed_bytes: 0, available_bytes: 0 },
        Some(Errno::ROFS | Errno::ACCESS | Errno::PERM) => {
            TransferError::ReadOnly { path: destination.to_string(), source }
        }
        _ => TransferError::Io { action, path: destination.root().join(destination.relative()), source },
    }
}
