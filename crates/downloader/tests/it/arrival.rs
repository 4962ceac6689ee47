//! Files that arrive as they should.

use downloader::{Arrival, FileJob, JobEvent};
use test_support::file_server::{Content, FileServer, When};

use crate::rig::{MIB, Rig, settings};

#[tokio::test]
async fn a_small_file_arrives_whole_with_its_hash() {
    let route = FileServer::start().file("/small.bin", Content::pattern(1, 1000));
    let mut rig = Rig::start();
    let story = rig.fetch(rig.known("vae/small.bin", &route)).await;
    let outcome = story.outcome();
    assert_eq!((outcome.size, outcome.how, outcome.verified), (1000, Arrival::Fetched, true));
    assert_eq!(outcome.sha256.to_string(), route.sha256());
    assert_eq!(outcome.blocks.crc32.len(), 1);
    assert_eq!(outcome.source, route.url());
    rig.assert_whole("vae/small.bin", &route.content());
    assert_eq!(route.requests().len(), 1);
}

#[tokio::test]
async fn a_large_file_arrives_over_many_connections() {
    let server = FileServer::start();
    server.set_rate_per_connection(30_000_000);
    let route = server.file("/large.bin", Content::pattern(2, 60 * MIB + 12345));
    let mut rig = Rig::start();
    let story = rig.fetch(rig.known("large.bin", &route)).await;
    assert_eq!(story.outcome().sha256.to_string(), route.sha256());
    assert_eq!(story.outcome().blocks.crc32.len(), 61);
    rig.assert_whole("large.bin", &route.content());
    let (connections, requests) = (server.connections_opened(), route.requests().len());
    assert!(connections > 3 && connections < requests, "{connections} connections, {requests} requests");
    // A connection whose end was given to another one has up to two blocks on their way by then.
    assert!(route.body_bytes_sent() < (60 + 8 * 2) * MIB, "{} bytes were sent", route.body_bytes_sent());
}

#[tokio::test]
async fn a_small_file_takes_one_connection_however_slow_that_is() {
    let server = FileServer::start();
    server.set_rate_per_connection(30_000_000);
    let route = server.file("/f.bin", Content::pattern(6, 24 * MIB));
    let mut rig = Rig::start();
    assert!(rig.fetch(rig.known("f.bin", &route)).await.completed());
    rig.assert_whole("f.bin", &route.content());
    assert_eq!(server.connections_opened(), 1);
}

#[tokio::test]
async fn a_file_without_a_known_hash_is_whole_but_not_verified() {
    let route = FileServer::start().file("/f.bin", Content::pattern(3, 3 * MIB));
    let mut rig = Rig::start();
    let story = rig.fetch(rig.file("f.bin", &route.url())).await;
    assert!(!story.outcome().verified);
    assert_eq!(story.outcome().sha256.to_string(), route.sha256());
    assert_eq!(story.outcome().etag.as_deref(), Some(route.content().etag().as_str()));
}

/// A body without a length that breaks off looks like one that ends. Where nothing else would tell, the server is asked.
#[tokio::test]
async fn a_body_without_length_is_whole_when_the_server_says_so() {
    let content = Content::pattern(7, 5 * MIB);
    for cut in [false, true] {
        // Only its first answer is without a range.
        let route = FileServer::start().file("/f.bin", content.clone());
        let route = route.ignore_range(When::Times(1)).length_by_close(When::Times(1));
        let route = if cut { route.cut_after(2 * MIB, When::Times(1)) } else { route };
        let mut rig = Rig::start();
        let story = rig.fetch(rig.file("f.bin", &route.url())).await;
        assert!(story.completed(), "cut {cut}: {:#?}", story.told());
        rig.assert_whole("f.bin", &content);
        assert_eq!((story.outcome().wire_bytes, story.restarts()), (content.size(), vec![]), "cut {cut}");
    }
}

#[tokio::test]
async fn files_without_a_length_or_ranges_arrive_too() {
    type Rule = fn(&test_support::file_server::Route) -> test_support::file_server::Route;
    let rules: [Rule; 4] = [
        |route| route.chunked(When::Always),
        |route| route.chunked(When::Always).ignore_range(When::Always),
        |route| route.length_by_close(When::Always).ignore_range(When::Always),
        |route| route.ignore_range(When::Always),
    ];
    for (number, rule) in rules.iter().enumerate() {
        let route = FileServer::start().file("/f.bin", Content::pattern(4, 5 * MIB + 7));
        rule(&route);
        let mut rig = Rig::start();
        let story = rig.fetch(rig.file("f.bin", &route.url())).await;
        assert!(story.completed(), "rule {number}: {:#?}", story.told());
        rig.assert_whole("f.bin", &route.content());
    }
}

#[tokio::test]
async fn the_files_of_a_job_share_its_connections_and_all_arrive() {
    let server = FileServer::start();
    let routes: Vec<_> =
        (0..60).map(|n| server.file(&format!("/{n}.bin"), Content::pattern(n, 1000 + n * 30_000))).collect();
    let mut rig = Rig::with(downloader::Settings { connections_per_download: 4, ..settings() });
    let files = routes.iter().enumerate().map(|(n, route)| rig.known(&format!("{n}.bin"), route)).collect();
    rig.enqueue("job", files).await;
    let story = rig.rest("job").await;
    assert!(story.completed());
    for (n, route) in routes.iter().enumerate() {
        rig.assert_whole(&format!("{n}.bin"), &route.content());
    }
    assert!(server.connections_opened() <= 4, "{} connections", server.connections_opened());
}

#[tokio::test]
async fn a_file_that_is_done_only_counts() {
    let route = FileServer::start().file("/f.bin", Content::pattern(5, 1000));
    let mut rig = Rig::start();
    let done = FileJob { done: true, done_bytes: 500, ..rig.file("done.bin", &route.url()) };
    rig.enqueue("job", vec![done, rig.known("f.bin", &route)]).await;
    let story = rig.rest("job").await;
    let last = story.events.iter().rev().find_map(|event| match event {
        JobEvent::Progress(progress) => Some(progress),
        _ => None,
    });
    assert_eq!(last.map(|last| (last.downloaded_bytes, last.total_bytes)), Some((1500, Some(1500))));
    assert_eq!(route.requests().len(), 1);
}
