//! Answers to a range that are not what was asked for: the file ends whole, or fails in words; never with a wrong byte.

use downloader::{FileJob, RestartReason, TransferError};
use test_support::file_server::{
    Content, ContentRange, FileServer, Reply, Request, Route,
    When::{After, Always, Nth, Times},
};

use crate::rig::{MIB, Rig, short_timeouts, side_by_side};

/// Not a multiple of any block.
const SIZE: u64 = 1_234_567;

/// Where the first answer is cut, in the middle of a block.
const CUT: u64 = 600_001;

/// A file whose first answer is cut, so that a range is asked for.
fn cut_once(seed: u64) -> Route {
    FileServer::start().file("/f.bin", Content::pattern(seed, SIZE)).cut_after(CUT, Times(1))
}

type Rule = fn(&Route) -> Route;

fn said(route: &Route, content_range: ContentRange) -> Route {
    route.content_range(content_range, Nth(2))
}

fn text(route: &Route, content_range: &str) -> Route {
    said(route, ContentRange::Text(content_range.to_owned()))
}

/// What the second answer is, against which the file goes on without losing a byte.
const BORNE: [(&str, Rule); 25] = [
    ("honest", Route::clone),
    ("honest, without a Content-Length", |route| route.chunked(Nth(2))),
    ("early start", |route| said(route, ContentRange::Early(1))),
    ("late start", |route| said(route, ContentRange::Late(1))),
    ("wrong end", |route| said(route, ContentRange::WrongEnd(1))),
    ("short end", |route| said(route, ContentRange::WrongEnd(-1))),
    ("unknown total", |route| said(route, ContentRange::UnknownTotal)),
    ("no Content-Range", |route| said(route, ContentRange::Missing)),
    ("doubled header", |route| said(route, ContentRange::Doubled)),
    ("negative", |route| said(route, ContentRange::Negative)),
    ("empty", |route| text(route, "")),
    ("garbage", |route| text(route, "garbage")),
    ("no numbers", |route| text(route, "bytes abc-def/ghi")),
    ("no unit", |route| text(route, "600001-1234566/1234567")),
    ("end before start", |route| text(route, "bytes 600001-500000/1234567")),
    ("another range, truly named", |route| route.shift_range(1000, Nth(2))),
    ("an earlier range, truly named", |route| route.shift_range(-1000, Nth(2))),
    ("chunked and another range", |route| route.shift_range(1000, Nth(2)).chunked(Nth(2))),
    ("several parts", |route| route.multipart(Nth(2))),
    ("gzip", |route| route.gzip(Nth(2))),
    ("more bytes than the range", |route| route.extra_bytes(100, Nth(2))),
    ("chunked and more bytes than the range", |route| route.extra_bytes(100, Nth(2)).chunked(Nth(2))),
    ("a length too long", |route| route.wrong_length(100, Nth(2))),
    ("a length too short", |route| route.wrong_length(-100, Nth(2))),
    ("a length that is no number", |route| route.header("Content-Length", "many", Nth(2))),
];

/// What the second answer is, after which the file begins again, once, and why.
const RESTARTED: [(&str, Rule, RestartReason); 4] = [
    // Where no hash is known, the tag goes along. A whole answer with the same tag refuses it, and the range is given without.
    ("range ignored", |route| route.ignore_range(Nth(2)), RestartReason::RangesRefused),
    ("wrong total", |route| said(route, ContentRange::WrongTotal(5)), RestartReason::ChangedOnServer),
    ("416", |route| route.unsatisfiable(false, Nth(2)), RestartReason::ChangedOnServer),
    ("416 with a page", |route| route.unsatisfiable(true, Nth(2)), RestartReason::ChangedOnServer),
];

async fn after_a_cut(name: &str, rule: Rule, restarts: &[RestartReason], known: bool) {
    let route = rule(&cut_once(31));
    let mut rig = Rig::start();
    let file = if known { rig.known("f.bin", &route) } else { rig.file("f.bin", &route.url()) };
    let story = rig.fetch(file).await;
    assert!(story.completed(), "{name}, hash known {known}: {:#?}", story.told());
    assert_eq!(story.restarts(), restarts, "{name}, hash known {known}");
    assert_eq!(route.requests()[1].range().unwrap().0, CUT, "{name}: it asked for what was missing");
    rig.assert_whole("f.bin", &route.content());
}

#[tokio::test]
async fn no_lie_about_a_range_ends_in_a_wrong_byte() {
    let borne = BORNE.into_iter().map(|(name, rule)| (name, rule, vec![]));
    let restarted = RESTARTED.into_iter().map(|(name, rule, reason)| (name, rule, vec![reason]));
    let rows = borne.chain(restarted).flat_map(|(name, rule, known)| {
        let unknown = match known[..] {
            [] | [RestartReason::RangesRefused] => vec![],
            _ => vec![RestartReason::ChangedOnServer],
        };
        [(name, rule, known, true), (name, rule, unknown, false)]
    });
    side_by_side(
        rows.map(|(name, rule, restarts, known)| async move { after_a_cut(name, rule, &restarts, known).await }),
    )
    .await;
}

#[tokio::test]
async fn a_server_that_lies_every_time_fails_in_words() {
    let table: [(Rule, &str); 5] = [
        (|route| route.content_range(ContentRange::Late(1), Always), "it holds bytes 1-299999 where 0-"),
        (|route| route.content_range(ContentRange::Missing, Always), "it has no Content-Range, or more than one"),
        (|route| route.content_range(ContentRange::Doubled, Always), "it has no Content-Range, or more than one"),
        (|route| route.multipart(Always), "it holds several parts where one was asked for"),
        (|route| route.gzip(Always), "it is encoded as \"gzip\" although it was asked for as it is"),
    ];
    for (rule, words) in table {
        let route = rule(&FileServer::start().file("/f.bin", Content::pattern(32, 300_000)));
        let mut rig = Rig::start();
        let story = rig.fetch(rig.known("f.bin", &route)).await;
        assert!(matches!(story.error(), TransferError::BadAnswer { .. }), "{words}: {}", story.error());
        let host = route.server().address();
        let expected = format!("{host} sent an invalid response: {words}");
        assert!(story.error().to_string().starts_with(&expected), "{expected}: {}", story.error());
        rig.assert_absent("f.bin");
    }
}

/// Nothing is gained by asking a third time, nor by waiting long between the two.
#[tokio::test]
async fn a_host_that_always_encodes_is_given_up_at_once() {
    let route = FileServer::start().file("/f.bin", Content::pattern(33, 300_000)).gzip(Always);
    let mut rig = Rig::start();
    let story = rig.fetch(rig.known("f.bin", &route)).await;
    assert!(matches!(story.error(), TransferError::BadAnswer { .. }), "{}", story.error());
    assert_eq!(route.requests().len(), 2);
    rig.assert_absent("f.bin");
}

#[tokio::test]
async fn a_size_that_no_disk_can_hold_is_not_believed() {
    const LIE: &str = "9223372036854775806";
    let rules: [Rule; 2] = [
        |route| route.content_range(ContentRange::Text(format!("bytes 0-299999/{LIE}")), Always),
        |route| route.ignore_range(Always).header("Content-Length", LIE, Always),
    ];
    for rule in rules {
        let route = rule(&FileServer::start().file("/f.bin", Content::pattern(40, 300_000)));
        let mut rig = Rig::start();
        let story = rig.fetch(rig.known("f.bin", &route)).await;
        let words = format!("sent an invalid response: it says that the file has {LIE} bytes");
        assert!(story.error().to_string().ends_with(&words), "{}", story.error());
        rig.assert_absent("f.bin");
    }
}

#[tokio::test]
async fn what_a_server_says_at_length_is_told_in_short() {
    let long = "x".repeat(6_000);
    for header in ["Content-Range", "Content-Encoding"] {
        let route = FileServer::start().file("/f.bin", Content::pattern(41, 300_000)).header(header, &long, Always);
        let mut rig = Rig::start();
        let words = rig.fetch(rig.known("f.bin", &route)).await.error().to_string();
        assert!(words.contains("xxx") && words.len() < 300, "{header}: {} bytes", words.len());
    }
}

#[tokio::test]
async fn a_server_that_begins_to_lie_costs_no_byte_that_is_here() {
    let route = cut_once(36).content_range(ContentRange::Late(1), After(1));
    let mut rig = Rig::start();
    let story = rig.fetch(rig.known("f.bin", &route)).await;
    assert!(matches!(story.error(), TransferError::BadAnswer { .. }), "{}", story.error());
    rig.assert_waits("f.bin");
    route.behave();
    rig.downloader.resume(&downloader::JobId::new("job")).await.unwrap();
    let story = rig.rest("job").await;
    assert_eq!(story.outcome().wire_bytes, SIZE - CUT);
    rig.assert_whole("f.bin", &route.content());
}

#[tokio::test]
async fn a_server_that_never_says_the_total_gives_the_whole_file() {
    for (size, sized) in [(300_000, false), (300_000, true), (20 * MIB + 7, false), (20 * MIB + 7, true)] {
        let route = FileServer::start()
            .file("/f.bin", Content::pattern(37, size))
            .content_range(ContentRange::UnknownTotal, Always)
            .cut_after(17 * MIB, Times(1));
        let mut rig = Rig::start();
        let file = FileJob { size: sized.then_some(size), ..rig.file("f.bin", &route.url()) };
        let story = rig.fetch(file).await;
        assert!(story.completed() && story.restarts().is_empty(), "{size}, {sized}: {:#?}", story.told());
        rig.assert_whole("f.bin", &route.content());
        assert_eq!(route.body_bytes_sent(), size, "size known {sized}");
    }
}

#[tokio::test]
async fn more_bytes_than_were_asked_for_are_another_file() {
    let rules: [(&str, Rule); 4] = [
        ("a length that is said", |route| route.ignore_range(Always)),
        ("no length", |route| route.ignore_range(Always).chunked(Always)),
        ("the end of the connection", |route| route.ignore_range(Always).length_by_close(Always)),
        ("a range without a total", |route| route.content_range(ContentRange::UnknownTotal, Always)),
    ];
    for (name, rule) in rules {
        let route = rule(&FileServer::start().file("/f.bin", Content::pattern(38, SIZE)));
        let mut rig = Rig::start();
        let story = rig.fetch(FileJob { size: Some(SIZE - 100), ..rig.file("f.bin", &route.url()) }).await;
        let expected = SIZE - 100;
        match story.error() {
            TransferError::SizeMismatch { expected: asked, actual, .. } => {
                assert!(*asked == expected && *actual > expected, "{name}: {}", story.error());
            }
            other => panic!("{name}: {other}"),
        }
        rig.assert_absent("f.bin");
    }
}

#[tokio::test]
async fn a_source_that_goes_on_past_the_end_is_left_with_all_that_it_gave() {
    let rules: [Rule; 2] = [|route| route.chunked(Always), |route| route.length_by_close(Always)];
    for rule in rules {
        let longer = rule(&FileServer::start().file("/f.bin", Content::pattern(38, SIZE)).ignore_range(Always));
        let right = FileServer::start().file("/f.bin", Content::pattern(39, SIZE - 100));
        let mut rig = Rig::start();
        let sources = [&longer, &right].map(|route| route.url().parse().unwrap()).to_vec();
        let file = FileJob { sources, size: Some(SIZE - 100), ..rig.file("f.bin", &longer.url()) };
        let story = rig.fetch(file).await;
        assert!(story.completed(), "{:#?}", story.told());
        rig.assert_whole("f.bin", &right.content());
    }
}

#[tokio::test]
async fn a_body_that_is_shifted_or_garbled_in_silence_is_found_by_the_hash() {
    let rules: [(&str, Rule); 5] = [
        ("a byte late", |route| route.shift_body(1, Nth(2)).extra_bytes(1, Nth(2))),
        ("a byte early", |route| route.shift_body(-1, Nth(2))),
        ("a page late", |route| route.shift_body(4096, Nth(2)).extra_bytes(4096, Nth(2))),
        ("its first byte", |route| route.corrupt_byte(CUT, Nth(2))),
        ("bytes in the middle and the last", |route| {
            route.corrupt_byte(CUT + 1000, Nth(2)).corrupt_byte(MIB, Nth(2)).corrupt_byte(SIZE - 1, Nth(2))
        }),
    ];
    for (name, rule) in rules {
        let route = rule(&cut_once(33));
        let mut rig = Rig::with(short_timeouts());
        let story = rig.fetch(rig.known("f.bin", &route)).await;
        assert!(story.completed(), "{name}: {:#?}", story.told());
        assert_eq!(story.restarts(), [RestartReason::HashMismatch], "{name}: one full retry");
        rig.assert_whole("f.bin", &route.content());
    }
}

#[tokio::test]
async fn a_corrupt_byte_costs_one_full_retry_and_two_fail() {
    let route = FileServer::start().file("/f.bin", Content::pattern(34, SIZE)).corrupt_byte(5, Always);
    let mut rig = Rig::start();
    let story = rig.fetch(rig.known("f.bin", &route)).await;
    match story.error() {
        TransferError::HashMismatch { expected, .. } => assert_eq!(expected.to_string(), route.sha256()),
        other => panic!("{other}"),
    }
    let words = format!("SHA-256 mismatch: expected {}, got ", route.sha256());
    assert!(story.error().to_string().starts_with(&words), "{}", story.error());
    assert_eq!(story.restarts(), [RestartReason::HashMismatch]);
    assert_eq!(route.body_bytes_sent(), 2 * SIZE, "twice, and not more");
    rig.assert_absent("f.bin");
}

#[tokio::test]
async fn a_server_that_gives_a_part_for_the_whole_and_the_whole_for_a_part_fails_in_words() {
    let content = Content::pattern(91, MIB);
    let answer = move |request: &Request| match request.range() {
        Some((first, _)) if first > 0 => Reply::status(200).body(content.to_vec()),
        _ => {
            let range = format!("bytes 0-99999/{MIB}");
            Reply::status(206).header("Content-Range", range).body(&content.to_vec()[..100_000])
        }
    };
    let route = FileServer::start().handle("/f.bin", answer);
    let mut rig = Rig::start();
    let story = rig.fetch(rig.file("f.bin", &route.url())).await;
    let words = "sent an invalid response: it holds a part where the whole was asked for";
    assert!(story.error().to_string().ends_with(words), "{}", story.error());
    assert_eq!(story.restarts(), [RestartReason::RangesRefused]);
    rig.assert_absent("f.bin");
}

#[tokio::test]
async fn a_range_without_an_end_is_asked_for_as_such() {
    // As Go and nginx read numbers: signed ones.
    let too_large = |request: &Request| {
        let last = request.range()?.1?;
        (last > i64::MAX as u64).then(|| Reply::status(416))
    };
    let content = Content::pattern(92, 17 * MIB);
    let route = FileServer::start().guarded_file("/f.bin", content.clone(), too_large);
    let route = route.content_range(ContentRange::UnknownTotal, Always);
    let mut rig = Rig::start();
    let story = rig.fetch(rig.file("f.bin", &route.url())).await;
    assert!(story.completed() && story.restarts().is_empty(), "{:#?}", story.told());
    rig.assert_whole("f.bin", &content);
}
