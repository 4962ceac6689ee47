//! The file server: honest where nothing was ordered, exact where something was.

use crate::raw_client::{Ended, ask, get, get_silent};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use test_support::file_server::{
    After, Always, Content, ContentRange, FileServer, Nth, Outcome, OverLimit, Reply, RetryAfter, Route, Switch, Times,
    Until, Validator,
};

fn model() -> Route {
    FileServer::start().file("/m.safetensors", Content::pattern(7, 300_000))
}

fn fetch(route: &Route, headers: &[&str]) -> crate::raw_client::Answer {
    get(route.server().address(), route.path(), headers)
}

/// An answer that falls silent after so many bytes of its body, or before its head.
fn fetch_silent(route: &Route, body: Option<usize>) -> crate::raw_client::Answer {
    get_silent(route.server().address(), route.path(), body)
}

#[test]
fn an_honest_route_answers_whole_files_ranges_suffixes_and_what_lies_outside() {
    let model = model();
    let bytes = model.content().to_vec();
    let whole = fetch(&model, &[]);
    assert_eq!((whole.status, whole.header("content-length")), (200, Some("300000")));
    assert!(whole.body == bytes);
    let middle = fetch(&model, &["Range: bytes=1001-2000"]);
    assert_eq!((middle.status, middle.header("content-range")), (206, Some("bytes 1001-2000/300000")));
    assert!(middle.body == bytes[1001..=2000]);
    let tail = fetch(&model, &["Range: bytes=-5"]);
    assert!(tail.status == 206 && tail.body == bytes[299_995..]);
    let outside = fetch(&model, &["Range: bytes=300000-"]);
    assert_eq!((outside.status, outside.header("content-range")), (416, Some("bytes */300000")));
    let head = ask(model.server().address(), "HEAD", model.path(), &[]);
    assert_eq!((head.header("content-length"), head.body.len()), (Some("300000"), 0));
}

#[test]
fn if_range_gives_the_range_to_the_same_version_alone_and_never_to_a_weak_tag() {
    let model = model();
    let tag = model.content().etag();
    let ask = |condition: &str| fetch(&model, &["Range: bytes=10-", &format!("If-Range: {condition}")]).status;
    assert_eq!((ask(&tag), ask("\"other\"")), (206, 200));
    model.validator(Validator::Weak, Always);
    assert_eq!(ask(&format!("W/{tag}")), 200);
}

#[test]
fn rules_count_for_themselves_and_the_later_one_wins() {
    let model = model().status(503, Times(2)).status(403, Nth(2));
    let statuses: Vec<u16> = (0..4).map(|_| fetch(&model, &[]).status).collect();
    assert_eq!(statuses, [503, 403, 200, 200]);
    let switch = Switch::new();
    model.status(500, Until(switch.clone()));
    assert_eq!(fetch(&model, &[]).status, 500);
    switch.throw();
    model.status(404, After(1).matching(|request| request.range().is_some()));
    let statuses =
        ["X: y", "Range: bytes=0-1", "Range: bytes=0-1", "X: y"].map(|header| fetch(&model, &[header]).status);
    assert_eq!(statuses, [200, 206, 404, 200]);
    assert_eq!(fetch(&model.behave(), &["Range: bytes=0-1"]).status, 206);
}

#[test]
fn a_connection_is_cut_reset_or_falls_silent_at_exactly_the_byte_ordered() {
    let model =
        model().cut_after(200_001, Nth(1)).reset_after(5, Nth(2)).stall_after(70_000, Nth(3)).stall_after(0, Nth(4));
    let cut = fetch(&model, &[]);
    assert_eq!((cut.body.len(), cut.ended), (200_001, Ended::Closed));
    assert_eq!(fetch(&model, &[]).ended, Ended::Reset);
    let stalled = fetch_silent(&model, Some(70_000));
    assert_eq!((stalled.body.len(), stalled.ended), (70_000, Ended::Silent));
    let between = fetch_silent(&model, Some(0));
    assert_eq!((between.status, between.body.len(), between.ended), (200, 0, Ended::Silent));
    let before = fetch_silent(&model.stall_before_head(Times(1)), None);
    assert_eq!((before.status, before.ended), (0, Ended::Silent));
}

#[test]
fn lies_about_ranges_are_told_as_ordered() {
    let lies = [
        (ContentRange::Early(3), Some("bytes 97-199/300000")),
        (ContentRange::Late(3), Some("bytes 103-199/300000")),
        (ContentRange::WrongEnd(-1), Some("bytes 100-198/300000")),
        (ContentRange::WrongTotal(1), Some("bytes 100-199/300001")),
        (ContentRange::UnknownTotal, Some("bytes 100-199/*")),
        (ContentRange::Negative, Some("bytes -100-199/300000")),
        (ContentRange::Text("bytes".to_owned()), Some("bytes")),
        (ContentRange::Missing, None),
    ];
    for (lie, said) in lies {
        let answer = fetch(&model().content_range(lie, Always), &["Range: bytes=100-199"]);
        assert_eq!((answer.status, answer.header("content-range"), answer.body.len()), (206, said, 100));
    }
    let doubled = fetch(&model().content_range(ContentRange::Doubled, Always), &["Range: bytes=100-199"]);
    assert_eq!(doubled.head.matches("Content-Range").count(), 2);
    assert_eq!(fetch(&model().ignore_range(Always), &["Range: bytes=100-199"]).body.len(), 300_000);
    let shifted = fetch(&model().shift_range(-50, Always), &["Range: bytes=100-199"]);
    assert_eq!(shifted.header("content-range"), Some("bytes 50-199/300000"));
    let page = fetch(&model().unsatisfiable(true, Always), &["Range: bytes=100-199"]);
    assert!(page.status == 416 && page.body.starts_with(b"<!DOCTYPE html>"));
    let multipart = fetch(&model().multipart(Always), &["Range: bytes=100-199"]);
    assert!(multipart.header("content-type").is_some_and(|kind| kind.starts_with("multipart/byteranges; boundary=")));
}

#[test]
fn lengths_are_wrong_missing_or_chunked_as_ordered() {
    let more = fetch(&model().wrong_length(10, Always), &[]);
    assert_eq!((more.header("content-length"), more.body.len()), (Some("300010"), 300_000));
    let extra = fetch(&model().extra_bytes(10, Always), &[]);
    assert_eq!((extra.header("content-length"), extra.body.len()), (Some("300010"), 300_010));
    let open = fetch(&model().length_by_close(Always), &[]);
    assert_eq!((open.header("content-length"), open.body.len()), (None, 300_000));
    let chunked = fetch(&model().chunked(Always), &["Range: bytes=0-9"]);
    assert!(chunked.status == 206 && chunked.body.starts_with(b"a\r\n") && chunked.body.ends_with(b"\r\n0\r\n\r\n"));
    let corrupted = fetch(&model().corrupt_byte(1_000, Always), &["Range: bytes=999-1001"]);
    let expected = model().content().slice(999, 3);
    assert_eq!(corrupted.body, [expected[0], !expected[1], expected[2]]);
    let gzip = fetch(&model().gzip(Always), &["Range: bytes=0-9"]);
    assert_eq!((gzip.status, gzip.header("content-encoding"), &gzip.body[..2]), (200, Some("gzip"), &[0x1f, 0x8b][..]));
}

#[test]
fn redirects_and_delays_are_as_ordered() {
    let model = model().redirect_hops(2);
    assert_eq!(fetch(&model, &[]).header("location"), Some("/m.safetensors?hop=1"));
    assert_eq!(get(model.server().address(), "/m.safetensors?hop=2", &[]).status, 200);
    let later = fetch(&model.retry_later(503, RetryAfter::Seconds(7), Always), &[]);
    assert_eq!((later.status, later.header("retry-after")), (503, Some("7")));
    let date = fetch(&model.retry_later(429, RetryAfter::DateIn(60), Always), &[]);
    assert!(date.header("retry-after").is_some_and(|date| date.ends_with(" GMT")));
    assert_eq!(ask(model.server().address(), "HEAD", "/m.safetensors", &[]).status, 429);
    model.server().handle("/a/*/c", |_| Reply::status(418));
    assert_eq!(get(model.server().address(), "/a/b/c", &[]).status, 418);
    assert_eq!(get(model.server().address(), "/a/b", &[]).status, 404);
}

/// Never early; how late a busy machine may be is no fault of the server. The exact pace is a test of `pace`.
#[test]
fn connection_never_runs_ahead_of_its_pace() {
    let model = model().rate(1_000_000, Always);
    let start = Instant::now();
    assert_eq!(fetch(&model, &[]).body.len(), 300_000);
    let seconds = start.elapsed().as_secs_f64();
    assert!(seconds >= 0.28, "300 kB at 1 MB/s took {seconds} s");
}

#[test]
fn more_connections_than_allowed_are_turned_away() {
    let model = model().stall_after(10, Times(1));
    model.server().limit_connections(1, OverLimit::Status(429));
    let mut first = TcpStream::connect(model.server().address()).unwrap();
    write!(first, "GET /m.safetensors HTTP/1.1\r\n\r\n").unwrap();
    first.read_exact(&mut [0; 20]).unwrap();
    assert_eq!(fetch(&model, &[]).status, 429);
}

#[tokio::test]
async fn a_gate_holds_at_its_byte_until_it_is_opened_and_requests_can_be_awaited() {
    let model = model();
    let gate = model.hold_at(100_000);
    let client = tokio::task::spawn_blocking({
        let model = model.clone();
        move || {
            let mut stream = TcpStream::connect(model.server().address()).unwrap();
            write!(stream, "GET /m.safetensors HTTP/1.1\r\nConnection: close\r\n\r\n").unwrap();
            let mut bytes = Vec::new();
            stream.read_to_end(&mut bytes).unwrap();
            bytes
        }
    });
    gate.reached().await;
    assert_eq!(model.body_bytes_sent(), 100_000);
    gate.open();
    model.wait_for(|requests| requests.iter().any(|request| request.outcome == Outcome::Complete)).await;
    assert!(client.await.unwrap().ends_with(&model.content().slice(299_000, 1_000)));
    let seen = model.requests();
    assert_eq!((seen[0].status, seen[0].body_bytes_sent), (Some(200), 300_000));
    assert_eq!(model.server().total_body_bytes_sent(), 300_000);
}

#[test]
fn a_server_is_gone_with_its_last_handle() {
    let model = model().delay(Duration::from_secs(60), Always);
    let address = model.server().address();
    let mut waiting = TcpStream::connect(address).unwrap();
    write!(waiting, "GET /m.safetensors HTTP/1.1\r\n\r\n").unwrap();
    drop(model);
    assert!(TcpStream::connect(address).is_err());
    assert_eq!(waiting.read(&mut [0; 10]).unwrap_or(0), 0);
}
