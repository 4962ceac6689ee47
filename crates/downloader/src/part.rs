//! The two files that hold a download until it is whole: `NAME.part` with the bytes and `NAME.part.journal` with what is
//! believed of them. Every call here blocks. It decides nothing; `transfer` does.

use std::fs::File;
use std::io::{self, IoSlice, Read, Seek, SeekFrom, Write};
use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use rustix::fs::{AtFlags, FallocateFlags, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::confined::{self, Standing};
use crate::destination::{JOURNAL_SUFFIX, PART_SUFFIX};
use crate::identity::Identity;
use crate::journal::{self, Journal, Record};
use crate::{Destination, TransferError};

/// Longest journal that is read: that of a file of a terabyte.
const LONGEST_JOURNAL: u64 = 64 << 20;

/// Most frames that one system call takes.
const MOST_SLICES: usize = 512;

/// A `.part` that is open and locked.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) folder: OwnedFd,
    pub(crate) file: File,
    inode: u64,
    name: String,
    destination: Destination,
    journal: Mutex<Option<File>>,
}

/// Why a `.part` cannot be used now.
#[derive(Debug)]
pub(crate) enum PartError {
    /// Somebody else holds it.
    Locked,
    Failed(TransferError),
}

impl Part {
    /// Opens or makes the `.part` in `folder` and locks it. What stands in its way and is not a file of ours (a link, an
    /// empty folder) is removed.
    pub(crate) fn open(folder: OwnedFd, destination: &Destination) -> Result<Self, PartError> {
        let name = format!("{}{PART_SUFFIX}", destination.name());
        let failed = |error: io::Error| PartError::Failed(of_io("opening", destination, error));
        for _ in 0..100 {
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
            let file = match rustix::fs::openat(&folder, &name, flags, Mode::from_raw_mode(0o666)) {
                Ok(file) => file,
                Err(Errno::LOOP | Errno::ISDIR | Errno::NXIO) => {
                    confined::remove(&folder, &name).map_err(failed)?;
                    continue;
                }
                Err(error) => return Err(failed(error.into())),
            };
            if is_locked(&file) {
                return Err(PartError::Locked);
            }
            let stat = rustix::fs::fstat(&file).map_err(|error| failed(error.into()))?;
            let ours = confined::standing(&folder, &name).map_err(failed)?;
            let same = matches!(ours, Standing::File { inode, .. } if inode == stat.st_ino);
            if same && stat.st_nlink > 1 {
                // Somebody linked to it: their bytes are not ours to overwrite.
                confined::remove(&folder, &name).map_err(failed)?;
            } else if same {
                let destination = destination.clone();
                let (file, inode) = (file.into(), stat.st_ino);
                return Ok(Self { folder, file, inode, name, destination, journal: Mutex::new(None) });
            } else if ours == Standing::Other {
                confined::remove(&folder, &name).map_err(failed)?;
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
        of_io(action, &self.destination, error)
    }

    pub(crate) fn size(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn journal_name(&self) -> String {
        format!("{}{JOURNAL_SUFFIX}", self.destination.name())
    }

    fn journal(&self) -> MutexGuard<'_, Option<File>> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn open_journal(&self, create: bool) -> io::Result<Option<File>> {
        let create = if create { OFlags::CREATE } else { OFlags::empty() };
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK | create;
        match rustix::fs::openat(&self.folder, self.journal_name(), flags, Mode::from_raw_mode(0o666)) {
            // A second link to it means that it is somebody's file, not a journal to be cut.
            Ok(file) if rustix::fs::fstat(&file)?.st_nlink > 1 => {
                confined::remove(&self.folder, &self.journal_name())?;
                if create.is_empty() { Ok(None) } else { self.open_journal(true) }
            }
            Ok(file) => Ok(Some(file.into())),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::LOOP | Errno::ISDIR | Errno::NXIO) => {
                confined::remove(&self.folder, &self.journal_name())?;
                if create.is_empty() { Ok(None) } else { self.open_journal(true) }
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Reads the journal, if there is one, and cuts off what is broken at its end.
    pub(crate) fn read_journal(&self) -> io::Result<Option<Journal>> {
        let Some(mut file) = self.open_journal(false)? else { return Ok(None) };
        let mut bytes = Vec::new();
        (&mut file).take(LONGEST_JOURNAL).read_to_end(&mut bytes)?;
        let read = Journal::read(&bytes);
        file.set_len(read.good_bytes)?;
        file.seek(SeekFrom::Start(read.good_bytes))?;
        if read.identity.is_some() {
            *self.journal() = Some(file);
        }
        Ok(Some(read))
    }

    /// Begins the journal anew for this content. Blocks that were believed before are no longer.
    pub(crate) fn begin_journal(&self, identity: &Identity) -> io::Result<()> {
        let mut file = self.open_journal(true)?.ok_or(io::ErrorKind::NotFound)?;
        file.set_len(0)?;
        let mut bytes = journal::head();
        Record::Identity(identity.clone()).write_to(&mut bytes);
        file.write_all(&bytes)?;
        *self.journal() = Some(file);
        Ok(())
    }

    /// Removes the journal; nothing is believed any more.
    pub(crate) fn remove_journal(&self) -> io::Result<bool> {
        *self.journal() = None;
        confined::remove(&self.folder, &self.journal_name())
    }

    pub(crate) fn has_journal(&self) -> bool {
        self.journal().is_some()
    }

    /// Appends records, if there is a journal. A small file has none.
    pub(crate) fn note(&self, records: &[Record]) -> io::Result<()> {
        let mut bytes = Vec::new();
        records.iter().for_each(|record| record.write_to(&mut bytes));
        match self.journal().as_mut() {
            Some(file) => file.write_all(&bytes),
            None => Ok(()),
        }
    }

    pub(crate) fn sync_journal(&self) -> io::Result<()> {
        // A second handle, so that blocks can be noted meanwhile.
        let file = self.journal().as_ref().map(File::try_clone).transpose()?;
        file.map_or(Ok(()), |file| file.sync_data())
    }

    /// Sets room aside. File systems that cannot do so are fine; a full one is an error.
    pub(crate) fn preallocate(&self, total: u64) -> io::Result<bool> {
        if total == 0 {
            return Ok(false);
        }
        match rustix::fs::fallocate(&self.file, FallocateFlags::KEEP_SIZE, 0, total) {
            Ok(()) => Ok(true),
            Err(error @ (Errno::NOSPC | Errno::DQUOT)) => Err(error.into()),
            Err(_) => Ok(false),
        }
    }

    /// Writes frames one after another from `offset` on.
    pub(crate) fn write(&self, mut offset: u64, frames: &[Bytes]) -> io::Result<()> {
        for group in frames.chunks(MOST_SLICES) {
            let mut slices: Vec<IoSlice<'_>> = group.iter().map(|frame| IoSlice::new(frame)).collect();
            let mut left = slices.as_mut_slice();
            while left.iter().any(|slice| !slice.is_empty()) {
                match rustix::io::pwritev(&self.file, left, offset) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(written) => {
                        offset += written as u64;
                        IoSlice::advance_slices(&mut left, written);
                    }
                    Err(Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(())
    }

    /// Gives the whole, synced file its final name and removes the journal. An existing file is replaced only when
    /// `replace` is set. `Ok(false)`: somebody took the `.part` away, so there is nothing to rename.
    pub(crate) fn commit(&self, replace: bool) -> Result<bool, TransferError> {
        let failed = |error| self.error("renaming", error);
        match confined::standing(&self.folder, &self.name).map_err(failed)? {
            Standing::File { inode, .. } if inode == self.inode => {}
            _ => return Ok(false),
        }
        let renamed = if replace { self.rename(RenameFlags::empty()) } else { self.rename_without_replacing() };
        match renamed {
            Ok(()) => {}
            Err(Errno::EXIST) => return Err(self.taken()),
            Err(Errno::ISDIR | Errno::NOTEMPTY) => {
                return Err(TransferError::NotARegularFile { path: self.destination.to_string() });
            }
            Err(error) => return Err(failed(error.into())),
        }
        rustix::fs::fsync(&self.folder).map_err(|error| self.error("syncing the folder of", error.into()))?;
        self.remove_journal().map_err(|error| self.error("removing the journal of", error))?;
        Ok(true)
    }

    fn rename(&self, flags: RenameFlags) -> Result<(), Errno> {
        rustix::fs::renameat_with(&self.folder, &self.name, &self.folder, self.destination.name(), flags)
    }

    /// Where the file system cannot rename without replacing, a hard link refuses just as well; where it has no links
    /// either, a look has to do.
    fn rename_without_replacing(&self) -> Result<(), Errno> {
        match self.rename(RenameFlags::NOREPLACE) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {}
            other => return other,
        }
        let name = self.destination.name();
        match rustix::fs::linkat(&self.folder, &self.name, &self.folder, name, AtFlags::empty()) {
            Ok(()) => rustix::fs::unlinkat(&self.folder, &self.name, AtFlags::empty()),
            Err(Errno::EXIST) => Err(Errno::EXIST),
            Err(_) => match rustix::fs::statat(&self.folder, name, AtFlags::SYMLINK_NOFOLLOW) {
                Err(Errno::NOENT) => self.rename(RenameFlags::empty()),
                Ok(_) => Err(Errno::EXIST),
                Err(error) => Err(error),
            },
        }
    }

    fn taken(&self) -> TransferError {
        let path = self.destination.to_string();
        match confined::standing(&self.folder, self.destination.name()) {
            Ok(Standing::File { size, .. }) => TransferError::DestinationExists { path, size },
            _ => TransferError::NotARegularFile { path },
        }
    }

    /// Removes both files.
    pub(crate) fn discard(&self) -> io::Result<bool> {
        let journal = self.remove_journal()?;
        Ok(confined::remove(&self.folder, &self.name)? || journal)
    }
}

/// Removes the partial files of a destination without opening them, and says whether there were any.
pub(crate) fn discard(destination: &Destination) -> Result<bool, TransferError> {
    let folder = match confined::open_parent(destination, false) {
        Ok(folder) => folder,
        Err(TransferError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    let failed = |error| of_io("removing the partial file of", destination, error);
    let part_name = format!("{}{PART_SUFFIX}", destination.name());
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let held = rustix::fs::openat(&folder, &part_name, flags, Mode::empty());
    if held.is_ok_and(|file| is_locked(&file)) {
        return Ok(false); // Another process or job writes it: it is not this job's.
    }
    let part = confined::remove(&folder, &part_name).map_err(failed)?;
    let journal = confined::remove(&folder, &format!("{}{JOURNAL_SUFFIX}", destination.name())).map_err(failed)?;
    Ok(part || journal)
}

/// Locks a file for as long as it is open, or says that somebody else has. On a file system without locks it is free:
/// the destination is still never replaced unasked.
fn is_locked(file: &OwnedFd) -> bool {
    rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK)
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
