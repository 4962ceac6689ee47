//! A panic in any task of the engine: nobody waits for a task that has died, nothing is held for it, and what it did is not
//! trusted. There is none that is known of; here they are ordered, where a task hands work to another thread or in that work.

use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tempfile::TempDir;
use test_support::file_server::{Content, FileServer, Route};
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinHandle;

use crate::geometry::{BLOCK, Geometry};
use crate::threads::{Dispatch, Dispatcher, Threads};
use crate::transfer::driver;
use crate::transfer::world::World;
use crate::{
    Backoff, Destination, Downloader, FileJob, Job, JobEvent, JobId, PrivateSources, RestartReason, Settings,
    Sha256Digest, SourceUrl, TransferError, Update,
};

const SMALL_FILE: u64 = Geometry::SMALL.scaled(driver::SMALL_FILE);
const TIMEOUT: Duration = Duration::from_secs(30);

/// Who panics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    /// The task that hands over work.
    Task,
    /// The thread that is given it.
    Thread,
}

/// Ordinary threads, and one panic on order.
#[derive(Debug)]
pub(crate) struct Deaths {
    who: Who,
    /// Work that is handed over in this file counts.
    file: &'static str,
    /// So many times more it goes well.
    left: AtomicI64,
    died: AtomicUsize,
}

impl Dispatcher for Arc<Deaths> {
    fn dispatch(&self, place: &Location<'_>) -> Dispatch {
        let dies = place.file().ends_with(self.file) && self.left.fetch_sub(1, Relaxed) == 0;
        self.died.fetch_add(usize::from(dies), Relaxed);
        assert!(!(dies && self.who == Who::Task), "a panic on order");
        let dies = dies && self.who == Who::Thread;
        Dispatch { before: Box::new(move || assert!(!dies, "a panic on order")), ..Dispatch::default() }
    }
}

/// Large enough for several connections, a hash that follows and syncs on the way.
const LARGE: u64 = 3 * SMALL_FILE + 7;
/// So small that nobody takes a range of it from somebody else.
const SMALL: u64 = 3 * BLOCK;

/// An engine and a file for it.
struct Trial {
    route: Route,
    folder: TempDir,
    deaths: Arc<Deaths>,
    downloader: Downloader,
    updates: Receiver<Update>,
    engine: JoinHandle<()>,
}

/// How a job ended.
#[derive(Debug)]
struct Story {
    failed: Option<Arc<TransferError>>,
    restarts: Vec<RestartReason>,
}

impl Trial {
    fn new(who: Who, file: &'static str, n: i64, size: u64) -> Self {
        let deaths = Arc::new(Deaths { who, file, left: AtomicI64::new(n), died: AtomicUsize::new(0) });
        let settings = Settings {
            private_sources: PrivateSources::All,
            min_free_space: 0,
            sync_bytes: SMALL_FILE / 2,
            backoff: Backoff { first: Duration::from_millis(1), ..Backoff::default() },
            ..Settings::default()
        };
        let mut world = World::real(&settings).expect("the settings are sound");
        world.geometry = Geometry::SMALL;
        world.threads = Threads::assigned_by(Arc::clone(&deaths));
        let (downloader, updates, engine) = Downloader::in_world(settings, world);
        let server = FileServer::start();
        // Slow enough for syncs on the way.
        server.set_rate_per_connection(2_000_000);
        let route = server.file("/f.bin", Content::pattern(91, size));
        let folder = tempfile::tempdir().expect("a folder can be made");
        Self { route, folder, deaths, downloader, updates, engine: tokio::spawn(engine) }
    }

    /// Gives the job to the engine and waits for its end.
    async fn fetch(&mut self) -> Story {
        let destination = Destination::new(self.folder.path(), "f.bin").expect("a name");
        let source = SourceUrl::parse(&self.route.url()).expect("a link");
        let sha256: Option<Sha256Digest> = self.route.sha256().parse().ok();
        let file = FileJob { sha256, ..FileJob::new(destination, vec![source]) };
        self.downloader.enqueue(Job::new(JobId::new("job"), vec![file])).await.expect("the name is free");
        tokio::time::timeout(TIMEOUT, self.end_of_it()).await.expect("it never ends")
    }

    async fn end_of_it(&mut self) -> Story {
        let mut restarts = Vec::new();
        loop {
            let failed = match self.updates.recv().await.expect("the engine lives").event {
                JobEvent::Completed => None,
                JobEvent::Failed { error, .. } => Some(error),
                JobEvent::FileRestarted { reason, .. } => {
                    restarts.push(reason);
                    continue;
                }
                _ => continue,
            };
            return Story { failed, restarts };
        }
    }

    fn died(&self) -> bool {
        self.deaths.died.load(Relaxed) > 0
    }

    /// The file is whole, nothing is beside it, and the engine ends.
    async fn end(self) {
        let bytes = std::fs::read(self.folder.path().join("f.bin")).expect("it is there");
        assert!(bytes == self.route.content().to_vec(), "the file does not equal its source");
        assert_eq!(std::fs::read_dir(self.folder.path()).expect("the folder is there").count(), 1);
        tokio::time::timeout(TIMEOUT, self.downloader.shutdown()).await.expect("somebody waits for ever");
        self.engine.await.expect("it ends by itself");
    }
}

#[tokio::test]
async fn a_connection_that_panics_gives_its_stretch_back() {
    for (n, size) in [(0, SMALL), (1, SMALL), (0, LARGE), (40, LARGE)] {
        let mut trial = Trial::new(Who::Task, "segment_writer.rs", n, size);
        let story = trial.fetch().await;
        assert!(trial.died() && story.failed.is_none() && story.restarts.is_empty(), "{n}: {story:?}");
        trial.end().await;
    }
}

#[tokio::test]
async fn a_sync_that_panics_is_a_sync_that_failed() {
    let mut trial = Trial::new(Who::Thread, "maintenance.rs", 0, LARGE);
    let story = trial.fetch().await;
    assert!(trial.died() && story.failed.is_none(), "{story:?}");
    assert!(matches!(story.restarts[..], [RestartReason::SyncFailed { blocks }] if blocks > 0), "{story:?}");
    trial.end().await;
}

#[tokio::test]
async fn a_panic_anywhere_is_got_over_or_told_and_the_next_try_ends_whole() {
    let mut told = 0;
    for who in [Who::Task, Who::Thread] {
        for file in ["segment_writer.rs", "maintenance.rs", "transfer/mod.rs", "prefix_hash.rs", ".rs"] {
            for n in (0..).map(|n: i64| n * n * n) {
                let mut trial = Trial::new(who, file, n, LARGE);
                let story = trial.fetch().await;
                if let Some(error) = &story.failed {
                    told += 1;
                    let words = error.to_string();
                    assert!(trial.died() && words.contains("f.bin") && words.contains("panic on order"), "{words}");
                    assert!(trial.fetch().await.failed.is_none(), "{who:?} {file} {n}");
                }
                let died = trial.died();
                trial.end().await;
                if !died {
                    // Work is handed over in each of these files: one that was renamed is to be renamed here too.
                    assert!(n > 0, "nobody hands over work in {file}");
                    break;
                }
            }
        }
    }
    assert!(told > 0);
}
