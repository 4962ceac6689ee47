//! `Retry-After` holds for the source that sent it. Another source is asked meanwhile, and one moment in which many connections
//! are sent away is one failure.

use downloader::{FileJob, JobEvent, JobId, Settings};
use test_support::file_server::{
    Content, FileServer, RetryAfter, Route,
    When::{After, Always, Times},
};

use crate::rig::{MIB, Rig, settings};

/// Longer than any test waits.
const LATER: RetryAfter = RetryAfter::Seconds(600);

/// A server of its own that gives each connection so much.
fn served(size: u64, bytes_per_second: u64) -> Route {
    let server = FileServer::start();
    server.set_rate_per_connection(bytes_per_second);
    server.file("/f.bin", Content::pattern(81, size))
}

/// The file from these sources, in this order; its hash is known.
fn job(rig: &Rig, sources: &[&Route]) -> FileJob {
    let links = sources.iter().map(|source| source.url().parse().unwrap()).collect();
    FileJob { sources: links, ..rig.known("f.bin", sources[0]) }
}

#[tokio::test]
async fn retry_after_of_one_source_leaves_another_to_be_asked() {
    let small = || served(3 * MIB, 100_000_000);
    let patient = [
        ("from the beginning", small().retry_later(503, LATER, Always)),
        ("after a part of the file", small().cut_after(MIB, Times(1)).retry_later(503, LATER, After(1))),
    ];
    for (when, patient) in patient {
        let failing = small().status(500, Times(4));
        let mut rig = Rig::start();
        let story = rig.fetch(job(&rig, &[&patient, &failing])).await;
        assert!(story.completed() && story.restarts().is_empty(), "{when}: {:#?}", story.told());
        rig.assert_whole("f.bin", &failing.content());
        let asked = patient.requests().iter().filter(|request| request.status == Some(503)).count();
        assert_eq!((asked, failing.requests().len()), (1, 5), "{when}: how often each was asked");
    }
}

#[tokio::test]
async fn a_source_that_began_a_file_and_gives_no_parts_of_it_is_asked_for_one_once() {
    let began = served(48 * MIB, 100_000_000).cut_after(2 * MIB, Times(1)).ignore_range(After(1));
    let other = served(48 * MIB, 20_000_000).status(500, Times(1));
    let mut rig = Rig::with(Settings { connections_per_download: 2, ..settings() });
    let story = rig.fetch(job(&rig, &[&other, &began])).await;
    assert!(story.completed() && story.restarts().is_empty(), "{:#?}", story.told());
    rig.assert_whole("f.bin", &began.content());
    assert_eq!(began.requests().len(), 2, "once for the beginning, once for a part");
}

#[tokio::test]
async fn connections_that_are_sent_away_all_at_once_are_one_failure() {
    let route = served(48 * MIB, 4_000_000);
    let one_moment = Times(15).matching(|request| request.range().is_some_and(|(first, _)| first > 0));
    let route = route.retry_later(503, RetryAfter::Seconds(1), one_moment);
    let mut rig = Rig::with(Settings { connections_per_download: 16, ..settings() });
    let story = rig.fetch(rig.known("f.bin", &route)).await;
    assert!(story.completed() && story.restarts().is_empty(), "{:#?}", story.told());
    rig.assert_whole("f.bin", &route.content());
}

#[tokio::test]
async fn a_file_that_waits_for_its_server_does_not_hold_up_the_next_one_of_its_job() {
    let size = 48 * MIB;
    let patient = served(size, 100_000_000).retry_later(503, LATER, Always);
    let other = FileServer::start().file("/g.bin", Content::pattern(82, MIB));
    let mut rig = Rig::start();
    let first = FileJob { size: Some(size), ..rig.file("f.bin", &patient.url()) };
    rig.enqueue("job", vec![first, rig.known("g.bin", &other)]).await;
    rig.until("job", |event| matches!(event, JobEvent::FileCompleted { file: 1, .. })).await;
    rig.downloader.cancel(&JobId::new("job")).await.unwrap();
    rig.assert_whole("g.bin", &other.content());
}
