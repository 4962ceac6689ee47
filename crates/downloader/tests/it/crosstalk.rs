//! Many files over many ranges at once: every byte belongs to its file, and nothing is left open. And what happens when
//! there is no room for more open files.

use std::time::Duration;

use downloader::{Backoff, FileJob, JobEvent, JobId, Priority, Settings};
use rustix::process::{Resource, Rlimit, setrlimit};
use test_support::file_server::{Content, FileServer, Route};
use test_support::tls_front::{Authority, TlsFront};

use crate::rig::{MIB, PATIENCE, Rig, alone, settings};

const FILES: u64 = 64;
const JOBS: usize = 16;
const RANGES: usize = 8;

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

fn alive_tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

/// Descriptors and tasks are those of a process, so this one starts itself again.
#[test]
fn files_over_many_ranges_do_not_mix_and_leave_nothing_open() {
    const ALONE: &str = "COMFYUI_DASHBOARD_TEST_CROSSTALK";
    if std::env::var_os(ALONE).is_none() {
        let name = "crosstalk::files_over_many_ranges_do_not_mix_and_leave_nothing_open";
        return alone(name, |command| _ = command.env(ALONE, "1"));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        for over_tls in [false, true] {
            crosstalk(over_tls).await;
        }
    });
}

async fn crosstalk(over_tls: bool) {
    let (server, authority) = (FileServer::start(), Authority::default());
    // Far enough away for all connections from the start, and slow enough for them to be of use.
    server.set_round_trip(Duration::from_millis(15));
    server.set_rate_per_connection(10_000_000);
    let front = TlsFront::start(&authority, "127.0.0.1", server.address()).await;
    let url = |route: &Route| if over_tls { front.url(route.path()) } else { route.url() };
    // One in eight is large enough for many ranges at once; the others share their connections.
    let size = |n: u64| if n.is_multiple_of(8) { 33 * MIB + n } else { 500_000 + n * 777 };
    let routes: Vec<_> =
        (0..FILES).map(|n| server.file(&format!("/{n}"), Content::pattern(100 + n, size(n)))).collect();
    let warm_up = Rig::start();
    warm_up.downloader.probe(&[routes[1].url().parse().unwrap()]).await.unwrap();
    warm_up.shutdown().await;
    until(|| server.connections_open() == 0).await;
    let before = (open_descriptors(), alive_tasks());

    let settings = Settings { extra_roots: vec![authority.pem()], max_concurrent_downloads: 4, ..settings() };
    let mut rig = Rig::with(Settings { connections_per_download: RANGES, ..settings });
    for (job, routes) in routes.chunks(FILES as usize / JOBS).enumerate() {
        let files: Vec<_> = routes.iter().map(|route| rig.file(&route.path()[1..], &url(route))).collect();
        rig.enqueue(&format!("job {job}"), files).await;
    }
    let cancelled = server.file("/cancelled", Content::pattern(99, 40 * MIB));
    let _never_opened = cancelled.hold_at(5 * MIB);
    let first = FileJob { size: Some(40 * MIB), ..rig.file("cancelled", &url(&cancelled)) };
    rig.enqueue("cancelled", vec![first]).await;
    rig.downloader.set_priority(&JobId::new("cancelled"), Priority::High).await.unwrap();
    for job in (1..JOBS).rev().step_by(2) {
        // It may have ended by now; what matters is that nothing gets mixed up.
        let _ = rig.downloader.set_priority(&JobId::new(format!("job {job}")), Priority::High).await;
    }
    cancelled.wait_for(|requests| !requests.is_empty()).await;
    rig.downloader.cancel(&JobId::new("cancelled")).await.unwrap();
    for _ in 0..JOBS {
        let story = rig.any(|event| matches!(event, JobEvent::Completed | JobEvent::Failed { .. })).await;
        assert!(story.completed(), "{:#?}", story.told());
    }
    for route in &routes {
        rig.assert_whole(&route.path()[1..], &route.content());
        let large = route.content().size() > 32 * MIB;
        assert!(!large || route.requests().len() >= RANGES, "{} ranges of {}", route.requests().len(), route.path());
    }
    rig.assert_absent("cancelled");
    drop(rig.shutdown().await);

    // The last one to let go is the server, which hears of it over the socket.
    until(|| server.connections_open() == 0 && alive_tasks() <= before.1 && open_descriptors() <= before.0).await;
}

/// Gives way to others until it is so.
async fn until(is_so: impl Fn() -> bool) {
    let give_way = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(PATIENCE, give_way).await;
    assert!(waited.is_ok(), "{} descriptors and {} tasks are left", open_descriptors(), alive_tasks());
}

#[tokio::test]
async fn connections_are_used_again_from_file_to_file() {
    let server = FileServer::start();
    let route = server.file("/f", Content::pattern(98, 5 * MIB));
    let mut rig = Rig::start();
    for n in 0..21 {
        assert!(rig.fetch(rig.known(&format!("f{n}"), &route)).await.completed());
    }
    assert!(server.connections_opened() <= 3, "{} connections for 21 files", server.connections_opened());
}

/// The limit is that of a process, so this one starts itself again: it fetches from a server that is not under the limit.
#[test]
fn a_full_file_table_is_waited_for() {
    const SERVER: &str = "COMFYUI_DASHBOARD_TEST_FEW_FILES";
    const COUNT: u64 = 60;
    let content = |n| Content::pattern(200 + n, 300_000 + n);
    if let Ok(server) = std::env::var(SERVER) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let few = Some(open_descriptors() as u64 + 12);
        setrlimit(Resource::Nofile, Rlimit { current: few, maximum: few }).unwrap();
        return runtime.block_on(async {
            let backoff = Backoff { tries_without_progress: 1000, ..settings().backoff };
            let mut rig = Rig::with(Settings { backoff, ..settings() });
            let files = (0..COUNT).map(|n| rig.file(&n.to_string(), &format!("{server}/{n}"))).collect();
            rig.enqueue("job", files).await;
            let story = rig.rest("job").await;
            assert!(story.completed(), "{:#?}", story.told());
            (0..COUNT).for_each(|n| rig.assert_whole(&n.to_string(), &content(n)));
        });
    }
    let server = FileServer::start();
    for n in 0..COUNT {
        server.file(&format!("/{n}"), content(n));
    }
    alone("crosstalk::a_full_file_table_is_waited_for", |command| _ = command.env(SERVER, server.url("")));
}
