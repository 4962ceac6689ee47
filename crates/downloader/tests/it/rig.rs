//! What every test needs: an engine with times in milliseconds, a folder, and the story that its updates tell.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use downloader::{
    Backoff, Destination, Downloader, FileJob, FileOutcome, Job, JobEvent, JobId, PrivateSources, RestartReason,
    Settings, SourceUrl, TransferError, Update,
};
use tempfile::TempDir;
use test_support::file_server::{Content, Route};
use tokio::sync::mpsc::Receiver;
use tokio::task::{JoinHandle, JoinSet};

/// Longest that any test waits for any event.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);

pub(crate) const MIB: u64 = 1 << 20;

/// An engine and its folder.
pub(crate) struct Rig {
    pub(crate) downloader: Downloader,
    pub(crate) folder: PathBuf,
    updates: Receiver<Update>,
    engine: JoinHandle<()>,
    /// Keeps the folder; shared by the rigs that follow each other on it.
    pub(crate) home: Arc<TempDir>,
}

/// Everything that was heard of a job until it came to rest.
#[derive(Debug, Default)]
pub(crate) struct Story {
    pub(crate) events: Vec<JobEvent>,
}

/// Production behaviour with short timeouts.
pub(crate) fn settings() -> Settings {
    Settings {
        private_sources: PrivateSources::All,
        min_free_space: 0,
        stall_timeout: TIMEOUT / 2,
        connect_timeout: Duration::from_secs(2),
        backoff: Backoff { first: Duration::from_millis(2), max: Duration::from_millis(20), tries_without_progress: 5 },
        lock_wait: Duration::from_millis(200),
        storage_poll: Duration::from_millis(20),
        progress_interval: Duration::from_millis(10),
        ..Settings::default()
    }
}

/// The same where stalls are what is tested.
pub(crate) fn short_timeouts() -> Settings {
    Settings { stall_timeout: Duration::from_millis(200), ..settings() }
}

impl Rig {
    pub(crate) fn start() -> Self {
        Self::with(settings())
    }

    pub(crate) fn with(settings: Settings) -> Self {
        Self::on(Arc::new(tempfile::tempdir().unwrap()), settings)
    }

    /// One whose folder holds these files already.
    pub(crate) fn holding(files: &[(&str, &[u8])]) -> Self {
        let rig = Self::start();
        std::fs::create_dir_all(&rig.folder).unwrap();
        for (name, bytes) in files {
            let path = rig.path(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, bytes).unwrap();
        }
        rig
    }

    /// An engine on a folder that an earlier one may have used.
    pub(crate) fn on(home: Arc<TempDir>, settings: Settings) -> Self {
        let (downloader, updates, engine) = Downloader::new(settings).unwrap();
        let folder = home.path().join("models");
        Self { downloader, folder, updates, engine: tokio::spawn(engine), home }
    }

    pub(crate) fn with_one_connection(home: Arc<TempDir>) -> Self {
        Self::on(home, Settings { connections_per_download: 1, ..settings() })
    }

    pub(crate) fn destination(&self, name: &str) -> Destination {
        Destination::new(&self.folder, name).unwrap()
    }

    /// A file from one link.
    pub(crate) fn file(&self, name: &str, url: &str) -> FileJob {
        FileJob::new(self.destination(name), vec![SourceUrl::parse(url).unwrap()])
    }

    /// A file from a route of the file server, with its hash known.
    pub(crate) fn known(&self, name: &str, route: &Route) -> FileJob {
        FileJob { sha256: Some(route.sha256().parse().unwrap()), ..self.file(name, &route.url()) }
    }

    pub(crate) async fn enqueue(&self, id: &str, files: Vec<FileJob>) {
        self.downloader.enqueue(Job::new(JobId::new(id), files)).await.unwrap();
    }

    /// Runs one file to its end.
    pub(crate) async fn fetch(&mut self, file: FileJob) -> Story {
        self.enqueue("job", vec![file]).await;
        self.rest("job").await
    }

    /// Listens until the job stands still, for good or not.
    pub(crate) async fn rest(&mut self, id: &str) -> Story {
        let at_rest = |event: &JobEvent| {
            matches!(
                event,
                JobEvent::Completed | JobEvent::Failed { .. } | JobEvent::Cancelled { .. } | JobEvent::Paused(_)
            )
        };
        self.until(id, at_rest).await
    }

    /// Listens until an event of the job is the one waited for.
    pub(crate) async fn until(&mut self, id: &str, wanted: impl Fn(&JobEvent) -> bool) -> Story {
        self.observe(Some(id), wanted).await
    }

    /// Listens until an event of any job is the one waited for.
    pub(crate) async fn any(&mut self, wanted: impl Fn(&JobEvent) -> bool) -> Story {
        self.observe(None, wanted).await
    }

    async fn observe(&mut self, id: Option<&str>, wanted: impl Fn(&JobEvent) -> bool) -> Story {
        let mut story = Story::default();
        let observe = async {
            while let Some(update) = self.updates.recv().await {
                if id.is_some_and(|id| update.job.as_str() != id) {
                    continue;
                }
                let found = wanted(&update.event);
                story.events.push(update.event);
                if found {
                    return true;
                }
            }
            false
        };
        match tokio::time::timeout(TIMEOUT, observe).await {
            Ok(true) => story,
            _ => panic!("the event did not come; heard: {:#?}", story.told()),
        }
    }

    /// Ends the engine as a process that is told to; what it leaves is on disk.
    pub(crate) async fn shutdown(self) -> Arc<TempDir> {
        self.downloader.shutdown().await;
        self.engine.await.unwrap();
        self.home
    }

    /// Ends the engine as a kill would: nothing is parked and nothing is said. Other than those of a process its threads
    /// still end what they have begun; the locks tell when.
    pub(crate) async fn kill(self) -> Arc<TempDir> {
        self.engine.abort();
        assert!(self.engine.await.is_err_and(|ended| ended.is_cancelled()), "it had ended by itself");
        let is_held = |name: &String| {
            let file = std::fs::File::open(self.folder.join(name));
            file.is_ok_and(|file| matches!(file.try_lock(), Err(std::fs::TryLockError::WouldBlock)))
        };
        let freed = async {
            while names_below(&self.folder).iter().any(is_held) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(TIMEOUT, freed).await.expect("something holds a file for ever");
        self.home
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    pub(crate) fn assert_whole(&self, name: &str, content: &Content) {
        assert!(self.bytes(name) == content.to_vec(), "{name} does not equal its source");
        self.assert_no_partial_files();
    }

    pub(crate) fn assert_absent(&self, name: &str) {
        assert!(!self.path(name).exists(), "{name} is there");
        self.assert_no_partial_files();
    }

    pub(crate) fn assert_no_partial_files(&self) {
        let left: Vec<_> = names_below(&self.folder).into_iter().filter(|name| name.contains(".part")).collect();
        assert!(left.is_empty(), "left behind: {left:?}");
    }

    /// Nothing is under the final name; what has arrived waits beside it, with a journal.
    pub(crate) fn assert_waits(&self, name: &str) {
        let beside = [format!("{name}.part"), format!("{name}.part.journal")];
        let left: Vec<_> = names_below(&self.folder).into_iter().filter(|found| found.starts_with(name)).collect();
        assert_eq!(left, beside, "what is in the folder");
    }
}

impl Story {
    /// The events without the ticks.
    pub(crate) fn told(&self) -> Vec<&JobEvent> {
        self.events.iter().filter(|event| !matches!(event, JobEvent::Progress(_))).collect()
    }

    pub(crate) fn completed(&self) -> bool {
        matches!(self.events.last(), Some(JobEvent::Completed))
    }

    /// The outcome of the only file; panics with the story when there is none.
    pub(crate) fn outcome(&self) -> &FileOutcome {
        let found = self.events.iter().find_map(|event| match event {
            JobEvent::FileCompleted { outcome, .. } => Some(outcome),
            _ => None,
        });
        found.unwrap_or_else(|| panic!("no file became whole: {:#?}", self.told()))
    }

    /// The error of the job; panics with the story when there is none.
    pub(crate) fn error(&self) -> &TransferError {
        match self.events.last() {
            Some(JobEvent::Failed { error, .. }) => error,
            _ => panic!("the job did not fail: {:#?}", self.told()),
        }
    }

    pub(crate) fn restarts(&self) -> Vec<RestartReason> {
        let reason = |event: &JobEvent| match event {
            JobEvent::FileRestarted { reason, .. } => Some(*reason),
            _ => None,
        };
        self.events.iter().filter_map(reason).collect()
    }
}

/// Runs the rows of a table, a few of them side by side: most of their time is waiting.
pub(crate) async fn side_by_side<Row: Future<Output = ()> + Send + 'static>(rows: impl Iterator<Item = Row>) {
    let mut running = JoinSet::new();
    for row in rows {
        if running.len() == 8 {
            running.join_next().await.unwrap().unwrap();
        }
        running.spawn(row);
    }
    running.join_all().await;
}

/// Runs one test of this binary once more, in a process of its own that `prepare` may change.
pub(crate) fn alone(name: &str, prepare: impl FnOnce(&mut Command)) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    prepare(command.args(["--exact", name, "--nocapture"]));
    let ended = command.output().unwrap();
    let (said, failed) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(ended.status.success(), "{failed}");
    assert!(said.contains("1 passed"), "{name} is not what the test is called");
}

/// Every file below a folder, by its path from there.
pub(crate) fn names_below(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            } else {
                names.push(path.strip_prefix(folder).unwrap().to_string_lossy().into_owned());
            }
        }
    }
    names.sort();
    names
}
