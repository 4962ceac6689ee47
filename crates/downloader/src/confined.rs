//! The folders on the way to a destination, walked and made without ever leaving the root. Everything after that is done
//! relative to the folder that was opened, so a path that is swapped later leads nowhere.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::{Destination, TransferError};

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Opens the folder of a destination. Missing folders are made when `make` is set.
pub(crate) fn open_parent(destination: &Destination, make: bool) -> Result<OwnedFd, TransferError> {
    walk(destination, make).map_err(|source| {
        let path = destination.to_string();
        match Errno::from_io_error(&source) {
            Some(Errno::XDEV | Errno::LOOP | Errno::NOTDIR) => TransferError::OutsideRoot { path, source },
            Some(Errno::ROFS | Errno::ACCESS | Errno::PERM) => TransferError::ReadOnly { path, source },
            _ => TransferError::Io {
                action: "opening the folder of",
                path: destination.root().join(destination.relative()),
                source,
            },
        }
    })
}

fn walk(destination: &Destination, make: bool) -> io::Result<OwnedFd> {
    if make {
        std::fs::create_dir_all(destination.root())?;
    }
    let root = rustix::fs::openat(CWD, destination.root(), FOLDER, Mode::empty())?;
    let mut walked = String::new();
    let mut folder: Option<OwnedFd> = None;
    for name in destination.parents() {
        let parent = folder.as_ref().unwrap_or(&root);
        if make {
            match rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o777)) {
                Ok(()) => rustix::fs::fsync(parent)?,
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if !walked.is_empty() {
            walked.push('/');
        }
        walked.push_str(name);
        folder = Some(open_beneath(&root, parent, &walked, name)?);
    }
    Ok(folder.unwrap_or(root))
}

/// The kernel resolves the path from the root and refuses to leave it; links inside the root are fine. Where it cannot
/// do that (before Linux 5.6, some sandboxes), no link at all is followed.
fn open_beneath(root: &OwnedFd, parent: &OwnedFd, walked: &str, name: &str) -> io::Result<OwnedFd> {
    let confined = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS);
    match rustix::fs::openat2(root, walked, FOLDER, Mode::empty(), confined) {
        Err(Errno::NOSYS | Errno::PERM | Errno::INVAL) => {
            Ok(rustix::fs::openat(parent, name, FOLDER.union(OFlags::NOFOLLOW), Mode::empty())?)
        }
        other => Ok(other?),
    }
}

/// What stands at a name in a folder, links not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Nothing,
    File { size: u64, inode: u64 },
    Other,
}

pub(crate) fn standing(folder: impl AsFd, name: &str) -> io::Result<Standing> {
    match rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => {
            Ok(Standing::File { size: u64::try_from(stat.st_size).unwrap_or(0), inode: stat.st_ino })
        }
        Ok(_) => Ok(Standing::Other),
        Err(Errno::NOENT) => Ok(Standing::Nothing),
        Err(error) => Err(error.into()),
    }
}

/// Removes a file if it is there, and says whether it was. A folder in its place is removed when it is empty.
pub(crate) fn remove(folder: impl AsFd, name: &str) -> io::Result<bool> {
    match rustix::fs::unlinkat(&folder, name, AtFlags::empty()) {
        Ok(()) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(Errno::ISDIR | Errno::PERM) => Ok(rustix::fs::unlinkat(&folder, name, AtFlags::REMOVEDIR).map(|()| true)?),
        Err(error) => Err(error.into()),
    }
}
