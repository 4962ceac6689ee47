//! Signed addresses that expire, at any request and on several ranges at once: the original address is asked again once for
//! each expiry, outside the count of tries, and no byte is lost.

use std::time::Duration;

use downloader::{Backoff, JobId, Settings, TransferError};
use test_support::fake_hub::{FakeHub, HubFile};
use test_support::file_server::{
    Content, FileServer, Request,
    When::{After, Always, Nth, Times},
};

use crate::rig::{MIB, Rig, settings, side_by_side};

const LINK: &str = "hf://org/repo/m.safetensors";

fn hub(size: u64) -> (FakeHub, HubFile) {
    let hub = FakeHub::start();
    let file = hub.large_file("org/repo", "m.safetensors", Content::pattern(65, size));
    (hub, file)
}

/// A single fruitless try is all there is: whatever counts as one shows.
fn at(hub: &FakeHub) -> Settings {
    let backoff = Backoff { tries_without_progress: 1, ..settings().backoff };
    Settings { hf_endpoint: hub.endpoint().parse().unwrap(), backoff, ..settings() }
}

#[tokio::test]
async fn an_address_that_expires_at_any_request_is_renewed_once_and_costs_no_byte() {
    // Each answer ends early, so that the file takes eight requests, of which the n-th finds its address expired.
    const SIZE: u64 = 2 * MIB - 1000;
    let rows = [400, 401, 403, 404, 410].into_iter().flat_map(|status| (1..=8).map(move |number| (status, number)));
    side_by_side(rows.map(|(status, number)| async move {
        let (hub, file) = hub(SIZE);
        file.cdn.cut_after(SIZE / 8 + 1, Always).status(status, Nth(number));
        // What the clock of the host says does not matter.
        file.cdn.header("Date", "Mon, 01 Jan 1990 00:00:00 GMT", Always);
        file.cdn.header("Expires", "Mon, 01 Jan 1990 00:00:00 GMT", Always);
        let mut rig = Rig::with(at(&hub));
        let story = rig.fetch(rig.file("m.safetensors", LINK)).await;
        assert!(story.completed() && story.restarts().is_empty(), "{status} at {number}: {:#?}", story.told());
        assert_eq!(hub.hub().requests().len(), 2, "{status} at {number}: the original address");
        assert_eq!(file.cdn.body_bytes_sent(), SIZE, "{status} at {number}");
        rig.assert_whole("m.safetensors", &file.cdn.content());
    }))
    .await;
}

#[tokio::test]
async fn addresses_that_expire_on_several_ranges_at_once_are_renewed_once() {
    let (hub, file) = hub(48 * MIB);
    hub.cdn().set_rate_per_connection(25_000_000);
    // Every connection but the first ends after a while, and by then its address is dead; its refusal comes late, so that
    // all of them have asked before one hears of it.
    let later = |request: &Request| request.range().is_some_and(|(start, _)| start > 0);
    file.cdn.cut_after(2 * MIB, Times(7).matching(later));
    let first = |request: &Request| request.query("X-Amz-Signature") == Some("0000000000000001");
    file.cdn.delay(Duration::from_millis(200), Always.matching(first));
    let gate = hub.cdn().hold_after_total(15 * MIB);
    let mut rig = Rig::with(at(&hub));
    rig.enqueue("job", vec![rig.file("m.safetensors", LINK)]).await;
    gate.reached().await;
    hub.expire_links();
    gate.open();
    let story = rig.rest("job").await;
    assert!(story.completed() && story.restarts().is_empty(), "{:#?}", story.told());
    let refused = hub.cdn().requests().iter().filter(|request| request.status == Some(403)).count();
    assert!(refused > 1, "{refused} ranges were refused");
    assert_eq!(hub.hub().requests().len(), 2, "for {refused} ranges that were refused");
    rig.assert_whole("m.safetensors", &file.cdn.content());
}

#[tokio::test]
async fn two_fresh_addresses_that_are_refused_are_final_and_cost_nothing_that_is_here() {
    let (hub, file) = hub(4 * MIB);
    file.cdn.cut_after(2 * MIB + 5, Times(1)).status(403, After(1));
    let mut rig = Rig::with(at(&hub));
    let story = rig.fetch(rig.file("m.safetensors", LINK)).await;
    assert!(matches!(story.error(), TransferError::Forbidden { .. }), "{}", story.error());
    let words = format!("{} refuses the file (403)", hub.cdn().address());
    assert_eq!(story.error().to_string(), words);
    assert_eq!(hub.hub().requests().len(), 3, "the first address and two fresh ones");
    rig.assert_waits("m.safetensors");
    file.cdn.behave();
    rig.downloader.resume(&JobId::new("job")).await.unwrap();
    assert!(rig.rest("job").await.completed());
    assert_eq!(file.cdn.body_bytes_sent(), 4 * MIB);
    rig.assert_whole("m.safetensors", &file.cdn.content());
}

#[tokio::test]
async fn an_address_that_is_dead_from_the_start_is_final() {
    let (hub, _file) = hub(MIB);
    hub.links_last(0);
    let mut rig = Rig::with(at(&hub));
    let story = rig.fetch(rig.file("m.safetensors", LINK)).await;
    assert!(matches!(story.error(), TransferError::Forbidden { .. }), "{}", story.error());
    assert_eq!(hub.hub().requests().len(), 2);
    rig.assert_absent("m.safetensors");
}

#[tokio::test]
async fn a_host_that_a_redirect_led_to_and_that_is_gone_is_not_asked_for_ever() {
    // The original address leads to one of two hosts, of which the first does not last.
    const SIZE: u64 = 3 * MIB;
    let [first, second] = [0; 2].map(|_| FileServer::start().file("/f.bin", Content::pattern(68, SIZE)));
    first.cut_after(MIB, Times(1)).status(503, After(1));
    let original = FileServer::start().file("/f.bin", Content::bytes(""));
    original.redirect(first.url(), Times(1)).redirect(second.url(), After(1));
    let mut rig = Rig::start();
    let story = rig.fetch(rig.file("f.bin", &original.url())).await;
    assert!(story.completed() && story.restarts().is_empty(), "{:#?}", story.told());
    rig.assert_whole("f.bin", &second.content());
    assert_eq!((original.requests().len(), second.body_bytes_sent()), (2, SIZE - MIB));
}

#[tokio::test]
async fn a_host_that_a_redirect_led_to_is_asked_again_while_the_original_is_gone() {
    let file = FileServer::start().file("/f.bin", Content::pattern(69, 3 * MIB));
    file.cut_after(MIB, Times(1)).status(503, Nth(2));
    let original = FileServer::start().file("/f.bin", Content::bytes(""));
    original.redirect(file.url(), Times(1)).status(503, After(1));
    let mut rig = Rig::start();
    let story = rig.fetch(rig.file("f.bin", &original.url())).await;
    assert!(story.completed() && story.restarts().is_empty(), "{:#?}", story.told());
    rig.assert_whole("f.bin", &file.content());
    assert_eq!(file.body_bytes_sent(), 3 * MIB);
}
