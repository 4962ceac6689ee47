//! The file by which the processes that share a database tell each other of changes of access: a sequence lock.
//!
//! A writer holds an exclusive flock(2) on the file, appends one byte, changes the database, appends one byte more and lets go. So
//! an odd length says that a change is being made, and an even one that is still the same says that nothing was changed. A writer
//! that dies leaves an odd length and no lock: the next reader reads the database and appends the missing byte. The length
//! means nothing beyond the life of the processes that look at it, so it is never synced.

use std::{
    fs::{File, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use rustix::{
    fs::{FlockOperation, flock, fstat},
    io::Errno,
};

use crate::{Error, own_file, tasks::blocking};

/// The file, beside the database.
const FILE_NAME: &str = "access.changes";

/// How long a writer waits for the one before it, and how long between two tries.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// A server that starts empties a file that has grown to so many bytes.
const LONGEST: u64 = 64 << 10;

/// What the length of the file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sequence {
    /// Nobody changes anything. What was read at the same length is still true.
    Settled(u64),
    /// A change is being made, or its maker died.
    Changing,
}

impl Sequence {
    fn of(length: u64) -> Self {
        if length.is_multiple_of(2) { Self::Settled(length) } else { Self::Changing }
    }
}

/// The file as a reader has it.
#[derive(Debug)]
pub(super) struct Changes {
    path: PathBuf,
    open: ArcSwap<File>,
}

impl Changes {
    /// Opens the file beside a database, and makes it where it is missing. Blocks.
    pub(super) fn open(database: &Path) -> io::Result<Self> {
        let path = database.with_file_name(FILE_NAME);
        let open = ArcSwap::from_pointee(open_file(&path)?);
        Ok(Self { path, open })
    }

    /// What the file says at this moment. `None` where it cannot be asked: it was removed, or its disk fails.
    pub(super) fn sequence(&self) -> Option<Sequence> {
        length_of(&self.open.load()).map(Sequence::of)
    }

    /// Takes the file that is in place now, after somebody removed the one that was open. Blocks.
    pub(super) fn reopen(&self) -> io::Result<()> {
        self.open.store(Arc::new(open_file(&self.path)?));
        Ok(())
    }

    /// The lock, where no writer has it. Blocks, but for no other process.
    pub(super) fn try_lock(&self) -> io::Result<Option<ChangesLock>> {
        let file = open_file(&self.path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) if length_of(&file).is_some() => Ok(Some(ChangesLock(file))),
            Ok(()) | Err(Errno::WOULDBLOCK | Errno::INTR) => Ok(None),
            Err(cause) => Err(cause.into()),
        }
    }

    /// Waits for the lock and says that a change begins.
    pub(super) async fn begin(self: &Arc<Self>) -> Result<ChangesLock, Error> {
        let this = Arc::clone(self);
        blocking(move || {
            let lock = this.wait_for_lock().map_err(failed)?;
            lock.pad(true).map_err(failed)?;
            Ok(lock)
        })
        .await?
    }

    fn wait_for_lock(&self) -> io::Result<ChangesLock> {
        let given_up_at = Instant::now() + LOCK_TIMEOUT;
        loop {
            if let Some(lock) = self.try_lock()? {
                return Ok(lock);
            }
            if Instant::now() >= given_up_at {
                let message = format!("another process holds the lock on {}", self.path.display());
                return Err(io::Error::new(io::ErrorKind::TimedOut, message));
            }
            std::thread::sleep(LOCK_PAUSE);
        }
    }

    /// Empties a file that has become long. For the start of a server, before anything is read. Blocks.
    pub(super) fn shorten(&self) {
        let shortened = self.try_lock().and_then(|lock| {
            let long = lock.filter(|ChangesLock(file)| length_of(file).is_some_and(|length| length > LONGEST));
            long.map_or(Ok(()), |ChangesLock(file)| file.set_len(0))
        });
        if let Err(cause) = shortened {
            tracing::warn!(path = %self.path.display(), error = %cause, "the file of changes of access could not be shortened");
        }
    }
}

/// The right to change access. Dropping it lets the next writer in; without [`finish`](Self::finish) the change counts as one whose
/// maker died.
#[derive(Debug)]
pub(super) struct ChangesLock(File);

impl ChangesLock {
    /// Says that the change is made; answers with the length that says so. Blocks.
    pub(super) fn finish(&self) -> io::Result<u64> {
        self.pad(false)?;
        length_of(&self.0).ok_or_else(|| io::Error::other("the file was removed"))
    }

    /// Makes the length odd or even.
    fn pad(&self, odd: bool) -> io::Result<()> {
        let length = length_of(&self.0).ok_or_else(|| io::Error::other("the file was removed"))?;
        if length.is_multiple_of(2) == odd {
            (&self.0).write_all(b".")?;
        }
        Ok(())
    }
}

fn open_file(path: &Path) -> io::Result<File> {
    let file = own_file::open(path, OpenOptions::new().append(true).create(true).mode(0o600))?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
}

/// The length of a file that still has a name.
fn length_of(file: &File) -> Option<u64> {
    let facts = fstat(file).ok().filter(|facts| facts.st_nlink > 0)?;
    u64::try_from(facts.st_size).ok()
}

fn failed(cause: io::Error) -> Error {
    match cause.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::DatabaseFull,
        io::ErrorKind::TimedOut => Error::DatabaseLocked(cause.into()),
        _ => Error::internal(cause),
    }
}
