//! Many files at once: every byte belongs to its file, and nothing is left open.

use downloader::{JobId, Priority, Settings};
use test_support::file_server::{Content, FileServer};

use crate::rig::{MIB, Rig, settings};

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_files_over_many_ranges_do_not_mix() {
    let server = FileServer::start();
    server.set_rate_per_connection(40_000_000);
    let mut rig = Rig::with(Settings { max_concurrent_downloads: 4, connections_per_download: 4, ..settings() });
    let routes: Vec<_> = (0..16)
        .map(|n| {
            let size = if n % 8 == 0 { 34 * MIB + n } else { 2 * MIB + n * 777 };
            server.file(&format!("/{n}"), Content::pattern(100 + n, size))
        })
        .collect();
    for (job, files) in routes.chunks(4).enumerate() {
        let files = files.iter().map(|route| rig.known(&route.path()[1..], route)).collect();
        rig.enqueue(&format!("job {job}"), files).await;
    }
    let cancelled = server.file("/cancelled", Content::pattern(99, 9 * MIB));
    let _never_opened = cancelled.hold_at(5 * MIB);
    rig.enqueue("cancelled", vec![rig.known("cancelled", &cancelled)]).await;
    // It may have ended by now; what matters is that nothing gets mixed up.
    let _ = rig.downloader.set_priority(&JobId::new("job 3"), Priority::High).await;
    rig.downloader.cancel(&JobId::new("cancelled")).await.unwrap();
    let mut whole = 0;
    while whole < 4 {
        let story = rig
            .any(|event| matches!(event, downloader::JobEvent::Completed | downloader::JobEvent::Failed { .. }))
            .await;
        assert!(story.completed(), "{:#?}", story.told());
        whole += 1;
    }
    for route in &routes {
        rig.assert_whole(&route.path()[1..], &route.content());
    }
    rig.assert_absent("cancelled");
}

#[tokio::test]
async fn descriptors_and_connections_are_given_back() {
    let server = FileServer::start();
    let route = server.file("/f", Content::pattern(98, 5 * MIB));
    let mut rig = Rig::start();
    assert!(rig.fetch(rig.known("warm up", &route)).await.completed());
    let before = open_descriptors();
    for n in 0..20 {
        assert!(rig.fetch(rig.known(&format!("f{n}"), &route)).await.completed());
    }
    // Other tests of this process open and close files meanwhile.
    assert!(open_descriptors() < before + 200, "{} then, {} now", before, open_descriptors());
    assert!(server.connections_opened() <= 3, "{} connections for 21 files", server.connections_opened());
}
