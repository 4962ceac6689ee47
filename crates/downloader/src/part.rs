//! The two files that hold a download until it is whole: `NAME.part` with the bytes and `NAME.part.journal` with what is
//! believed of them. Every call here blocks. It decides nothing; `transfer` does.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use rustix::io::Errno;

use crate::destination::{JOURNAL_SUFFIX, PART_SUFFIX};
use crate::disk::{self, Access, Disk, Folder, OpenFile, Standing};
use crate::identity::Identity;
use crate::journal::{self, Journal, Record};
use crate::{Destination, TransferError};

/// Longest journal that is read: that of a file of a terabyte.
const LONGEST_JOURNAL: u64 = 64 << 20;

/// A `.part` that is open and locked.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) folder: Box<dyn Folder>,
    pub(crate) file: Box<dyn OpenFile>,
    inode: u64,
    name: String,
    destination: Destination,
    journal: Mutex<JournalFile>,
}

/// Where the journal stands.
#[derive(Debug)]
enum JournalFile {
    /// Nobody has looked yet.
    Unknown,
    Absent,
    /// Records are appended at `end`.
    Open {
        file: Arc<dyn OpenFile>,
        end: u64,
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
    /// Opens or makes the `.part` in `folder` and locks it. What stands in its way and is not a file of ours (a link, an
    /// empty folder) is removed.
    pub(crate) fn open(folder: Box<dyn Folder>, destination: &Destination) -> Result<Self, PartError> {
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
                let journal = Mutex::new(JournalFile::Unknown);
                return Ok(Self { folder, file, inode, name, destination, journal });
            } else if ours == Standing::Other {
                folder.remove(&name).map_err(failed)?;
            }
            // Else whoever held it has renamed or removed it meanwhile: look again.
        }
        Err(PartError::Locked)
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

    /// Reads the journal, if there is one, and cuts off what is broken at its end.
    pub(crate) fn read_journal(&self) -> io::Result<Option<Journal>> {
        let Some(file) = self.open_journal(Access::ReadWrite)? else {
            *self.journal() = JournalFile::Absent;
            return Ok(None);
        };
        let length = file.status()?.size.min(LONGEST_JOURNAL);
        let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        let read = disk::read_up_to(file.as_ref(), &mut bytes, 0)?;
        let read = Journal::read(&bytes[..read]);
        file.set_size(read.good_bytes)?;
        if read.identity.is_some() {
            *self.journal() = JournalFile::Open { file, end: read.good_bytes };
        }
        Ok(Some(read))
    }

    /// Begins the journal anew for this content. Blocks that were believed before are no longer.
    pub(crate) fn begin_journal(&self, identity: &Identity) -> io::Result<()> {
        let file = self.open_journal(Access::Create)?.ok_or(io::ErrorKind::NotFound)?;
        file.set_size(0)?;
        let mut bytes = journal::head();
        Record::Identity(identity.clone()).write_to(&mut bytes);
        let end = bytes.len() as u64;
        file.write_at(0, &[bytes.into()])?;
        *self.journal() = JournalFile::Open { file, end };
        Ok(())
    }

    /// Removes the journal; nothing is believed any more.
    pub(crate) fn remove_journal(&self) -> io::Result<bool> {
        let mut journal = self.journal();
        if matches!(*journal, JournalFile::Absent) {
            return Ok(false);
        }
        *journal = JournalFile::Unknown;
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
        if let JournalFile::Open { file, end } = &mut *self.journal() {
            let bytes = Bytes::from(bytes);
            let length = bytes.len() as u64;
            file.write_at(*end, &[bytes])?;
            *end += length;
        }
        Ok(())
    }

    pub(crate) fn sync_journal(&self) -> io::Result<()> {
        // A handle of its own, so that blocks can be noted meanwhile.
        let file = match &*self.journal() {
            JournalFile::Open { file, .. } => Arc::clone(file),
            JournalFile::Unknown | JournalFile::Absent => return Ok(()),
        };
        file.sync()
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

    /// Removes both files, for good: a power cut does not bring them back.
    pub(crate) fn discard(&self) -> io::Result<()> {
        let journal = self.remove_journal();
        self.folder.remove(&self.name)?;
        self.folder.sync()?;
        journal.map(drop)
    }
}

/// Removes the partial files of a destination without opening them, and says whether there were any.
pub(crate) fn discard(disk: &dyn Disk, destination: &Destination) -> Result<bool, TransferError> {
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
