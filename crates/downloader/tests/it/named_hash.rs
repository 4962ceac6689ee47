//! The hash that Hugging Face names for a file holds for whoever gives its bytes: other sources, further tries, later runs.

use downloader::{FileJob, JobEvent, RestartReason, Settings};
use test_support::fake_hub::{FakeHub, HubFile};
use test_support::file_server::{
    Content, FileServer, Route, When,
    When::{After, Always, Times},
};

use crate::rig::{MIB, Rig, Story, settings};

const LINK: &str = "hf://org/repo/m.safetensors";

/// A file that the hub has, and a mirror that has it too, or something else of the same size.
struct Two {
    hub: FakeHub,
    file: HubFile,
    mirror: Route,
    content: Content,
    right: bool,
}

impl Two {
    fn holding(size: u64, right: bool) -> Self {
        let (content, other) = (Content::pattern(66, size), Content::pattern(67, size));
        let hub = FakeHub::start();
        let file = hub.large_file("org/repo", "m.safetensors", content.clone());
        let mirror = FileServer::start().file("/m.safetensors", if right { content.clone() } else { other });
        Self { hub, file, mirror, content, right }
    }

    fn settings(&self) -> Settings {
        Settings { hf_endpoint: self.hub.endpoint().parse().unwrap(), ..settings() }
    }

    /// The file from the hub, then from the mirror.
    fn job(&self, rig: &Rig) -> FileJob {
        let sources = vec![LINK.parse().unwrap(), self.mirror.url().parse().unwrap()];
        FileJob { sources, ..rig.file("m.safetensors", LINK) }
    }

    fn hub_is_down(&self, when: When) {
        self.file.resolve.status(503, when.clone());
        self.file.cdn.status(503, when);
    }

    /// What is right arrives, verified; what is not never does.
    fn judge(&self, rig: &Rig, story: &Story) {
        if self.right {
            assert!(story.outcome().verified, "{:#?}", story.told());
            rig.assert_whole("m.safetensors", &self.content);
        } else {
            story.error();
            assert!(story.restarts().contains(&RestartReason::HashMismatch), "{:#?}", story.told());
            rig.assert_absent("m.safetensors");
        }
    }
}

#[tokio::test]
async fn a_mirror_that_gives_the_rest_after_a_restart_is_held_to_it() {
    for right in [true, false] {
        let two = Two::holding(3 * MIB, right);
        let gate = two.file.cdn.hold_at(MIB + 99);
        let mut rig = Rig::with(two.settings());
        rig.enqueue("job", vec![two.job(&rig)]).await;
        let arrived = |event: &JobEvent| matches!(event, JobEvent::Progress(tick) if tick.downloaded_bytes > MIB);
        rig.until("job", arrived).await;
        let home = rig.shutdown().await;
        gate.open();
        two.hub_is_down(Always);
        let mut rig = Rig::on(home, two.settings());
        let story = rig.fetch(two.job(&rig)).await;
        two.judge(&rig, &story);
    }
}

#[tokio::test]
async fn a_mirror_that_gives_all_anew_because_it_has_no_ranges_is_held_to_it() {
    for right in [true, false] {
        let two = Two::holding(3 * MIB, right);
        two.file.cdn.cut_after(2 * MIB, Times(1));
        two.hub_is_down(After(1));
        two.mirror.ignore_range(Always);
        let mut rig = Rig::with(two.settings());
        let story = rig.fetch(two.job(&rig)).await;
        assert_eq!(story.restarts()[0], RestartReason::RangesRefused);
        two.judge(&rig, &story);
    }
}

#[tokio::test]
async fn a_mirror_that_is_asked_because_the_bytes_of_the_hub_were_wrong_is_held_to_it() {
    for right in [true, false] {
        let two = Two::holding(3 * MIB, right);
        two.file.cdn.corrupt_byte(2 * MIB, Always);
        let mut rig = Rig::with(two.settings());
        let story = rig.fetch(two.job(&rig)).await;
        assert_eq!(story.restarts(), [RestartReason::HashMismatch]);
        two.judge(&rig, &story);
    }
}

#[tokio::test]
async fn it_is_learned_from_a_hub_that_is_asked_second_and_outlasts_a_restart() {
    let two = Two::holding(48 * MIB, true);
    two.mirror.server().set_rate_per_connection(1_000_000);
    two.hub.cdn().set_rate_per_connection(1_000_000);
    let job = |rig: &Rig| {
        let mut job = two.job(rig);
        job.sources.reverse();
        job
    };
    let mut rig = Rig::with(two.settings());
    rig.enqueue("job", vec![job(&rig)]).await;
    // The hub is asked once the mirror alone is seen to be slow, and names the hash with its first bytes.
    let hub_delivers = |event: &JobEvent| match event {
        JobEvent::Progress(tick) => tick.downloaded_bytes > 24 * MIB && two.file.cdn.body_bytes_sent() > MIB,
        _ => false,
    };
    rig.until("job", hub_delivers).await;
    let home = rig.shutdown().await;
    two.hub_is_down(Always);
    two.mirror.server().set_rate_per_connection(100_000_000);
    let mut rig = Rig::on(home, two.settings());
    let story = rig.fetch(job(&rig)).await;
    two.judge(&rig, &story);
}
