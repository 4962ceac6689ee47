//! What the engine asks of a file system, and nothing more. `unix` answers with system calls; the simulation of the
//! tests answers from memory, and loses on order what was not synced. Every call here blocks.

use std::fmt::Debug;
use std::fs::File;
use std::io;
use std::path::Path;

use bytes::Bytes;

use crate::Destination;

/// A machine's file systems.
pub(crate) trait Disk: Debug + Send + Sync {
    /// Opens the folder of a destination, without leaving its root. Missing folders are made when `make` is set.
    fn open_parent(&self, destination: &Destination, make: bool) -> io::Result<Box<dyn Folder>>;

    /// Opens a file anywhere on this machine for reading; links are followed.
    fn open_anywhere(&self, path: &Path) -> io::Result<Box<dyn OpenFile>>;
}

/// A folder that is open. Names are single components; links behind them are never followed.
pub(crate) trait Folder: Debug + Send + Sync {
    fn standing(&self, name: &str) -> io::Result<Standing>;

    fn open(&self, name: &str, access: Access) -> io::Result<Box<dyn OpenFile>>;

    /// Removes a file, a link or an empty folder, and says whether it was there.
    fn remove(&self, name: &str) -> io::Result<bool>;

    /// Where `replace` is not set and something has the new name already, that is an error (`EEXIST`).
    fn rename(&self, from: &str, to: &str, replace: bool) -> io::Result<()>;

    /// Gives a file of this machine a second name here, which nothing may have yet.
    fn link(&self, file: &Path, name: &str) -> io::Result<()>;

    /// Brings names that were made, changed or removed to the disk.
    fn sync(&self) -> io::Result<()>;

    /// An error where the file system does not say: then only a write that fails tells that it is full.
    fn room(&self) -> io::Result<Room>;
}

/// A file that is open.
pub(crate) trait OpenFile: Debug + Send + Sync {
    fn status(&self) -> io::Result<Status>;

    /// Locks it for as long as it is open. `false`: somebody else has. On a file system without locks it is free: a
    /// destination is still never replaced unasked.
    fn lock(&self) -> bool;

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes frames one after another from `offset` on.
    fn write_at(&self, offset: u64, frames: &[Bytes]) -> io::Result<()>;

    /// Writes a whole block from aligned memory as the disk takes it, and leaves no copy of it in memory. `false` where the
    /// file system cannot: then it has to be written again.
    fn write_past_cache(&self, offset: u64, block: &Bytes) -> io::Result<bool>;

    fn set_size(&self, size: u64) -> io::Result<()>;

    /// Sets room for so many bytes aside. `false` where the file system cannot; that it is full, or takes no file of that
    /// size, is an error.
    fn set_aside(&self, bytes: u64) -> io::Result<bool>;

    /// Brings content and size to the disk.
    fn sync(&self) -> io::Result<()>;

    /// Forgets what memory holds of it and the disk has already, so that the next read shows the disk.
    fn drop_cache(&self) -> io::Result<()>;

    /// The system's own handle, where there is one: some copies are quicker with it.
    fn as_file(&self) -> Option<&File>;
}

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    ReadWrite,
    /// For reading and writing; made if it is not there.
    Create,
}

/// What stands at a name in a folder, links not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Nothing,
    File { size: u64, inode: u64 },
    Other,
}

/// What a file is at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) size: u64,
    pub(crate) inode: u64,
    /// Somebody has linked to it.
    pub(crate) has_other_names: bool,
    /// Neither a folder nor a device.
    pub(crate) is_file: bool,
}

/// The file system's device number and the bytes on it that an ordinary user may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    pub(crate) device: u64,
    pub(crate) free: u64,
}

/// From here on what is read is what the disk has. A sync that failed, of an earlier process too, may have lost bytes which
/// memory shows still, and which no later sync brings back.
pub(crate) fn look_past_memory(file: &dyn OpenFile) -> io::Result<()> {
    file.sync()?;
    // Some file systems and sandboxes take no such advice. That is no failed sync: what memory shows is all there is.
    if let Err(error) = file.drop_cache() {
        tracing::debug!(%error, "page cache not dropped");
    }
    Ok(())
}

/// Reads until the buffer is full; `UnexpectedEof` when the file ends before that.
pub(crate) fn read_exact_at(file: &dyn OpenFile, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    if read_up_to(file, buffer, offset)? < buffer.len() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}

/// Reads until the buffer is full or the file ends, and says how much there was.
pub(crate) fn read_up_to(file: &dyn OpenFile, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match file.read_at(&mut buffer[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
