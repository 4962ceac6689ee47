//! The folders on the way to a destination, walked and made without ever leaving the root. Everything after that is done
//! relative to the folder that was opened, so a path that is swapped later leads nowhere.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::Destination;

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Of a folder that is made, less what the process takes off.
const MODE: Mode = Mode::from_raw_mode(0o777);

/// Opens the folder of a destination. Missing folders are made when `may_make` is set.
pub(crate) fn open_parent(destination: &Destination, may_make: bool) -> io::Result<OwnedFd> {
    let open_root = || rustix::fs::openat(CWD, destination.root(), FOLDER, Mode::empty());
    let root = match open_root() {
        Err(Errno::NOENT) if may_make => {
            make(destination.root())?;
            open_root()?
        }
        other => other?,
    };
    let mut walked = String::new();
    let mut folder: Option<OwnedFd> = None;
    for name in destination.parents() {
        let parent = folder.as_ref().unwrap_or(&root);
        if may_make {
            match rustix::fs::mkdirat(parent, name, MODE) {
                Ok(()) => sync(parent)?,
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

/// Makes a folder and those on the way to it, and brings their names to the disk: a file in it would else be lost with it.
fn make(folder: &Path) -> io::Result<()> {
    let above = folder.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let made = match rustix::fs::mkdir(folder, MODE) {
        Err(Errno::NOENT) if folder != above => {
            make(above)?;
            rustix::fs::mkdir(folder, MODE)
        }
        other => other,
    };
    match made {
        Ok(()) => sync(rustix::fs::open(above, FOLDER, Mode::empty())?),
        Err(Errno::EXIST) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Brings the names in a folder to the disk. Where a file system knows no such thing, it has done what it can.
pub(crate) fn sync(folder: impl AsFd) -> io::Result<()> {
    match rustix::fs::fsync(folder) {
        Err(Errno::INVAL) => Ok(()),
        other => Ok(other?),
    }
}
