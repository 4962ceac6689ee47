//! Connections that fail: cut, reset, stalled, slow, busy.

use std::time::{Duration, Instant};

use downloader::{Backoff, JobEvent, RestartReason, Settings, TransferError};
use test_support::file_server::{
    Content, FileServer, OverLimit, Reply, RetryAfter, Route,
    When::{self, Always, Nth, Times},
};

use crate::rig::{MIB, Rig, settings, short_timeouts, side_by_side};

const SIZE: u64 = 3 * MIB + 777;

fn served(rule: impl Fn(&Route) -> Route) -> Route {
    rule(&FileServer::start().file("/f.bin", Content::pattern(11, SIZE)))
}

/// The file arrives whole although the rule is in force.
async fn arrives(settings: Settings, rule: impl Fn(&Route) -> Route) -> Route {
    let route = served(rule);
    let mut rig = Rig::with(settings);
    let story = rig.fetch(rig.file("f.bin", &route.url())).await;
    assert!(story.completed(), "{:#?}", story.told());
    assert!(story.restarts().is_empty(), "{:?}", story.restarts());
    rig.assert_whole("f.bin", &route.content());
    route
}

#[tokio::test]
async fn a_cut_connection_resumes_where_it_stopped() {
    let route = arrives(settings(), |route| route.cut_after(MIB + 300_000, Times(1))).await;
    assert_eq!(route.requests()[1].range().unwrap().0, MIB + 300_000);
    assert_eq!(route.body_bytes_sent(), SIZE);
}

#[tokio::test]
async fn a_reset_connection_resumes() {
    let route = served(|route| route.reset_after(2 * MIB, Times(1)));
    let gate = route.hold_at(MIB);
    let mut rig = Rig::start();
    rig.enqueue("job", vec![rig.file("f.bin", &route.url())]).await;
    // A reset takes with it what has not been read.
    rig.until("job", |event| matches!(event, JobEvent::Progress(tick) if tick.downloaded_bytes == MIB)).await;
    gate.open();
    let story = rig.rest("job").await;
    assert!(story.completed() && story.restarts().is_empty(), "{:#?}", story.told());
    rig.assert_whole("f.bin", &route.content());
    assert!(route.requests()[1].range().unwrap().0 >= MIB);
}

#[tokio::test]
async fn a_connection_that_is_cut_before_its_first_byte_is_asked_again() {
    let route = arrives(settings(), |route| route.cut_after(0, Times(2))).await;
    assert_eq!((route.requests().len(), route.body_bytes_sent()), (3, SIZE));
}

#[tokio::test]
async fn cuts_without_end_are_fine_as_long_as_bytes_come() {
    let route = arrives(settings(), |route| route.cut_after(100_000, Always)).await;
    assert_eq!(route.body_bytes_sent(), SIZE);
    assert!(route.requests().len() > 30);
}

#[tokio::test]
async fn silence_at_any_byte_ends_with_a_new_request() {
    assert!(Settings::default().stall_timeout <= Duration::from_secs(30));
    side_by_side((0..50).map(|step| async move {
        let offset = step * SIZE / 50;
        // Long enough that a busy machine is not taken for a stalled server.
        let settings = Settings { stall_timeout: Duration::from_secs(1), ..settings() };
        let route = arrives(settings, |route| route.stall_after(offset, Times(1))).await;
        let asked: Vec<_> = route.requests().iter().map(|request| request.range().unwrap().0).collect();
        assert_eq!(asked[..2], [0, offset], "a new request, for what was missing");
    }))
    .await;
}

#[tokio::test]
async fn silence_before_the_head_ends_with_a_new_request() {
    arrives(short_timeouts(), |route| route.stall_before_head(Times(2))).await;
}

#[tokio::test]
async fn silence_on_all_connections_at_once_is_overcome() {
    let server = FileServer::start();
    server.set_rate_per_connection(20_000_000);
    let route = server.file("/f.bin", Content::pattern(12, 40 * MIB)).stall_after(MIB, Times(9));
    let mut rig = Rig::with(short_timeouts());
    let story = rig.fetch(rig.file("f.bin", &route.url())).await;
    assert!(story.completed(), "{:#?}", story.told());
    rig.assert_whole("f.bin", &route.content());
}

#[tokio::test]
async fn a_job_that_receives_nothing_is_shown_as_stalled() {
    let route = served(|route| route.stall_after(SIZE / 2, Times(1)));
    let settings = short_timeouts();
    let mut rig =
        Rig::with(Settings { stall_timeout: 4 * settings.stall_timeout, connections_per_download: 1, ..settings });
    rig.enqueue("job", vec![rig.file("f.bin", &route.url())]).await;
    rig.until("job", |event| matches!(event, JobEvent::Progress(progress) if progress.stalled)).await;
    assert!(rig.rest("job").await.completed());
}

#[tokio::test]
async fn silence_for_ever_fails_in_words() {
    let route = served(|route| route.stall_after(0, Always));
    let mut rig = Rig::with(Settings { stall_timeout: Duration::from_millis(100), ..settings() });
    let story = rig.fetch(rig.file("f.bin", &route.url())).await;
    assert!(matches!(story.error(), TransferError::Stalled { .. }), "{}", story.error());
    assert!(story.error().to_string().contains("stalled repeatedly (no data for 0.1 s)"), "{}", story.error());
    assert_eq!(route.requests().len(), 6, "five tries beyond the first");
    rig.assert_absent("f.bin");
}

#[tokio::test]
async fn a_slow_but_living_connection_is_left_alone() {
    let route =
        FileServer::start().file("/f.bin", Content::pattern(13, 60)).trickle(1, Duration::from_millis(10), Always);
    let mut rig = Rig::with(Settings { stall_timeout: Duration::from_millis(150), ..settings() });
    let story = rig.fetch(rig.file("f.bin", &route.url())).await;
    assert!(story.completed());
    assert_eq!(route.requests().len(), 1);
}

#[tokio::test]
async fn a_busy_server_is_asked_again() {
    for status in [408, 425, 429, 500, 502, 503, 504, 520] {
        arrives(settings(), |route| route.status(status, Times(2))).await;
    }
}

#[tokio::test]
async fn a_server_that_stays_busy_fails_in_words() {
    let route = served(|route| route.status(503, Always));
    let mut rig = Rig::start();
    let story = rig.fetch(rig.file("f.bin", &route.url())).await;
    let words = format!("{} keeps answering with status 503", route.server().address());
    assert_eq!(story.error().to_string(), words);
    assert_eq!(route.requests().len(), 6);
    rig.assert_absent("f.bin");
}

#[tokio::test]
async fn retry_after_is_honoured_in_both_forms() {
    // A date is judged by the server's own clock, whatever the time is here.
    let date = "Sun, 06 Nov 1994 08:49:37 GMT";
    for after in ["1", "Sun, 06 Nov 1994 08:49:38 GMT"] {
        let reply = Reply::status(429).header("Date", date).header("Retry-After", after);
        let route = served(|route| route.reply(reply.clone(), Times(1)));
        let mut rig = Rig::start();
        let start = Instant::now();
        let story = rig.fetch(rig.file("f.bin", &route.url())).await;
        assert!(story.completed());
        assert!(start.elapsed() >= Duration::from_millis(950), "{after}: {:?}", start.elapsed());
    }
    // Where it shows none, nobody knows how far away a date is.
    arrives(settings(), |route| route.retry_later(429, RetryAfter::DateIn(3600), Times(1))).await;
}

#[tokio::test]
async fn a_server_that_takes_few_connections_still_gives_the_file() {
    for over in [503, 401, 403, 404].map(OverLimit::Status).into_iter().chain([OverLimit::Reset]) {
        let server = FileServer::start();
        server.set_rate_per_connection(30_000_000);
        server.limit_connections(2, over);
        let route = server.file("/f.bin", Content::pattern(14, 40 * MIB));
        // The server counts a connection until it has seen its end, which takes a busy machine a moment.
        let backoff =
            Backoff { first: Duration::from_millis(250), max: Duration::from_secs(1), tries_without_progress: 20 };
        let mut rig = Rig::with(Settings { backoff, ..settings() });
        let story = rig.fetch(rig.file("f.bin", &route.url())).await;
        assert!(story.completed(), "{over:?}: {:#?}", story.told());
        rig.assert_whole("f.bin", &route.content());
        // All that are allowed are tried once; an engine that did not learn from that would open hundreds.
        assert!(server.connections_opened() < 20, "{over:?}: {} connections", server.connections_opened());
    }
}

#[tokio::test]
async fn one_slow_connection_does_not_hold_the_end() {
    let server = FileServer::start();
    server.set_rate_per_connection(20_000_000);
    let route = server.file("/f.bin", Content::pattern(15, 40 * MIB)).rate(10_000, Nth(3));
    let mut rig = Rig::start();
    // What it was given takes it minutes, far longer than this waits.
    let story = rig.fetch(rig.file("f.bin", &route.url())).await;
    assert!(story.completed());
    rig.assert_whole("f.bin", &route.content());
}

#[tokio::test]
async fn a_connection_that_falls_silent_does_not_hold_the_end() {
    let server = FileServer::start();
    server.set_rate_per_connection(20_000_000);
    // It is the fastest for most of the file, and has too little left for the others to take half of it.
    let route = server.file("/f.bin", Content::pattern(17, 100 * MIB));
    let route = route.rate(40_000_000, Nth(1)).stall_after(15 * MIB, Nth(1));
    let mut rig = Rig::with(Settings { stall_timeout: Duration::from_secs(3600), ..settings() });
    let story = rig.fetch(rig.file("f.bin", &route.url())).await;
    assert!(story.completed());
    rig.assert_whole("f.bin", &route.content());
    assert!(route.body_bytes_sent() < 104 * MIB, "only what it had not brought is asked for anew");
}

#[tokio::test]
async fn a_server_that_is_away_for_a_while_is_found_again() {
    let server = FileServer::start();
    let port = server.address().port();
    let content = Content::pattern(16, SIZE);
    let route = server.file("/f.bin", content.clone());
    let gate = route.hold_at(2 * MIB);
    let url = route.url();
    let mut rig =
        Rig::with(Settings { backoff: Backoff { tries_without_progress: 200, ..settings().backoff }, ..settings() });
    rig.enqueue("job", vec![rig.file("f.bin", &url)]).await;
    gate.reached().await;
    drop((gate, route, server));
    let second = FileServer::start_on(port);
    let route = second.file("/f.bin", content.clone());
    let story = rig.rest("job").await;
    assert!(story.completed(), "{:#?}", story.told());
    rig.assert_whole("f.bin", &content);
    assert!(route.body_bytes_sent() < SIZE, "what had arrived was fetched again");
}

#[tokio::test]
async fn a_server_that_is_not_there_fails_in_words() {
    let server = FileServer::start();
    let url = server.url("/f.bin");
    drop(server);
    let mut rig = Rig::start();
    let story = rig.fetch(rig.file("f.bin", &url)).await;
    assert!(matches!(story.error(), TransferError::Network { .. }), "{}", story.error());
    let words = "could not be reached or the connection broke: Connection refused (os error 111)";
    assert!(story.error().to_string().ends_with(words), "{}", story.error());
    rig.assert_absent("f.bin");
}

#[tokio::test]
async fn a_mirror_takes_over_from_a_source_that_fails() {
    let rules: [fn(&Route) -> Route; 4] = [
        |route| route.status(404, Always),
        |route| route.status(500, Always),
        |route| route.login_page(Always),
        |route| route.cut_after(MIB, Times(1)).status(410, When::After(1)),
    ];
    for (number, rule) in rules.iter().enumerate() {
        let bad = served(rule);
        let good = served(Route::clone);
        let mut rig = Rig::start();
        let mut file = rig.known("f.bin", &bad);
        file.sources.push(good.url().parse().unwrap());
        let story = rig.fetch(file).await;
        assert!(story.completed(), "rule {number}: {:#?}", story.told());
        assert_eq!(story.outcome().source, good.url());
        rig.assert_whole("f.bin", &good.content());
    }
}

#[tokio::test]
async fn a_source_that_keeps_failing_is_left_for_one_that_does_not() {
    let flaky = served(|route| route.cut_after(200_000, Always));
    let good = served(Route::clone);
    let mut rig = Rig::start();
    let mut file = rig.known("f.bin", &flaky);
    file.sources.push(good.url().parse().unwrap());
    let story = rig.fetch(file).await;
    assert!(story.completed() && story.restarts().is_empty(), "{:#?}", story.told());
    rig.assert_whole("f.bin", &good.content());
    assert!(flaky.requests().len() <= 2 && !good.requests().is_empty());
    assert_eq!(flaky.body_bytes_sent() + good.body_bytes_sent(), SIZE, "the hash proves that both hold the same");
}

#[tokio::test]
async fn a_mirror_that_holds_something_else_does_not_spoil_the_file_while_another_one_is_right() {
    /// Whether a source is right, and how often it is cut.
    type Sources<'a> = &'a [(bool, usize)];
    let right = Content::pattern(11, SIZE);
    // Which sources there are, and how often the file begins again.
    let table: [(&str, Sources<'_>, usize); 6] = [
        ("a right one is cut, a wrong one goes on", &[(true, 1), (false, 0)], 1),
        ("a wrong one is cut, a right one goes on", &[(false, 1), (true, 0)], 2),
        ("the first one is wrong", &[(false, 0), (true, 0)], 1),
        ("a third one gave none of the wrong bytes", &[(false, 1), (false, 0), (true, 0)], 1),
        ("the retry is cut too", &[(true, 2), (false, 2)], 1),
        ("none is right", &[(false, 0), (false, 0)], 1),
    ];
    for (name, sources, restarts) in table {
        let routes: Vec<_> = sources
            .iter()
            .map(|(is_right, cuts)| {
                let content = if *is_right { right.clone() } else { Content::pattern(17, SIZE) };
                let route = FileServer::start().file("/f.bin", content);
                if *cuts > 0 { route.cut_after(2 * MIB, Times(*cuts)) } else { route }
            })
            .collect();
        let mut rig = Rig::start();
        let mut file = rig.file("f.bin", &routes[0].url());
        file.sha256 = Some(right.sha256().parse().unwrap());
        file.sources.extend(routes[1..].iter().map(|route| route.url().parse().unwrap()));
        let story = rig.fetch(file).await;
        assert_eq!(story.restarts(), vec![RestartReason::HashMismatch; restarts], "{name}: {:#?}", story.told());
        if sources.iter().any(|(is_right, _)| *is_right) {
            assert!(story.completed(), "{name}: {:#?}", story.told());
            rig.assert_whole("f.bin", &right);
        } else {
            assert!(matches!(story.error(), TransferError::HashMismatch { .. }), "{name}: {}", story.error());
            rig.assert_absent("f.bin");
        }
    }
}

#[tokio::test]
async fn a_server_without_ranges_that_always_cuts_is_given_up() {
    let route = served(|route| route.ignore_range(Always).cut_after(2 * MIB, Always));
    let mut rig = Rig::start();
    let story = rig.fetch(rig.file("f.bin", &route.url())).await;
    assert!(matches!(story.error(), TransferError::Network { .. }), "{}", story.error());
    assert!(route.requests().len() < 30, "{} requests", route.requests().len());
    rig.assert_absent("f.bin");
}

#[tokio::test]
async fn mirrors_that_all_fail_are_each_tried_as_often_as_one_is() {
    let [one, two] = [503, 502].map(|status| served(|route| route.status(status, Always)));
    let mut rig = Rig::start();
    let mut file = rig.known("f.bin", &one);
    file.sources.push(two.url().parse().unwrap());
    let story = rig.fetch(file).await;
    assert!(matches!(story.error(), TransferError::Busy { status: 503, .. }), "{}", story.error());
    assert_eq!((one.requests().len(), two.requests().len()), (6, 6));
    rig.assert_absent("f.bin");
}
