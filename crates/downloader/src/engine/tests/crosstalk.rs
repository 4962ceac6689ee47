//! 64 files over eight ranges each, at once: every byte belongs to its file, and nothing is left open. It stands inside the crate,
//! where a file is large from 128 KiB on: with the real sizes these would be gigabytes.

use std::collections::HashSet;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use test_support::file_server::{Content, FileServer, Route};
use test_support::tls_front::{Authority, TlsFront};
use tokio::sync::mpsc::Receiver;

use crate::geometry::Geometry;
use crate::transfer::driver;
use crate::transfer::world::World;
use crate::{
    Destination, Downloader, FileJob, Job, JobEvent, JobId, JobState, PauseReason, Priority, PrivateSources, Settings,
    SourceUrl, Update,
};

const SMALL_FILE: u64 = Geometry::SMALL.scaled(driver::SMALL_FILE);
const FILES: u64 = 64;
const JOBS: usize = 16;
const RANGES: usize = 8;
const TIMEOUT: Duration = Duration::from_secs(30);

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

fn alive_tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

/// Descriptors and tasks are those of a process. Where other tests run in this one, it starts itself again for this alone.
#[test]
fn files_over_many_ranges_do_not_mix_and_leave_nothing_open() {
    if !std::env::args().any(|argument| argument == "--exact") {
        let program = std::env::current_exe().expect("a test knows its program");
        let name = "engine::tests::crosstalk::files_over_many_ranges_do_not_mix_and_leave_nothing_open";
        let ran = Command::new(program).args(["--exact", name]).output().expect("it starts");
        let said = String::from_utf8_lossy(&ran.stdout);
        assert!(ran.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime can be built").block_on(async {
        for over_tls in [false, true] {
            crosstalk(over_tls).await;
        }
    });
}

async fn crosstalk(over_tls: bool) {
    let (server, authority) = (FileServer::start(), Authority::default());
    // Far enough away for all connections from the start, and slow enough for them to be of use.
    server.set_round_trip(Duration::from_millis(15));
    server.set_rate_per_connection(1_000_000);
    let front = TlsFront::start(&authority, "127.0.0.1", server.address()).await;
    let url = |route: &Route| if over_tls { front.url(route.path()) } else { route.url() };
    // Enough for eight ranges of the greatest length that a slow answer makes worth a request.
    let content = |n| Content::pattern(100 + n, 9 * SMALL_FILE + n * 777);
    let routes: Vec<_> = (0..FILES).map(|n| server.file(&format!("/{n}"), content(n))).collect();
    let cancelled: Vec<_> = (FILES..FILES + 4).map(|n| server.file(&format!("/{n}"), content(n))).collect();
    let settings = Settings {
        extra_roots: vec![authority.pem()],
        max_concurrent_downloads: 8,
        connections_per_download: RANGES,
        private_sources: PrivateSources::All,
        min_free_space: 0,
        ..Settings::default()
    };
    // What is made once and kept, by the runtime or the system, is no leak.
    Engine::start(settings.clone()).end().await;
    let before = (open_descriptors(), alive_tasks());

    let mut engine = Engine::start(settings);
    for (n, routes) in routes.chunks(FILES as usize / JOBS).enumerate() {
        engine.enqueue(&format!("job {n}"), routes, url).await;
    }
    for (n, route) in cancelled.iter().enumerate() {
        let _never_opened = route.hold_at(SMALL_FILE);
        engine.enqueue(&format!("cancelled {n}"), std::slice::from_ref(route), url).await;
        engine.prefer(&format!("cancelled {n}")).await;
    }
    engine.interfere(&cancelled).await;
    for _ in 0..JOBS {
        engine.one_completes().await;
    }
    for (n, route) in routes.iter().enumerate() {
        engine.assert_whole(route);
        let requests = route.requests();
        let ranges: HashSet<_> = requests.iter().filter_map(|request| request.range()).collect();
        let connections: HashSet<_> = requests.iter().map(|request| request.connection).collect();
        let counted = (ranges.len(), connections.len());
        assert!(counted.0 >= RANGES && counted.1 > 1, "file {n}: ranges and connections {counted:?}");
    }
    assert_eq!(engine.files_left(), FILES as usize, "nothing of those that were cancelled");
    engine.end().await;
    // The last one to let go is the server, which hears of it over the socket.
    let left = || (server.connections_open(), open_descriptors(), alive_tasks());
    let gone = async {
        while !(left().0 == 0 && left().1 <= before.0 && left().2 <= before.1) {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(TIMEOUT, gone).await;
    assert!(waited.is_ok(), "connections, descriptors, tasks: {:?} are left, {before:?} there were", left());
}

struct Engine {
    downloader: Downloader,
    updates: Receiver<Update>,
    task: tokio::task::JoinHandle<()>,
    folder: TempDir,
}

impl Engine {
    fn start(settings: Settings) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let world = World { geometry: Geometry::SMALL, ..World::real(&settings).expect("the settings are sound") };
        let (downloader, updates, engine) = Downloader::in_world(settings, world);
        Self { downloader, updates, task: tokio::spawn(engine), folder }
    }

    async fn enqueue(&self, id: &str, routes: &[Route], url: impl Fn(&Route) -> String) {
        let file = |route: &Route| {
            let destination = Destination::new(self.folder.path(), &route.path()[1..]).expect("a number is a name");
            FileJob::new(destination, vec![SourceUrl::parse(&url(route)).expect("a link")])
        };
        let job = Job::new(JobId::new(id), routes.iter().map(file).collect());
        self.downloader.enqueue(job).await.expect("the name is free");
    }

    async fn prefer(&self, id: &str) {
        // It may have ended by now; what matters is that nothing gets mixed up.
        let _ = self.downloader.set_priority(&JobId::new(id), Priority::High).await;
    }

    /// Priorities, pauses and cancels while bytes arrive.
    async fn interfere(&self, cancelled: &[Route]) {
        for (n, route) in cancelled.iter().enumerate() {
            for job in (n..JOBS).step_by(3) {
                self.prefer(&format!("job {job}")).await;
            }
            let paused = JobId::new(format!("job {n}"));
            if self.downloader.pause(&paused).await == Ok(JobState::Paused(PauseReason::Requested)) {
                self.downloader.resume(&paused).await.expect("it stands still");
            }
            route.wait_for(|requests| requests.len() > 1).await;
            self.downloader.cancel(&JobId::new(format!("cancelled {n}"))).await.expect("it cannot have ended");
        }
    }

    async fn one_completes(&mut self) {
        let ended = async {
            loop {
                match self.updates.recv().await.map(|update| update.event) {
                    Some(JobEvent::Completed) => return Ok(()),
                    Some(JobEvent::Failed { error, .. }) => return Err(error.to_string()),
                    Some(_) => {}
                    None => return Err("the engine has ended".to_owned()),
                }
            }
        };
        assert_eq!(tokio::time::timeout(TIMEOUT, ended).await, Ok(Ok(())));
    }

    fn assert_whole(&self, route: &Route) {
        let bytes = std::fs::read(self.folder.path().join(&route.path()[1..])).expect("it is there");
        assert!(bytes == route.content().to_vec(), "{} does not equal its source", route.path());
    }

    fn files_left(&self) -> usize {
        std::fs::read_dir(self.folder.path()).expect("the folder is there").count()
    }

    async fn end(self) {
        self.downloader.shutdown().await;
        self.task.await.expect("it ends by itself");
    }
}
