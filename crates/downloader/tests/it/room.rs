//! Disks that fill up, at any point of a file and between files, and are freed: the job stands still, says how much it lacks,
//! and goes on by itself. On real small file systems, where the machine gives a test one of its own.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use downloader::{Destination, Existing, FileJob, JobEvent, JobId, PauseReason, Settings, TransferError};
use test_support::file_server::{Content, FileServer, Route, When::Always};
use test_support::requirements::{Missing, skip};

use crate::mounts::{Mount, TMPFS};
use crate::rig::{MIB, Rig, Story, settings};

fn route(size: u64) -> Route {
    FileServer::start().file("/f.bin", Content::pattern(92, size))
}

/// The shortage that the job was paused for.
fn shortage(story: &Story) -> (u64, u64) {
    match story.events.last() {
        Some(JobEvent::Paused(PauseReason::InsufficientStorage { needed_bytes, available_bytes })) => {
            (*needed_bytes, *available_bytes)
        }
        _ => panic!("it was not paused for lack of room: {:#?}", story.told()),
    }
}

#[tokio::test]
async fn a_job_without_room_waits_and_goes_on_by_itself() {
    const FILLER: u64 = 4 << 30;
    let route = route(3 * MIB);
    let home = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let filler = File::create(home.path().join("filler")).unwrap();
    if rustix::fs::fallocate(&filler, rustix::fs::FallocateFlags::empty(), 0, FILLER).is_err() {
        let missing = "the temporary folder has no 4 GiB to set aside".to_owned();
        return skip(&Missing::Capability(missing));
    }
    let room = rustix::fs::statvfs(home.path()).unwrap();
    let min_free_space = room.f_bavail * room.f_frsize + FILLER / 2;
    let mut rig = Rig::on(home, Settings { min_free_space, ..settings() });
    rig.enqueue("job", vec![rig.known("f.bin", &route)]).await;
    let story = rig.rest("job").await;
    assert_eq!(shortage(&story), (3 * MIB, 0));
    rig.assert_absent("f.bin");
    filler.set_len(0).unwrap();
    let story = rig.rest("job").await;
    assert!(matches!(story.events[0], JobEvent::Resumed) && story.completed(), "{:#?}", story.told());
    rig.assert_whole("f.bin", &route.content());
}

/// Runs a program where room cannot be set aside, as on file systems without fallocate.
const WITHOUT_FALLOCATE: &str =
    "strace -f -qq --seccomp-bpf -o /dev/null -e trace=fallocate -e inject=fallocate:error=EOPNOTSUPP";

/// The small disk; `None` in the process that has none, after a test of this name was run in one that has.
fn small_disk(test: &str) -> Option<Disk> {
    small_disk_under("", test)
}

fn small_disk_under(under: &'static str, test: &str) -> Option<Disk> {
    let folder = Mount { under, ..TMPFS }.place(&format!("room::{test}"))?;
    Some(Disk { folder })
}

/// A tmpfs of 16 MiB.
struct Disk {
    folder: PathBuf,
}

impl Disk {
    fn file(&self, name: &str) -> Destination {
        Destination::new(&self.folder, name).unwrap()
    }

    fn filler(&self) -> PathBuf {
        self.folder.join("filler")
    }

    /// Another tenant takes all the room that is left.
    fn fill(&self) {
        let mut filler = File::create(self.filler()).unwrap();
        for piece in [1 << 16, 1 << 12, 1] {
            while filler.write_all(&vec![1; piece]).is_ok() {}
        }
    }

    fn free(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }

    fn assert_whole(&self, name: &str, route: &Route) {
        assert!(std::fs::read(self.folder.join(name)).unwrap() == route.content().to_vec(), "{name} is not whole");
        assert!(!self.folder.join(format!("{name}.part")).exists());
        assert!(!self.folder.join(format!("{name}.part.journal")).exists());
    }
}

const SIZE: u64 = 6 * MIB + 777;

/// Fetches a file whose disk another tenant fills when so much of it has arrived, and frees later. Gives the shortage, and how
/// many bytes were fetched after it; nothing, where it did not come to that.
async fn filled_at(disk: &Disk, percent: u64, route: &Route) -> Option<((u64, u64), u64)> {
    let held_at = SIZE * percent / 100;
    let gate = route.hold_at(held_at);
    let mut rig = Rig::start();
    rig.enqueue("job", vec![FileJob { destination: disk.file("f"), ..rig.known("f", route) }]).await;
    gate.reached().await;
    rig.until("job", |event| matches!(event, JobEvent::FileStarted { .. })).await;
    let arrived = |event: &JobEvent| matches!(event, JobEvent::Progress(tick) if tick.downloaded_bytes == held_at);
    rig.until("job", arrived).await;
    disk.fill();
    gate.open();
    let story = rig.rest("job").await;
    if story.completed() {
        disk.free();
        return None;
    }
    let shortage = shortage(&story);
    assert!(!disk.folder.join("f").exists(), "at {percent} %");
    // The first quarter of a MiB is written at once.
    assert_eq!(disk.folder.join("f.part").exists(), held_at >= MIB / 4, "what has arrived waits, at {percent} %");
    disk.free();
    let ended = |event: &JobEvent| matches!(event, JobEvent::Completed | JobEvent::Failed { .. });
    let story = rig.until("job", ended).await;
    assert!(matches!(story.events[0], JobEvent::Resumed), "by itself, at {percent} %: {:#?}", story.told());
    assert!(story.completed(), "at {percent} %: {:#?}", story.told());
    Some((shortage, story.outcome().wire_bytes))
}

#[tokio::test]
async fn a_disk_that_fills_up_where_room_cannot_be_set_aside_pauses_the_job_until_it_is_freed() {
    let test = "a_disk_that_fills_up_where_room_cannot_be_set_aside_pauses_the_job_until_it_is_freed";
    let Some(disk) = small_disk_under(WITHOUT_FALLOCATE, test) else { return };
    for percent in [0, 1, 20, 50, 80, 99] {
        for sized in [true, false] {
            let route = route(SIZE);
            if !sized {
                route.chunked(Always).ignore_range(Always);
            }
            let ((needed, available), fetched) = filled_at(&disk, percent, &route).await.expect("there was no room");
            assert!(needed > 0 && available < needed, "at {percent} %: {needed} needed, {available} available");
            disk.assert_whole("f", &route);
            let left = SIZE - SIZE * percent / 100;
            assert!(!sized || fetched <= left + MIB, "at {percent} %: {fetched} bytes were fetched for {left}");
            std::fs::remove_file(disk.folder.join("f")).unwrap();
        }
    }
}

#[tokio::test]
async fn a_file_whose_size_nobody_says_leaves_what_is_to_stay_free() {
    let Some(disk) = small_disk("a_file_whose_size_nobody_says_leaves_what_is_to_stay_free") else { return };
    let route = route(40 * MIB).chunked(Always).ignore_range(Always).rate(20_000_000, Always);
    let mut rig = Rig::with(Settings { min_free_space: 8 * MIB, ..settings() });
    rig.enqueue("job", vec![FileJob { destination: disk.file("f"), ..rig.known("f", &route) }]).await;
    let (needed, available) = shortage(&rig.rest("job").await);
    assert!(needed > 0 && available < needed, "{needed} needed, {available} available");
    let room = rustix::fs::statvfs(&disk.folder).unwrap();
    let free = room.f_bavail * room.f_frsize;
    // It is looked for from time to time, not for each byte.
    assert!((4 * MIB..9 * MIB).contains(&free), "{free} bytes are free");
    assert!(rig.downloader.cancel(&JobId::new("job")).await.unwrap());
    assert!(!disk.folder.join("f.part").exists());
}

#[tokio::test]
async fn room_that_is_set_aside_is_not_taken_by_another_tenant() {
    let Some(disk) = small_disk("room_that_is_set_aside_is_not_taken_by_another_tenant") else { return };
    for percent in [0, 50, 99] {
        let route = route(SIZE);
        assert_eq!(filled_at(&disk, percent, &route).await, None, "at {percent} %");
        disk.assert_whole("f", &route);
        assert_eq!(route.body_bytes_sent(), SIZE);
        std::fs::remove_file(disk.folder.join("f")).unwrap();
    }
}

#[tokio::test]
async fn room_that_is_set_aside_is_not_asked_for_again_when_a_file_goes_on() {
    let Some(disk) = small_disk("room_that_is_set_aside_is_not_asked_for_again_when_a_file_goes_on") else { return };
    // By then more of it is missing than is free, since what is missing has its room already.
    let route = route(12 * MIB);
    let gate = route.hold_at(2 * MIB);
    let mut rig = Rig::start();
    rig.enqueue("job", vec![FileJob { destination: disk.file("f"), ..rig.known("f", &route) }]).await;
    let arrived = |event: &JobEvent| matches!(event, JobEvent::Progress(tick) if tick.downloaded_bytes == 2 * MIB);
    rig.until("job", arrived).await;
    rig.downloader.pause(&JobId::new("job")).await.unwrap();
    rig.rest("job").await;
    gate.open();
    rig.downloader.resume(&JobId::new("job")).await.unwrap();
    let story = rig.rest("job").await;
    assert!(story.completed(), "{:#?}", story.told());
    disk.assert_whole("f", &route);
    assert_eq!(route.body_bytes_sent(), 12 * MIB);
}

#[tokio::test]
async fn a_disk_that_is_full_between_files_keeps_those_that_are_whole() {
    let Some(disk) = small_disk("a_disk_that_is_full_between_files_keeps_those_that_are_whole") else { return };
    let routes = [route(2 * MIB), route(SIZE), route(MIB)];
    let gate = routes[0].hold_at(MIB);
    let mut rig = Rig::with(Settings { connections_per_download: 1, ..settings() });
    let file = |(n, route)| FileJob { destination: disk.file(&format!("f{n}")), ..rig.known("f", route) };
    rig.enqueue("job", routes.iter().enumerate().map(file).collect()).await;
    gate.reached().await;
    disk.fill();
    gate.open();
    let (needed, available) = shortage(&rig.rest("job").await);
    assert!(needed == SIZE && available < 2 << 12, "{needed} needed, {available} available");
    // The first one may have its last step before it: its bytes are here, and are not asked for again.
    assert!(!disk.folder.join("f1").exists());
    disk.free();
    let story = rig.until("job", |event| matches!(event, JobEvent::Completed | JobEvent::Failed { .. })).await;
    assert!(story.completed(), "{:#?}", story.told());
    for (n, route) in routes.iter().enumerate() {
        disk.assert_whole(&format!("f{n}"), route);
    }
    assert_eq!(routes[0].requests().len(), 1, "what was whole is not fetched again");
}

/// Files of one job on two file systems: room is looked for where it was lacking, whichever file comes first.
#[tokio::test]
async fn room_is_looked_for_where_it_was_lacking() {
    let Some(disk) = small_disk("room_is_looked_for_where_it_was_lacking") else { return };
    let roomy = FileServer::start().file("/roomy", Content::pattern(95, 2 * MIB));
    let large = route(40 * MIB);
    let gate = roomy.hold_at(MIB);
    let mut rig = Rig::with(Settings { storage_poll: Duration::from_millis(5), ..settings() });
    let full = FileJob { destination: disk.file("f"), ..rig.known("f", &large) };
    rig.enqueue("job", vec![rig.known("roomy", &roomy), full]).await;
    let (needed, available) = shortage(&rig.rest("job").await);
    assert!(needed > available, "{needed} needed, {available} available");
    // Time enough for a hundred looks.
    let slow = roomy.server().file("/slow", Content::pattern(93, 100)).trickle(1, Duration::from_millis(10), Always);
    rig.enqueue("slow", vec![rig.known("slow", &slow)]).await;
    let story = rig.any(|event| matches!(event, JobEvent::Completed)).await;
    let resumed = story.events.iter().filter(|event| matches!(event, JobEvent::Resumed)).count();
    assert_eq!(resumed, 0, "{:#?}", story.told());
    gate.open();
    rig.downloader.cancel(&JobId::new("job")).await.unwrap();

    // The other way round: what was full is freed while the disk of the first file has less than was needed.
    let (first, second) = (route(40 * MIB), route(12 * MIB));
    disk.fill();
    let short = FileJob { destination: disk.file("f"), ..rig.known("f", &second) };
    let gate = first.hold_at(MIB);
    rig.enqueue("again", vec![rig.known("first", &first), short]).await;
    let (needed, available) = shortage(&rig.rest("again").await);
    assert!(needed == 12 * MIB && available < needed, "{needed} needed, {available} available");
    gate.open();
    disk.free();
    let story = rig.until("again", |event| matches!(event, JobEvent::Completed | JobEvent::Failed { .. })).await;
    assert!(story.completed(), "{:#?}", story.told());
    disk.assert_whole("f", &second);
}

#[tokio::test]
async fn a_quota_that_is_spent_is_not_run_into_again_and_again() {
    // The disk says that it is full, and its figures say that it is not.
    let under = r#"strace -f -qq -o /dev/null -P "$0/f.part" -e trace=pwritev -e inject=pwritev:error=EDQUOT"#;
    let test = "room::a_quota_that_is_spent_is_not_run_into_again_and_again";
    let Some(folder) = (Mount { under, ..TMPFS }).place(test) else { return };
    let disk = Disk { folder };
    let route = route(SIZE);
    let slow = route.server().file("/slow", Content::pattern(93, 100)).trickle(1, Duration::from_millis(10), Always);
    let mut rig = Rig::with(Settings { storage_poll: Duration::from_millis(5), ..settings() });
    rig.enqueue("job", vec![FileJob { destination: disk.file("f"), ..rig.known("f", &route) }]).await;
    let (needed, available) = shortage(&rig.rest("job").await);
    assert!(needed <= available, "{needed} needed, {available} available");
    // Time enough for a hundred tries.
    rig.enqueue("slow", vec![FileJob { destination: disk.file("slow"), ..rig.known("slow", &slow) }]).await;
    assert!(rig.rest("slow").await.completed());
    let tries = route.requests().len();
    assert!((2..20).contains(&tries), "{tries} tries");
}

#[tokio::test]
async fn a_repair_waits_for_room_and_then_fetches_the_damaged_block_alone() {
    let Some(disk) = small_disk("a_repair_waits_for_room_and_then_fetches_the_damaged_block_alone") else { return };
    let route = route(SIZE);
    let mut rig = Rig::start();
    let file = FileJob { destination: disk.file("f"), ..rig.known("f", &route) };
    let blocks = rig.fetch(file.clone()).await.outcome().blocks.clone();
    let damaged = File::options().write(true).open(disk.folder.join("f")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&damaged, b"?", MIB).unwrap();
    std::fs::write(disk.filler(), vec![1; 6 << 20]).unwrap();
    let repair = FileJob { salvage: Some(blocks), existing: Existing::Replace, ..file };
    let (needed, available) = shortage(&rig.fetch(repair).await);
    assert!(needed == SIZE && (3 * MIB..SIZE).contains(&available), "{needed} needed, {available} available");
    disk.free();
    let story = rig.until("job", |event| matches!(event, JobEvent::Completed | JobEvent::Failed { .. })).await;
    assert_eq!(story.outcome().wire_bytes, MIB, "{:#?}", story.told());
    disk.assert_whole("f", &route);
}

#[tokio::test]
async fn a_disk_that_cannot_be_written_to_fails_in_words() {
    let Some(disk) = small_disk("a_disk_that_cannot_be_written_to_fails_in_words") else { return };
    let remount = Command::new("mount").args(["-o", "remount,ro"]).arg(&disk.folder).status().unwrap();
    assert!(remount.success());
    let route = route(SIZE);
    for name in ["f", "new/folder/f"] {
        let mut rig = Rig::start();
        let story = rig.fetch(FileJob { destination: disk.file(name), ..rig.known("f", &route) }).await;
        assert!(matches!(story.error(), TransferError::ReadOnly { .. }), "{}", story.error());
        let words = format!("cannot write to the folder of {name}: Read-only file system");
        assert!(story.error().to_string().starts_with(&words), "{}", story.error());
        assert!(std::fs::read_dir(Path::new(&disk.folder)).unwrap().next().is_none());
        rig.downloader.cancel(&JobId::new("job")).await.unwrap();
    }
    assert!(route.requests().is_empty());
}
