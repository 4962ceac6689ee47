//! The file system as the system calls give it. Folders are walked by `confined`; everything here is relative to a folder
//! that is open, so a path that is swapped later leads nowhere.

use std::fs::File;
use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

use bytes::Bytes;
use rustix::fs::{AtFlags, CWD, FallocateFlags, FileType, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::disk::{Access, Disk, Folder, OpenFile, Room, Standing, Status};
use crate::{Destination, confined};

/// Most frames that one system call takes.
const MOST_SLICES: usize = 512;

/// The machine that this process runs on.
#[derive(Debug)]
pub(crate) struct UnixDisk;

#[derive(Debug)]
struct UnixFolder(OwnedFd);

#[derive(Debug)]
struct UnixFile(File);

impl Disk for UnixDisk {
    fn open_parent(&self, destination: &Destination, make: bool) -> io::Result<Box<dyn Folder>> {
        Ok(Box::new(UnixFolder(confined::open_parent(destination, make)?)))
    }

    fn open_anywhere(&self, path: &Path) -> io::Result<Box<dyn OpenFile>> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        Ok(Box::new(UnixFile(rustix::fs::open(path, flags, Mode::empty())?.into())))
    }
}

impl Folder for UnixFolder {
    fn standing(&self, name: &str) -> io::Result<Standing> {
        match rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => {
                Ok(Standing::File { size: u64::try_from(stat.st_size).unwrap_or(0), inode: stat.st_ino })
            }
            Ok(_) => Ok(Standing::Other),
            Err(Errno::NOENT) => Ok(Standing::Nothing),
            Err(error) => Err(error.into()),
        }
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Box<dyn OpenFile>> {
        let access = match access {
            Access::Read => OFlags::RDONLY,
            Access::ReadWrite => OFlags::RDWR,
            Access::Create => OFlags::RDWR | OFlags::CREATE,
        };
        let flags = access | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        Ok(Box::new(UnixFile(rustix::fs::openat(&self.0, name, flags, Mode::from_raw_mode(0o666))?.into())))
    }

    fn remove(&self, name: &str) -> io::Result<bool> {
        match rustix::fs::unlinkat(&self.0, name, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(Errno::ISDIR | Errno::PERM) => {
                Ok(rustix::fs::unlinkat(&self.0, name, AtFlags::REMOVEDIR).map(|()| true)?)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Where the file system cannot rename without replacing, a hard link refuses just as well; where it has no links
    /// either, a look has to do.
    fn rename(&self, from: &str, to: &str, replace: bool) -> io::Result<()> {
        let rename = |flags| rustix::fs::renameat_with(&self.0, from, &self.0, to, flags);
        if replace {
            return Ok(rename(RenameFlags::empty())?);
        }
        match rename(RenameFlags::NOREPLACE) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {}
            other => return Ok(other?),
        }
        match rustix::fs::linkat(&self.0, from, &self.0, to, AtFlags::empty()) {
            Ok(()) => Ok(rustix::fs::unlinkat(&self.0, from, AtFlags::empty())?),
            Err(Errno::EXIST) => Err(Errno::EXIST.into()),
            Err(_) => match self.standing(to)? {
                Standing::Nothing => Ok(rename(RenameFlags::empty())?),
                _ => Err(Errno::EXIST.into()),
            },
        }
    }

    fn link(&self, file: &Path, name: &str) -> io::Result<()> {
        Ok(rustix::fs::linkat(CWD, file, &self.0, name, AtFlags::SYMLINK_FOLLOW)?)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.0)?)
    }

    fn room(&self) -> io::Result<Room> {
        let device = rustix::fs::fstat(&self.0)?.st_dev;
        let room = rustix::fs::fstatvfs(&self.0)?;
        Ok(Room { device, free: room.f_bavail.saturating_mul(room.f_frsize) })
    }
}

impl OpenFile for UnixFile {
    fn status(&self) -> io::Result<Status> {
        let stat = rustix::fs::fstat(&self.0)?;
        let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        Ok(Status { size, inode: stat.st_ino, has_other_names: stat.st_nlink > 1, is_file })
    }

    fn lock(&self) -> bool {
        rustix::fs::flock(&self.0, FlockOperation::NonBlockingLockExclusive) != Err(Errno::WOULDBLOCK)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }

    fn write_at(&self, mut offset: u64, frames: &[Bytes]) -> io::Result<()> {
        for group in frames.chunks(MOST_SLICES) {
            let mut slices: Vec<IoSlice<'_>> = group.iter().map(|frame| IoSlice::new(frame)).collect();
            let mut left = slices.as_mut_slice();
            while left.iter().any(|slice| !slice.is_empty()) {
                match rustix::io::pwritev(&self.0, left, offset) {
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

    fn set_size(&self, size: u64) -> io::Result<()> {
        self.0.set_len(size)
    }

    fn set_aside(&self, bytes: u64) -> io::Result<bool> {
        match rustix::fs::fallocate(&self.0, FallocateFlags::KEEP_SIZE, 0, bytes) {
            Ok(()) => Ok(true),
            Err(error @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG)) => Err(error.into()),
            Err(_) => Ok(false),
        }
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn as_file(&self) -> Option<&File> {
        Some(&self.0)
    }
}
