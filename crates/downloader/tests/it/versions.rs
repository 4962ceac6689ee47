//! Files that change on the server, and validators that lie: two versions are never mixed, and nothing runs in circles.

use std::sync::Arc;

use downloader::{JobEvent, RestartReason, TransferError};
use tempfile::TempDir;
use test_support::file_server::{
    Content, FileServer, Route, Validator,
    When::{After, Always, Nth, Times},
};

use crate::rig::{MIB, Rig, Story, settings};

const SIZE: u64 = 20 * MIB + 99;

/// The first answer is cut in the middle; the rule says what comes after it.
async fn cut_then(rule: impl Fn(&Route) -> Route) -> (Story, Route, Rig) {
    let route = FileServer::start().file("/f.bin", Content::pattern(51, SIZE)).cut_after(5 * MIB, Times(1));
    let route = rule(&route);
    let mut rig = Rig::start();
    let story = rig.fetch(rig.file("f.bin", &route.url())).await;
    (story, route, rig)
}

#[tokio::test]
async fn a_file_that_changed_between_tries_is_fetched_from_the_beginning() {
    let newer = Content::pattern(52, SIZE);
    let shorter = Content::pattern(53, SIZE - 3 * MIB);
    for new in [newer, shorter] {
        for validator in
            [Validator::Strong, Validator::Weak, Validator::LastModified("Thu, 22 Oct 2015 07:28:00 GMT".into())]
        {
            let (story, _, rig) = cut_then(|route| {
                let old = match &validator {
                    Validator::LastModified(_) => Validator::LastModified("Wed, 21 Oct 2015 07:28:00 GMT".into()),
                    other => other.clone(),
                };
                route.validator(old, Always).other_content(new.clone(), After(1)).validator(validator.clone(), After(1))
            })
            .await;
            assert!(story.completed(), "{validator:?}: {:#?}", story.told());
            assert_eq!(story.restarts(), [RestartReason::ChangedOnServer], "{validator:?}");
            rig.assert_whole("f.bin", &new);
        }
    }
}

#[tokio::test]
async fn a_file_that_changes_between_its_ranges_is_not_mixed() {
    // On one connection after the other, and on many at once.
    for (size, rate) in [(SIZE, None), (40 * MIB + 99, Some(25_000_000))] {
        let newer = Content::pattern(54, size);
        let route = FileServer::start().file("/f.bin", Content::pattern(51, size));
        route.other_content(newer.clone(), After(1)).cut_after(5 * MIB, Times(1));
        if let Some(rate) = rate {
            route.server().set_rate_per_connection(rate);
        }
        let mut rig = Rig::start();
        let story = rig.fetch(rig.file("f.bin", &route.url())).await;
        assert_eq!(story.restarts(), [RestartReason::ChangedOnServer]);
        rig.assert_whole("f.bin", &newer);
    }
}

#[tokio::test]
async fn a_file_that_changes_twice_is_not_mixed_although_its_size_stays() {
    let (second, third) = (Content::pattern(58, SIZE), Content::pattern(59, SIZE));
    // The second request is refused for its version, two more ask whether validators hold, the fifth begins anew.
    let (story, _, rig) = cut_then(|route| {
        route.other_content(second.clone(), After(1)).cut_after(5 * MIB, Nth(5)).other_content(third.clone(), After(5))
    })
    .await;
    assert!(story.completed(), "{:#?}", story.told());
    assert_eq!(story.restarts(), [RestartReason::ChangedOnServer; 2]);
    rig.assert_whole("f.bin", &third);
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_asked_whether_validators_hold_is_not_mixed_later() {
    let newer: [_; 3] = [58, 59, 60].map(|seed| Content::pattern(seed, SIZE));
    // The second request is refused for its version. The third and the fourth, which ask whether validators hold, hear of two
    // versions, the fifth of the one that the sixth begins with.
    let (story, _, rig) = cut_then(|route| {
        route.other_content(newer[0].clone(), After(1)).other_content(newer[1].clone(), After(3));
        route.cut_after(5 * MIB, Nth(6)).other_content(newer[2].clone(), After(6))
    })
    .await;
    assert!(story.completed(), "{:#?}", story.told());
    assert_eq!(story.restarts(), [RestartReason::ChangedOnServer; 2]);
    rig.assert_whole("f.bin", &newer[2]);
}

#[tokio::test]
async fn a_file_that_changed_between_runs_is_fetched_from_the_beginning() {
    for (validator, known) in [(Validator::Strong, false), (Validator::Weak, false), (Validator::Nothing, true)] {
        let route = FileServer::start().file("/f.bin", Content::pattern(56, 2 * MIB)).validator(validator, Always);
        let gate = route.hold_at(MIB + 99);
        let mut rig = Rig::start();
        let file = |rig: &Rig| if known { rig.known("f.bin", &route) } else { rig.file("f.bin", &route.url()) };
        rig.enqueue("job", vec![file(&rig)]).await;
        let arrived = |event: &JobEvent| matches!(event, JobEvent::Progress(tick) if tick.downloaded_bytes > MIB);
        rig.until("job", arrived).await;
        let home = rig.shutdown().await;
        gate.open();
        let newer = Content::pattern(57, 2 * MIB);
        route.other_content(newer.clone(), Always);
        let mut rig = Rig::on(home, settings());
        let story = rig.fetch(file(&rig)).await;
        if known {
            // What was asked for is not there any more.
            assert!(matches!(story.error(), TransferError::HashMismatch { .. }), "{}", story.error());
            assert_eq!(story.restarts(), [RestartReason::HashMismatch], "one full retry");
            rig.assert_absent("f.bin");
        } else {
            assert_eq!(story.restarts(), [RestartReason::ChangedOnServer]);
            rig.assert_whole("f.bin", &newer);
        }
    }
}

/// A first run of `f.bin` that is shut down after a MiB; the server serves the rest.
async fn stopped_after_a_mib(route: &Route) -> Arc<TempDir> {
    let gate = route.hold_at(MIB + 99);
    let mut rig = Rig::start();
    rig.enqueue("job", vec![rig.file("f.bin", &route.url())]).await;
    let arrived = |event: &JobEvent| matches!(event, JobEvent::Progress(tick) if tick.downloaded_bytes > MIB);
    rig.until("job", arrived).await;
    let home = rig.shutdown().await;
    gate.open();
    home
}

/// Cuts the journal behind its first record: it names the content and proves no byte.
fn keep_first_record(rig: &Rig) {
    let journal = rig.bytes("f.bin.part.journal");
    let first_ends = 8 + 4 + u32::from_le_bytes(journal[8..12].try_into().unwrap()) as usize + 4;
    std::fs::write(rig.path("f.bin.part.journal"), &journal[..first_ends]).unwrap();
}

#[tokio::test]
async fn a_file_that_grew_between_runs_and_does_not_say_so_is_not_cut_off() {
    let route = FileServer::start().file("/f.bin", Content::pattern(56, 2 * MIB)).validator(Validator::Nothing, Always);
    let home = stopped_after_a_mib(&route).await;
    let mut rig = Rig::on(home, settings());
    keep_first_record(&rig);
    let newer = Content::pattern(57, 2 * MIB + 1);
    route.other_content(newer.clone(), Always).ignore_range(Always).chunked(Always);
    let story = rig.fetch(rig.file("f.bin", &route.url())).await;
    assert_eq!(story.restarts(), [RestartReason::ChangedOnServer]);
    rig.assert_whole("f.bin", &newer);
}

/// A kill within the first block of each connection leaves a journal that names the content and believes no byte of it. The hash
/// then follows the bytes as in a first run, and its state is journalled.
#[tokio::test]
async fn a_resume_without_blocks_hashes_while_bytes_arrive() {
    let route = FileServer::start().file("/f.bin", Content::pattern(58, 48 * MIB));
    let home = stopped_after_a_mib(&route).await;

    let gate = route.hold_at(44 * MIB);
    let mut rig = Rig::with_one_connection(home);
    keep_first_record(&rig);
    rig.enqueue("job", vec![rig.file("f.bin", &route.url())]).await;
    let arrived = |event: &JobEvent| matches!(event, JobEvent::Progress(tick) if tick.downloaded_bytes >= 44 * MIB);
    rig.until("job", arrived).await;
    let home = rig.shutdown().await;
    gate.open();
    let journal = std::fs::read(home.path().join("models/f.bin.part.journal")).unwrap();
    let (mut kinds, mut rest) = (Vec::new(), &journal[8..]);
    while let Some((length, record)) = rest.split_first_chunk::<4>() {
        kinds.push(record[0]);
        rest = &record[u32::from_le_bytes(*length) as usize + 4..];
    }
    assert!(kinds.contains(&4), "no state of a hash: {kinds:?}");
}

#[tokio::test]
async fn a_file_that_changes_all_the_time_fails_in_words() {
    let route = FileServer::start().file("/f.bin", Content::pattern(51, SIZE)).cut_after(3 * MIB, Always);
    for n in 1..40 {
        route.other_content(Content::pattern(60 + n, SIZE + n), After(n as usize));
    }
    let mut rig = Rig::start();
    let story = rig.fetch(rig.file("f.bin", &route.url())).await;
    assert!(matches!(story.error(), TransferError::KeepsChanging { .. }), "{}", story.error());
    let words = format!("the file on {} kept changing during the download", route.server().address());
    assert_eq!(story.error().to_string(), words);
    assert_eq!(story.restarts(), [RestartReason::ChangedOnServer; 2]);
    rig.assert_absent("f.bin");
}

#[tokio::test]
async fn a_tag_for_each_request_costs_one_restart_and_no_more() {
    for times in [1, 4] {
        let (story, route, rig) =
            cut_then(|route| route.validator(Validator::TagPerRequest, Always).cut_after(5 * MIB, Times(times))).await;
        assert!(story.completed(), "{:#?}", story.told());
        assert_eq!(story.restarts(), [RestartReason::ChangedOnServer], "cut {times} times");
        assert_eq!(story.outcome().wire_bytes, SIZE + 5 * MIB);
        let whole = route.requests().iter().filter(|request| request.range().is_none()).count();
        assert_eq!(whole, 1, "one connection brings all of it, as far as it comes");
        rig.assert_whole("f.bin", &route.content());
    }
}

#[tokio::test]
async fn with_a_known_hash_validators_are_not_asked() {
    let route = FileServer::start()
        .file("/f.bin", Content::pattern(51, SIZE))
        .cut_after(5 * MIB, Times(2))
        .validator(Validator::TagPerRequest, Always);
    let mut rig = Rig::start();
    let story = rig.fetch(rig.known("f.bin", &route)).await;
    assert!(story.completed() && story.restarts().is_empty(), "{:#?}", story.told());
    assert!(route.requests().iter().all(|request| request.header("if-range").is_none()));
    rig.assert_whole("f.bin", &route.content());
}

/// As from a host that drops the range when it sees a condition.
fn refusing_conditions(route: &Route) -> Route {
    route.ignore_range(Always.matching(|request| request.header("if-range").is_some()))
}

#[tokio::test]
async fn a_tag_that_is_refused_as_a_condition_costs_no_byte() {
    let (story, route, rig) = cut_then(refusing_conditions).await;
    assert!(story.completed() && story.restarts().is_empty(), "{:#?}", story.told());
    assert_eq!(story.outcome().wire_bytes, SIZE);
    let conditional = route.requests().iter().filter(|request| request.header("if-range").is_some()).count();
    assert_eq!(conditional, 1, "it is not asked that way again");
    rig.assert_whole("f.bin", &route.content());
}

#[tokio::test]
async fn a_tag_that_is_refused_as_a_condition_by_the_next_run_costs_no_byte() {
    let route = refusing_conditions(&FileServer::start().file("/f.bin", Content::pattern(51, SIZE)));
    let gate = route.hold_at(5 * MIB);
    let mut rig = Rig::start();
    rig.enqueue("job", vec![rig.file("f.bin", &route.url())]).await;
    let arrived = |event: &JobEvent| matches!(event, JobEvent::Progress(tick) if tick.downloaded_bytes >= 5 * MIB);
    rig.until("job", arrived).await;
    let home = rig.shutdown().await;
    gate.open();
    let mut rig = Rig::on(home, settings());
    let story = rig.fetch(rig.file("f.bin", &route.url())).await;
    assert!(story.completed() && story.restarts().is_empty(), "{:#?}", story.told());
    assert_eq!(story.outcome().wire_bytes, SIZE - 5 * MIB);
    rig.assert_whole("f.bin", &route.content());
}

#[tokio::test]
async fn a_date_that_is_refused_as_a_condition_restarts_once() {
    let date = || Validator::LastModified("Wed, 21 Oct 2015 07:28:00 GMT".into());
    let (story, route, rig) =
        cut_then(|route| refusing_conditions(&route.validator(date(), Always).cut_after(5 * MIB, Times(3)))).await;
    assert!(story.completed(), "{:#?}", story.told());
    assert_eq!(story.restarts(), [RestartReason::ChangedOnServer]);
    rig.assert_whole("f.bin", &route.content());
}

#[tokio::test]
async fn weak_or_missing_validators_still_let_a_file_resume() {
    for validator in
        [Validator::Weak, Validator::Nothing, Validator::LastModified("Wed, 21 Oct 2015 07:28:00 GMT".into())]
    {
        let (story, route, rig) = cut_then(|route| route.validator(validator.clone(), Always)).await;
        assert!(story.completed() && story.restarts().is_empty(), "{validator:?}: {:#?}", story.told());
        assert_eq!(route.body_bytes_sent(), SIZE);
        let weak_sent = |request: &test_support::file_server::Request| {
            request.header("if-range").is_some_and(|value| value.starts_with("W/"))
        };
        assert!(!route.requests().iter().any(weak_sent), "a weak tag proves nothing in If-Range");
        rig.assert_whole("f.bin", &route.content());
    }
}

#[tokio::test]
async fn the_same_tag_for_other_bytes_is_found_where_a_hash_is_known() {
    let other = Content::pattern(55, SIZE);
    let route = FileServer::start()
        .file("/f.bin", Content::pattern(51, SIZE))
        .validator(Validator::Tag("\"same\"".into()), Always)
        .cut_after(5 * MIB, Times(1))
        .other_content(other, Nth(2));
    let mut rig = Rig::start();
    let story = rig.fetch(rig.known("f.bin", &route)).await;
    assert!(story.completed(), "{:#?}", story.told());
    assert_eq!(story.restarts(), [RestartReason::HashMismatch]);
    rig.assert_whole("f.bin", &route.content());
}
