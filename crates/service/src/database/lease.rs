//! One server for one database: a lock among the processes of a machine, and on network volumes a lease among machines.
//!
//! A lock is not to be trusted across machines, so a lease says who is there and since when; it is renewed while the
//! server lives. A second machine that finds it fresh takes a database of its own, named after the machine. Reading and
//! writing a lease happens under its claim file, so that only one of two machines that find it lapsed gets it.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustix::fs::{FlockOperation, flock};
use tokio_util::sync::CancellationToken;

use crate::{Clock, Error, database::is_network, own_file, tasks::blocking};

/// How often a lease is renewed.
const RENEWAL: Duration = Duration::from_secs(10);
/// After this long without a renewal a lease has lapsed.
const LAPSE_MS: i64 = 60_000;
/// A claim file that is older was left behind by a crash: a claim takes milliseconds.
const CLAIM_LAPSE: Duration = Duration::from_secs(30);
/// How often a claim file that another machine holds is tried again, and how long between two tries.
const CLAIM_TRIES: u32 = 100;
const CLAIM_PAUSE: Duration = Duration::from_millis(50);

/// The right to work with a database. It ends with the process, however that ends.
#[derive(Debug)]
pub(crate) struct DatabaseLock {
    /// The database to work with.
    pub(crate) database: PathBuf,
    _lock: File,
    lease: Option<Lease>,
}

#[derive(Debug, Clone)]
struct Lease {
    path: PathBuf,
    host: String,
}

impl DatabaseLock {
    /// Takes the right to `database`, or to one named after this machine if another machine has it. Blocks.
    pub(crate) fn take(database: &Path, clock: &dyn Clock) -> Result<Self, Error> {
        let folder = database.parent().unwrap_or(Path::new("."));
        let on_network = is_network(folder);
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Self::take_as(database, &host, on_network, clock)
    }

    fn take_as(database: &Path, host: &str, on_network: bool, clock: &dyn Clock) -> Result<Self, Error> {
        let now = clock.now().as_millisecond();
        make_folder_of(database)?;
        if !on_network {
            return Ok(Self { database: database.to_owned(), _lock: lock(database)?, lease: None });
        }
        let lease = Lease { path: with_ending(database, "lease"), host: host.to_owned() };
        let taken =
            lease.take(now).map_err(|cause| unusable(database, format!("its lease cannot be written: {cause}")))?;
        let Err(other) = taken else {
            return Ok(Self { database: database.to_owned(), _lock: lock(database)?, lease: Some(lease) });
        };
        let own = database.with_file_name(format!("dashboard-{}.db", file_name_of(host)));
        if own == database {
            return Err(unusable(database, format!("the machine '{other}' works with it")));
        }
        let database = own.display();
        tracing::warn!(%other, %database, "another machine works with the database; this one uses its own");
        Self::take_as(&own, host, on_network, clock)
    }

    /// Renews the lease until the token is cancelled; without one there is nothing to do but wait.
    pub(crate) fn keep(
        &self,
        clock: Arc<dyn Clock>,
        stop: CancellationToken,
    ) -> impl Future<Output = Result<(), Error>> + use<> {
        let (lease, database) = (self.lease.clone(), self.database.clone());
        async move {
            loop {
                tokio::select! {
                    () = stop.cancelled() => return Ok(()),
                    () = tokio::time::sleep(RENEWAL) => {}
                }
                let (Some(lease), now) = (lease.clone(), clock.now().as_millisecond()) else { continue };
                let database = database.clone();
                blocking(move || lease.renew(&database, now)).await??;
            }
        }
    }
}

impl Drop for DatabaseLock {
    fn drop(&mut self) {
        if let Some(lease) =
            self.lease.as_ref().filter(|lease| lease.holder().is_none_or(|(_, host)| host == lease.host))
        {
            let _ = fs::remove_file(&lease.path);
        }
    }
}

impl Lease {
    /// The other machine that holds a fresh lease.
    fn other_tenant(&self, now: i64) -> Option<String> {
        let (at, host) = self.holder()?;
        (now.saturating_sub(at) < LAPSE_MS && host != self.host).then_some(host)
    }

    /// Who wrote it last, and when.
    fn holder(&self) -> Option<(i64, String)> {
        let text = own_file::read_text(&self.path).ok()?;
        let (at, host) = text.trim().split_once(' ')?;
        Some((at.parse().ok()?, host.to_owned()))
    }

    /// Takes or renews the lease in one step, unless another machine holds a fresh one: then that machine is the error.
    fn take(&self, now: i64) -> io::Result<Result<(), String>> {
        let _claim = Claim::hold(&self.path)?;
        if let Some(other) = self.other_tenant(now) {
            return Ok(Err(other));
        }
        self.write(now).map(Ok)
    }

    /// Writes it anew. Fails if another machine has it by now: this one stood still for so long that the other had to take
    /// it for dead, and two must not write.
    fn renew(&self, database: &Path, now: i64) -> Result<(), Error> {
        match self.take(now) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(other)) => Err(unusable(database, format!("the machine '{other}' took it over"))),
            Err(cause) => {
                tracing::warn!(error = %cause, "the lease of the database could not be renewed");
                Ok(())
            }
        }
    }

    fn write(&self, now: i64) -> io::Result<()> {
        let unfinished = self.path.with_extension("lease.tmp");
        let mut options = OpenOptions::new();
        let mut file = own_file::open(&unfinished, options.write(true).create(true).truncate(true))?;
        writeln!(file, "{now} {}", self.host)?;
        fs::rename(unfinished, &self.path)
    }
}

/// The right to look at a lease and write it. Making the file anew is one step on network file systems too (open(2), `O_EXCL`);
/// it is removed when this is dropped.
struct Claim(PathBuf);

impl Claim {
    /// Waits until no other machine has it. Blocks.
    fn hold(lease: &Path) -> io::Result<Self> {
        let path = lease.with_extension("claim");
        for _ in 0..CLAIM_TRIES {
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(_) => return Ok(Self(path)),
                Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {}
                Err(cause) => return Err(cause),
            }
            let age = path.symlink_metadata().and_then(|facts| facts.modified()).map(|made| made.elapsed());
            match age {
                Ok(Ok(age)) if age >= CLAIM_LAPSE => drop(fs::remove_file(&path)),
                _ => std::thread::sleep(CLAIM_PAUSE),
            }
        }
        Err(io::Error::other(format!("{} stays in the way", path.display())))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn make_folder_of(database: &Path) -> Result<(), Error> {
    let Some(folder) = database.parent() else { return Ok(()) };
    fs::create_dir_all(folder).map_err(|cause| unusable(database, format!("its folder cannot be made: {cause}")))
}

fn lock(database: &Path) -> Result<File, Error> {
    let path = with_ending(database, "lock");
    let failed = |cause: std::io::Error| unusable(database, format!("{} cannot be opened: {cause}", path.display()));
    let mut options = OpenOptions::new();
    let mut file =
        own_file::open(&path, options.read(true).write(true).create(true).truncate(false)).map_err(failed)?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        let mut holder = String::new();
        let _ = file.read_to_string(&mut holder);
        let holder = holder.trim();
        return Err(unusable(database, format!("another comfyui-dashboard works with it (process {holder})")));
    }
    file.set_len(0).and_then(|()| write!(file, "{}", std::process::id())).map_err(failed)?;
    Ok(file)
}

fn with_ending(database: &Path, ending: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}

fn file_name_of(host: &str) -> String {
    host.chars()
        .map(|character| if character.is_ascii_alphanumeric() || character == '-' { character } else { '_' })
        .collect()
}

fn unusable(database: &Path, reason: String) -> Error {
    Error::DatabaseUnusable { path: database.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

    use super::*;
    use crate::ManualClock;

    #[test]
    fn a_second_process_of_a_machine_is_refused_until_the_first_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let (database, clock) = (folder.path().join("data/dashboard.db"), ManualClock::at(0));
        let first = DatabaseLock::take_as(&database, "pod", false, &clock).unwrap();
        let second = DatabaseLock::take_as(&database, "pod", false, &clock).unwrap_err().to_string();
        assert!(second.contains(&format!("process {}", std::process::id())), "{second}");
        drop(first);
        DatabaseLock::take_as(&database, "pod", false, &clock).unwrap();
    }

    #[test]
    fn a_second_machine_takes_its_own_database_while_the_lease_is_fresh() {
        let folder = tempfile::tempdir().unwrap();
        let (database, clock) = (folder.path().join("dashboard.db"), ManualClock::at(1_000_000));
        let lease = Lease { path: with_ending(&database, "lease"), host: "pod-a".to_owned() };
        lease.write(clock.now().as_millisecond()).unwrap();
        let own = DatabaseLock::take_as(&database, "pod b", true, &clock).unwrap();
        assert_eq!(own.database, folder.path().join("dashboard-pod_b.db"));
        drop(own);
        clock.advance(LAPSE_MS);
        let inherited = DatabaseLock::take_as(&database, "pod b", true, &clock).unwrap();
        assert_eq!(inherited.database, database);
    }

    /// Machines that find a lapsed lease at the same moment: one gets it, and the lease names that one.
    #[test]
    fn lapsed_lease_goes_to_one_of_many_machines() {
        let folder = tempfile::tempdir().unwrap();
        for round in 0..40 {
            let path = folder.path().join(format!("{round}.db.lease"));
            let lease = |host: usize| Lease { path: path.clone(), host: format!("pod-{host}") };
            lease(99).write(0).unwrap();
            let together = std::sync::Barrier::new(6);
            let taken: Vec<bool> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..6)
                    .map(|host| {
                        let (lease, together) = (lease(host), &together);
                        scope.spawn(move || {
                            together.wait();
                            lease.take(LAPSE_MS).unwrap().is_ok()
                        })
                    })
                    .collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert_eq!(taken.iter().filter(|got| **got).count(), 1, "{taken:?}");
            let winner = taken.iter().position(|got| *got).unwrap();
            assert_eq!(lease(0).holder().unwrap().1, format!("pod-{winner}"));
        }
    }

    /// A crash between claim and lease delays the next start and does not prevent it.
    #[test]
    fn claim_of_a_crash_lapses() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("dashboard.db");
        let claim = File::create(with_ending(&database, "claim")).unwrap();
        claim.set_modified(std::time::SystemTime::now() - CLAIM_LAPSE).unwrap();
        DatabaseLock::take_as(&database, "pod-a", true, &ManualClock::at(0)).unwrap();
        assert!(!with_ending(&database, "claim").exists());
    }

    #[test]
    fn a_machine_that_stood_still_until_another_took_over_writes_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let (database, clock) = (folder.path().join("dashboard.db"), ManualClock::at(1_000_000));
        let first = DatabaseLock::take_as(&database, "pod-a", true, &clock).unwrap();
        clock.advance(LAPSE_MS);
        let lease = Lease { path: with_ending(&database, "lease"), host: "pod-b".to_owned() };
        lease.write(clock.now().as_millisecond()).unwrap();
        let own = first.lease.clone().unwrap();
        let ended = own.renew(&database, clock.now().as_millisecond()).unwrap_err().to_string();
        assert!(ended.contains("the machine 'pod-b' took it over"), "{ended}");
        drop(first);
        assert_eq!(lease.holder().unwrap().1, "pod-b", "the lease of the other one stays");
    }
}
