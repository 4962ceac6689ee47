//! The file system as the system calls give it. Folders are walked by `beneath`; everything here is relative to a folder
//! that is open, so a path that is swapped later leads nowhere.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use bytes::Bytes;
use rustix::fs::{Advice, AtFlags, CWD, FallocateFlags, FileType, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::Destination;
use crate::storage::beneath;
use crate::storage::fs::{Access, Disk, Folder, OpenFile, Room, Standing, Status};
use crate::storage::group_fsync::GroupFsync;

/// Most frames that one system call takes.
const MOST_SLICES: usize = 512;

/// The machine that this process runs on.
#[derive(Debug, Default)]
pub(crate) struct UnixDisk {
    /// What those who use a folder share, by its device and inode.
    shared: Mutex<HashMap<(u64, u64), Weak<Shared>>>,
}

#[derive(Debug)]
struct UnixFolder {
    folder: OwnedFd,
    shared: Arc<Shared>,
}

/// Of one folder, for all that have it open.
#[derive(Debug, Default)]
struct Shared {
    /// Many files end in it at once.
    syncs: GroupFsync,
    /// The kernel makes one file at a time in a folder, and a thread that waits for that spins.
    making: Mutex<()>,
}

#[derive(Debug)]
struct UnixFile {
    file: File,
    /// The same file for writes that go past the page cache, once it was asked for; nothing where that is not possible.
    past_cache: OnceLock<Option<File>>,
}

impl From<OwnedFd> for UnixFile {
    fn from(file: OwnedFd) -> Self {
        Self { file: file.into(), past_cache: OnceLock::new() }
    }
}

impl Disk for UnixDisk {
    fn open_parent(&self, destination: &Destination, make: bool) -> io::Result<Box<dyn Folder>> {
        let folder = beneath::open_parent(destination, make)?;
        let stat = rustix::fs::fstat(&folder)?;
        let shared = self.shared_by((stat.st_dev, stat.st_ino));
        Ok(Box::new(UnixFolder { folder, shared }))
    }

    fn open_anywhere(&self, path: &Path) -> io::Result<Box<dyn OpenFile>> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        Ok(Box::new(UnixFile::from(rustix::fs::open(path, flags, Mode::empty())?)))
    }
}

impl UnixDisk {
    /// An inode number is its folder's own for as long as that is open, and so is the entry.
    fn shared_by(&self, folder: (u64, u64)) -> Arc<Shared> {
        let mut all = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(shared) = all.get(&folder).and_then(Weak::upgrade) {
            return shared;
        }
        all.retain(|_, shared| shared.strong_count() > 0);
        let shared = Arc::default();
        all.insert(folder, Arc::downgrade(&shared));
        shared
    }
}

impl Folder for UnixFolder {
    fn standing(&self, name: &str) -> io::Result<Standing> {
        match rustix::fs::statat(&self.folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => {
                Ok(Standing::File { size: u64::try_from(stat.st_size).unwrap_or(0), inode: stat.st_ino })
            }
            Ok(_) => Ok(Standing::Other),
            Err(Errno::NOENT) => Ok(Standing::Nothing),
            Err(error) => Err(error.into()),
        }
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Box<dyn OpenFile>> {
        let turn = (access == Access::Create).then(|| self.shared.making.lock());
        let access = match access {
            Access::Read => OFlags::RDONLY,
            Access::ReadWrite => OFlags::RDWR,
            Access::Create => OFlags::RDWR | OFlags::CREATE,
        };
        let flags = access | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let opened = rustix::fs::openat(&self.folder, name, flags, Mode::from_raw_mode(0o666));
        drop(turn);
        Ok(Box::new(UnixFile::from(opened?)))
    }

    fn remove(&self, name: &str) -> io::Result<bool> {
        match rustix::fs::unlinkat(&self.folder, name, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(Errno::ISDIR | Errno::PERM) => {
                Ok(rustix::fs::unlinkat(&self.folder, name, AtFlags::REMOVEDIR).map(|()| true)?)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Where the file system cannot rename without replacing, a hard link refuses just as well; where it has no links
    /// either, a look has to do.
    fn rename(&self, from: &str, to: &str, replace: bool) -> io::Result<()> {
        let rename = |flags| rustix::fs::renameat_with(&self.folder, from, &self.folder, to, flags);
        if replace {
            return Ok(rename(RenameFlags::empty())?);
        }
        match rename(RenameFlags::NOREPLACE) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {}
            other => return Ok(other?),
        }
        match rustix::fs::linkat(&self.folder, from, &self.folder, to, AtFlags::empty()) {
            Ok(()) => Ok(rustix::fs::unlinkat(&self.folder, from, AtFlags::empty())?),
            Err(Errno::EXIST) => Err(Errno::EXIST.into()),
            Err(_) => match self.standing(to)? {
                Standing::Nothing => Ok(rename(RenameFlags::empty())?),
                _ => Err(Errno::EXIST.into()),
            },
        }
    }

    fn link(&self, file: &Path, name: &str) -> io::Result<()> {
        Ok(rustix::fs::linkat(CWD, file, &self.folder, name, AtFlags::SYMLINK_FOLLOW)?)
    }

    fn sync(&self) -> io::Result<()> {
        self.shared.syncs.run(|| beneath::sync(&self.folder))
    }

    fn room(&self) -> io::Result<Room> {
        let device = rustix::fs::fstat(&self.folder)?.st_dev;
        let room = rustix::fs::fstatvfs(&self.folder)?;
        if room.f_blocks == 0 {
            return Err(io::ErrorKind::Unsupported.into()); // As on ramfs, and where nobody can know, over a network.
        }
        Ok(Room { device, free: room.f_bavail.saturating_mul(room.f_frsize) })
    }
}

impl OpenFile for UnixFile {
    fn status(&self) -> io::Result<Status> {
        let stat = rustix::fs::fstat(&self.file)?;
        let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        Ok(Status { size, inode: stat.st_ino, has_other_names: stat.st_nlink > 1, is_file })
    }

    fn lock(&self) -> bool {
        rustix::fs::flock(&self.file, FlockOperation::NonBlockingLockExclusive) != Err(Errno::WOULDBLOCK)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.file.read_at(buffer, offset)
    }

    fn write_at(&self, offset: u64, frames: &[Bytes]) -> io::Result<()> {
        write_all(&self.file, offset, frames)
    }

    fn write_past_cache(&self, offset: u64, block: &Bytes) -> io::Result<bool> {
        let Some(file) = self.past_cache.get_or_init(|| open_past_cache(&self.file)) else { return Ok(false) };
        match write_all(file, offset, std::slice::from_ref(block)) {
            // It wants another alignment, or came to the end of the room in the middle of the block.
            Err(error) if matches!(Errno::from_io_error(&error), Some(Errno::INVAL | Errno::OPNOTSUPP)) => Ok(false),
            other => other.map(|()| true),
        }
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        self.file.set_len(size)
    }

    fn set_aside(&self, bytes: u64) -> io::Result<bool> {
        match rustix::fs::fallocate(&self.file, FallocateFlags::KEEP_SIZE, 0, bytes) {
            Ok(()) => Ok(true),
            Err(error @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG)) => Err(error.into()),
            Err(_) => Ok(false),
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn drop_cache(&self) -> io::Result<()> {
        Ok(rustix::fs::fadvise(&self.file, 0, None, Advice::DontNeed)?)
    }

    fn as_file(&self) -> Option<&File> {
        Some(&self.file)
    }
}

fn write_all(file: &File, mut offset: u64, frames: &[Bytes]) -> io::Result<()> {
    for group in frames.chunks(MOST_SLICES) {
        let mut slices: Vec<IoSlice<'_>> = group.iter().map(|frame| IoSlice::new(frame)).collect();
        let mut left = slices.as_mut_slice();
        while left.iter().any(|slice| !slice.is_empty()) {
            match rustix::io::pwritev(file, left, offset) {
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

/// Opens an open file once more, whatever its name is by now.
fn open_past_cache(file: &File) -> Option<File> {
    let flags = OFlags::WRONLY | OFlags::DIRECT | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let name = format!("/proc/self/fd/{}", file.as_raw_fd());
    rustix::fs::open(name, flags, Mode::empty()).ok().map(File::from)
}

#[cfg(test)]
#[path = "unix_tests.rs"]
mod tests;
