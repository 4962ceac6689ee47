//! One server for one database: a lock among the processes of a machine, and on network volumes a lease among machines.
//!
//! A lock is not to be trusted across machines, so a lease says who is there and since when; it is renewed while the
//! server lives. A second machine that finds it fresh takes a database of its own, named after the machine.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use rustix::fs::{FlockOperation, flock};
use tokio_util::sync::CancellationToken;

use crate::{Clock, Error, store::is_network, tasks::blocking};

/// How often a lease is renewed.
const RENEWAL: Duration = Duration::from_secs(10);
/// After this long without a renewal a lease has lapsed.
const LAPSE_MS: i64 = 60_000;

/// The right to work with a database. It ends with the process, however that ends.
#[derive(Debug)]
pub(crate) struct Tenancy {
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

impl Tenancy {
    /// Takes the right to `database`, or to one named after this machine if another machine has it. Blocks.
    pub(crate) fn take(database: &Path, clock: &dyn Clock) -> Result<Self, Error> {
        let folder = database.parent().unwrap_or(Path::new("."));
        let on_network = is_network(folder);
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Self::take_as(database, &host, on_network, clock)
    }

    fn take_as(database: &Path, host: &str, on_network: bool, clock: &dyn Clock) -> Result<Self, Error> {
        let now = clock.now().as_millisecond();
        let lease = Lease { path: with_ending(database, "lease"), host: host.to_owned() };
        if on_network && let Some(other) = lease.other_tenant(now) {
            let own = database.with_file_name(format!("dashboard-{}.db", file_name_of(host)));
            if own == database {
                return Err(unusable(database, format!("the machine '{other}' works with it")));
            }
            let database = own.display();
            tracing::warn!(%other, %database, "another machine works with the database; this one uses its own");
            return Self::take_as(&own, host, on_network, clock);
        }
        let lock = lock(database)?;
        let lease = on_network.then_some(lease);
        if let Some(lease) = &lease {
            lease.write(now).map_err(|cause| unusable(database, format!("its lease cannot be written: {cause}")))?;
        }
        Ok(Self { database: database.to_owned(), _lock: lock, lease })
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

impl Drop for Tenancy {
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
        let text = fs::read_to_string(&self.path).ok()?;
        let (at, host) = text.trim().split_once(' ')?;
        Some((at.parse().ok()?, host.to_owned()))
    }

    /// Writes it anew. Fails if another machine has it by now: this one stood still for so long that the other had to take
    /// it for dead, and two must not write.
    fn renew(&self, database: &Path, now: i64) -> Result<(), Error> {
        if let Some(other) = self.other_tenant(now) {
            return Err(unusable(database, format!("the machine '{other}' took it over")));
        }
        if let Err(cause) = self.write(now) {
            tracing::warn!(error = %cause, "the lease of the database could not be renewed");
        }
        Ok(())
    }

    fn write(&self, now: i64) -> std::io::Result<()> {
        let unfinished = self.path.with_extension("lease.tmp");
        fs::write(&unfinished, format!("{now} {}\n", self.host))?;
        fs::rename(unfinished, &self.path)
    }
}

fn lock(database: &Path) -> Result<File, Error> {
    let path = with_ending(database, "lock");
    let failed = |cause: std::io::Error| unusable(database, format!("{} cannot be opened: {cause}", path.display()));
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
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
        let first = Tenancy::take_as(&database, "pod", false, &clock).unwrap();
        let second = Tenancy::take_as(&database, "pod", false, &clock).unwrap_err().to_string();
        assert!(second.contains(&format!("process {}", std::process::id())), "{second}");
        drop(first);
        Tenancy::take_as(&database, "pod", false, &clock).unwrap();
    }

    #[test]
    fn a_second_machine_takes_its_own_database_while_the_lease_is_fresh() {
        let folder = tempfile::tempdir().unwrap();
        let (database, clock) = (folder.path().join("dashboard.db"), ManualClock::at(1_000_000));
        let lease = Lease { path: with_ending(&database, "lease"), host: "pod-a".to_owned() };
        lease.write(clock.now().as_millisecond()).unwrap();
        let own = Tenancy::take_as(&database, "pod b", true, &clock).unwrap();
        assert_eq!(own.database, folder.path().join("dashboard-pod_b.db"));
        drop(own);
        clock.advance(LAPSE_MS);
        let inherited = Tenancy::take_as(&database, "pod b", true, &clock).unwrap();
        assert_eq!(inherited.database, database);
    }

    #[test]
    fn a_machine_that_stood_still_until_another_took_over_writes_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let (database, clock) = (folder.path().join("dashboard.db"), ManualClock::at(1_000_000));
        let first = Tenancy::take_as(&database, "pod-a", true, &clock).unwrap();
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
