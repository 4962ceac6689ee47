//! The folders on the way to a destination, walked and made without ever leaving the root. Everything after that is done
//! relative to the folder that was opened, so a path that is swapped later leads nowhere.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::Destination;

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Opens the folder of a destination. Missing folders are made when `make` is set.
pub(crate) fn open_parent(destination: &Destination, make: bool) -> io::Result<OwnedFd> {
    let open_root = || rustix::fs::openat(CWD, destination.root(), FOLDER, Mode::empty());
    let root = match open_root() {
        Err(Errno::NOENT) if make => {
            std::fs::create_dir_all(destination.root())?;
            open_root()?
        }
        other => other?,
    };
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
