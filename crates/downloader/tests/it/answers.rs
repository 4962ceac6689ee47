//! Answers to a range that are not what was asked for: the file ends whole, or fails in words; never with a wrong byte.

use downloader::TransferError;
use test_support::file_server::{
    Content, ContentRange, FileServer, Route,
    When::{Always, Nth, Times},
};

use crate::rig::{MIB, Rig, impatient};

/// Not a multiple of any block.
const SIZE: u64 = 3 * MIB + 1237;

/// A file whose first answer is cut in the middle of a block, so that a range is asked for.
fn cut_once(seed: u64) -> Route {
    FileServer::start().file("/f.bin", Content::pattern(seed, SIZE)).cut_after(MIB + 4567, Times(1))
}

type Rule = fn(&Route) -> Route;

/// Every lie that a server tells about a range.
const LIES: [(&str, Rule); 21] = [
    ("range ignored", |route| route.ignore_range(Nth(2))),
    ("early start", |route| route.content_range(ContentRange::Early(1), Nth(2))),
    ("late start", |route| route.content_range(ContentRange::Late(1), Nth(2))),
    ("wrong end", |route| route.content_range(ContentRange::WrongEnd(1), Nth(2))),
    ("short end", |route| route.content_range(ContentRange::WrongEnd(-1), Nth(2))),
    ("wrong total", |route| route.content_range(ContentRange::WrongTotal(5), Nth(2))),
    ("unknown total", |route| route.content_range(ContentRange::UnknownTotal, Nth(2))),
    ("no Content-Range", |route| route.content_range(ContentRange::Missing, Nth(2))),
    ("doubled header", |route| route.content_range(ContentRange::Doubled, Nth(2))),
    ("negative", |route| route.content_range(ContentRange::Negative, Nth(2))),
    ("garbage", |route| route.content_range(ContentRange::Text("garbage".into()), Nth(2))),
    ("no unit", |route| route.content_range(ContentRange::Text("1-2/3".into()), Nth(2))),
    ("another range, truly named", |route| route.shift_range(1000, Nth(2))),
    ("an earlier range, truly named", |route| route.shift_range(-1000, Nth(2))),
    ("chunked and another range", |route| route.shift_range(1000, Nth(2)).chunked(Nth(2))),
    ("several parts", |route| route.multipart(Nth(2))),
    ("416", |route| route.unsatisfiable(false, Nth(2))),
    ("416 with a page", |route| route.unsatisfiable(true, Nth(2))),
    ("longer than it says", |route| route.extra_bytes(100, Nth(2))),
    ("a length too long", |route| route.wrong_length(100, Nth(2))),
    ("a length too short", |route| route.wrong_length(-100, Nth(2))),
];

#[tokio::test]
async fn no_lie_about_a_range_ends_in_a_wrong_byte() {
    for (name, rule) in LIES {
        for known in [true, false] {
            let route = rule(&cut_once(31));
            let mut rig = Rig::with(impatient());
            let file = if known { rig.known("f.bin", &route) } else { rig.file("f.bin", &route.url()) };
            let story = rig.fetch(file).await;
            assert!(story.completed(), "{name}, hash known {known}: {:#?}", story.told());
            rig.assert_whole("f.bin", &route.content());
        }
    }
}

#[tokio::test]
async fn a_server_that_lies_every_time_fails_in_words() {
    for (name, rule) in [
        ("late start", (|route| route.content_range(ContentRange::Late(1), Always)) as Rule),
        ("no Content-Range", |route| route.content_range(ContentRange::Missing, Always)),
        ("several parts", |route| route.multipart(Always)),
        ("gzip", |route| route.gzip(Always)),
    ] {
        let route = rule(&FileServer::start().file("/f.bin", Content::pattern(32, 300_000)));
        let mut rig = Rig::start();
        let story = rig.fetch(rig.known("f.bin", &route)).await;
        assert!(matches!(story.error(), TransferError::BadAnswer { .. }), "{name}: {}", story.error());
        assert!(!rig.path("f.bin").exists());
    }
}

#[tokio::test]
async fn a_body_that_is_shifted_in_silence_is_found_by_the_hash() {
    for by in [1, -1, 4096] {
        let route = cut_once(33).shift_body(by, Nth(2));
        let mut rig = Rig::start();
        let story = rig.fetch(rig.known("f.bin", &route)).await;
        assert!(story.completed(), "{by}: {:#?}", story.told());
        rig.assert_whole("f.bin", &route.content());
    }
}

#[tokio::test]
async fn a_corrupt_byte_costs_one_full_retry_and_two_fail() {
    let route = cut_once(34).corrupt_byte(SIZE - 1, Nth(2));
    let mut rig = Rig::start();
    let story = rig.fetch(rig.known("f.bin", &route)).await;
    assert!(story.completed(), "{:#?}", story.told());
    assert_eq!(story.restarts(), [downloader::RestartReason::HashMismatch]);
    rig.assert_whole("f.bin", &route.content());

    let route = FileServer::start().file("/f.bin", Content::pattern(34, SIZE)).corrupt_byte(5, Always);
    let mut rig = Rig::start();
    let story = rig.fetch(rig.known("f.bin", &route)).await;
    assert!(matches!(story.error(), TransferError::HashMismatch { .. }), "{}", story.error());
    rig.assert_absent("f.bin");
}
