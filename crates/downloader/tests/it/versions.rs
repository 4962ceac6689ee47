//! Files that change on the server, and validators that lie: two versions are never mixed, and nothing runs in circles.

use downloader::{RestartReason, TransferError};
use test_support::file_server::{
    Content, FileServer, Route, Validator,
    When::{After, Always, Nth, Times},
};

use crate::rig::{MIB, Rig, Story};

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
    let newer = Content::pattern(54, SIZE);
    let route = FileServer::start().file("/f.bin", Content::pattern(51, SIZE)).other_content(newer.clone(), After(1));
    let mut rig = Rig::start();
    let story = rig.fetch(rig.file("f.bin", &route.url())).await;
    assert_eq!(story.restarts(), [RestartReason::ChangedOnServer]);
    rig.assert_whole("f.bin", &newer);
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
    assert!(!rig.path("f.bin").exists());
}

#[tokio::test]
async fn a_tag_for_each_request_costs_one_restart_at_most() {
    let (story, _, rig) = cut_then(|route| route.validator(Validator::TagPerRequest, Always)).await;
    assert!(story.completed(), "{:#?}", story.told());
    assert!(story.restarts().len() <= 1, "{:?}", story.restarts());
    rig.assert_whole("f.bin", &Content::pattern(51, SIZE));
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

#[tokio::test]
async fn if_range_answered_with_the_whole_file_restarts_once() {
    // As from a host that drops the range when it sees a tag.
    let (story, route, rig) =
        cut_then(|route| route.ignore_range(Always.matching(|request| request.header("if-range").is_some()))).await;
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
