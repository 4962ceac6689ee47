//! Several sources of one file: which server sends how much, as far as they are proven to hold the same.

use downloader::FileJob;
use test_support::file_server::{Content, FileServer, Route, Validator, When::Always};

use crate::rig::{MIB, Rig, Story};

/// A server that gives each connection so much.
fn server(content: &Content, bytes_per_second: u64) -> Route {
    let server = FileServer::start();
    server.set_rate_per_connection(bytes_per_second);
    server.file("/f.bin", content.clone())
}

/// The file from these servers, in this order; with its hash known or not.
async fn fetch(sources: &[&Route], known: bool) -> (Rig, Story) {
    let mut rig = Rig::start();
    let file = if known { rig.known("f.bin", sources[0]) } else { rig.file("f.bin", &sources[0].url()) };
    let sources = sources.iter().map(|source| source.url().parse().unwrap()).collect();
    let story = rig.fetch(FileJob { sources, ..file }).await;
    assert!(story.completed() && story.restarts().is_empty(), "{:#?}", story.told());
    (rig, story)
}

#[tokio::test]
async fn ranges_come_from_all_sources_that_the_hash_or_a_strong_validator_proves_equal() {
    for known in [true, false] {
        let content = Content::pattern(71, 48 * MIB);
        let sources = [0; 3].map(|_| server(&content, 4_000_000));
        let (rig, _) = fetch(&sources.each_ref(), known).await;
        rig.assert_whole("f.bin", &content);
        let sent = sources.each_ref().map(Route::body_bytes_sent);
        assert!(sent.iter().all(|sent| *sent >= 4 * MIB), "hash known: {known}, bytes sent: {sent:?}");
    }
}

#[tokio::test]
async fn a_slow_but_living_source_is_left_for_a_fast_one() {
    for size in [48, 8] {
        let content = Content::pattern(72, size * MIB);
        let (slow, fast) = (server(&content, 100_000), server(&content, 20_000_000));
        let (rig, story) = fetch(&[&slow, &fast], true).await;
        rig.assert_whole("f.bin", &content);
        assert!(slow.body_bytes_sent() < 4 * MIB, "{size} MiB: the slow one sent {}", slow.body_bytes_sent());
        assert!(story.outcome().wire_bytes < (size + 4) * MIB, "{} bytes for {size} MiB", story.outcome().wire_bytes);
    }
}

#[tokio::test]
async fn the_only_source_is_kept_however_slow_it_is() {
    let content = Content::pattern(73, 2 * MIB);
    let slow = server(&content, 500_000);
    let gone = FileServer::start().file("/f.bin", content.clone()).status(404, Always);
    let (rig, _) = fetch(&[&slow, &gone], true).await;
    rig.assert_whole("f.bin", &content);
    assert_eq!(slow.body_bytes_sent(), content.size());
}

#[tokio::test]
async fn a_source_that_proves_nothing_or_holds_something_else_is_not_mixed_in() {
    let content = Content::pattern(74, 40 * MIB);
    let first = || server(&content, 10_000_000);
    let others = [
        ("weak validators", false, first().validator(Validator::Weak, Always), server(&content, 10_000_000)),
        ("another version", false, first(), server(&Content::pattern(75, 40 * MIB), 10_000_000)),
        (
            "no validators, and other bytes",
            false,
            first(),
            server(&Content::pattern(75, 40 * MIB), 10_000_000).validator(Validator::Nothing, Always),
        ),
        ("another size", true, first(), server(&Content::pattern(75, 39 * MIB), 10_000_000)),
        ("no ranges", true, first(), server(&content, 10_000_000).ignore_range(Always)),
    ];
    for (why, known, first, other) in others {
        let (rig, _) = fetch(&[&first, &other], known).await;
        rig.assert_whole("f.bin", &content);
        assert!(first.body_bytes_sent() >= content.size(), "{why}: the first sent {}", first.body_bytes_sent());
        assert!(other.requests().len() <= 1, "{why}: {} requests", other.requests().len());
    }
}

#[tokio::test]
async fn a_cut_connection_is_no_reason_to_begin_anew_from_a_source_that_proves_nothing() {
    let content = Content::pattern(76, 6 * MIB);
    let first = server(&content, 50_000_000).validator(Validator::Weak, Always);
    first.cut_after(5 * MIB, test_support::file_server::Times(2));
    let other = server(&content, 50_000_000).validator(Validator::Weak, Always);
    let (rig, _) = fetch(&[&first, &other], false).await;
    rig.assert_whole("f.bin", &content);
    assert_eq!((first.body_bytes_sent(), other.requests().len()), (content.size(), 0));
}
