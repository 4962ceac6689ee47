//! The life of a download on file systems that are not the machine's own: layered, without links, without a size, with copies that
//! cost nothing. `processes` has those that no machine at hand can mount.

use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;

use downloader::{Arrival, Existing, FileJob, JobEvent, JobId, TransferError};
use test_support::file_server::{Content, FileServer};
use test_support::requirements::Requirement;

use crate::mounts::{Mount, TMPFS};
use crate::rig::{MIB, Rig, settings};

const OVERLAY: Mount = Mount {
    name: "overlay",
    script: r#"mount -t tmpfs tmpfs "$0" && mkdir "$0/lower" "$0/upper" "$0/work" &&
        mount -t overlay -o "lowerdir=$0/lower,upperdir=$0/upper,workdir=$0/work" overlay "$0""#,
    ..TMPFS
};

/// It never says how much room it has.
const RAMFS: Mount = Mount { name: "ramfs", script: r#"mount -t ramfs ramfs "$0""#, ..TMPFS };

/// Through FUSE; it has no links, sets no room aside and cannot rename without replacing.
const EXFAT: Mount = Mount {
    name: "exfat",
    needs: &[
        Requirement::Program { name: "mkfs.exfat", package: "exfatprogs" },
        Requirement::Program { name: "mount.exfat-fuse", package: "exfat-fuse" },
        Requirement::FileSystem("fuse"),
    ],
    image: true,
    script: r#"truncate -s 64M "$0/../image" && mkfs.exfat "$0/../image" && mount -t exfat-fuse -o loop "$0/../image" "$0""#,
    ..TMPFS
};

/// Clones files.
const BTRFS: Mount = Mount {
    name: "btrfs",
    needs: &[Requirement::Program { name: "mkfs.btrfs", package: "btrfs-progs" }, Requirement::FileSystem("btrfs")],
    image: true,
    script: r#"truncate -s 200M "$0/../image" && mkfs.btrfs -q "$0/../image" && mount -o loop "$0/../image" "$0""#,
    ..TMPFS
};

const XFS: Mount = Mount {
    name: "xfs",
    needs: &[Requirement::Program { name: "mkfs.xfs", package: "xfsprogs" }, Requirement::FileSystem("xfs")],
    image: true,
    script: r#"truncate -s 320M "$0/../image" && mkfs.xfs -q "$0/../image" && mount -o loop "$0/../image" "$0""#,
    ..TMPFS
};

const SIZE: u64 = 9 * MIB + 777;

#[test]
fn a_download_lives_its_whole_life_on_any_file_system() {
    let test = "file_systems::a_download_lives_its_whole_life_on_any_file_system";
    for mount in [OVERLAY, RAMFS, EXFAT, BTRFS, XFS] {
        let Some(place) = mount.place(test) else { continue };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        return runtime.block_on(async {
            let rig = killed_continued_and_finished(&place).await;
            linked_replaced_and_repaired(rig).await;
        });
    }
}

async fn killed_continued_and_finished(place: &Path) -> Rig {
    let route = FileServer::start().file("/f.bin", Content::pattern(141, SIZE));
    let held = route.hold_at(5 * MIB + 99);
    let mut rig = Rig::on(Arc::new(tempfile::tempdir_in(place).unwrap()), settings());
    rig.enqueue("job", vec![rig.known("folder/f.bin", &route)]).await;
    let arrived = |event: &JobEvent| matches!(event, JobEvent::Progress(tick) if tick.downloaded_bytes == 5 * MIB + 99);
    rig.until("job", arrived).await;
    let home = rig.kill().await;
    held.open();

    let held = route.hold_at(7 * MIB);
    let mut rig = Rig::on(home, settings());
    rig.enqueue("job", vec![rig.known("folder/f.bin", &route)]).await;
    held.reached().await;
    let mut second = Rig::on(Arc::clone(&rig.home), settings());
    let story = second.fetch(second.known("folder/f.bin", &route)).await;
    assert!(matches!(story.error(), TransferError::Locked { .. }), "{}", story.error());
    std::fs::write(rig.path("folder/f.bin"), b"somebody's").unwrap();
    held.open();
    let story = rig.rest("job").await;
    assert!(matches!(story.error(), TransferError::DestinationExists { size: 10, .. }), "{}", story.error());
    assert_eq!(rig.bytes("folder/f.bin"), b"somebody's");

    std::fs::remove_file(rig.path("folder/f.bin")).unwrap();
    rig.downloader.resume(&JobId::new("job")).await.unwrap();
    let story = rig.rest("job").await;
    assert!(story.completed() && story.restarts().is_empty(), "{:#?}", story.told());
    rig.assert_whole("folder/f.bin", &route.content());
    let sent = route.body_bytes_sent();
    assert!(sent <= SIZE + MIB, "{sent} bytes: a kill costs the block that was being written");

    let held = route.hold_at(5 * MIB);
    rig.enqueue("cancelled", vec![rig.known("cancelled.bin", &route)]).await;
    held.reached().await;
    assert!(rig.downloader.cancel(&JobId::new("cancelled")).await.unwrap());
    rig.assert_absent("cancelled.bin");
    rig
}

async fn linked_replaced_and_repaired(mut rig: Rig) {
    let content = Content::pattern(141, SIZE);
    let route = FileServer::start().file("/f.bin", content.clone());
    let local_copies = vec![rig.path("folder/f.bin")];
    let file = FileJob { local_copies, ..rig.known("here.bin", &route) };
    let outcome = rig.fetch(file.clone()).await.outcome().clone();
    assert!(matches!(outcome.how, Arrival::Linked | Arrival::Copied), "{:?}", outcome.how);
    rig.assert_whole("here.bin", &content);
    assert!(route.requests().is_empty());

    std::fs::remove_file(rig.path("here.bin")).unwrap();
    std::fs::write(rig.path("here.bin"), b"old").unwrap();
    let replacing = FileJob { local_copies: vec![], existing: Existing::Replace, ..file };
    assert_eq!(rig.fetch(replacing.clone()).await.outcome().how, Arrival::Fetched);
    rig.assert_whole("here.bin", &content);

    let damaged = std::fs::File::options().write(true).open(rig.path("here.bin")).unwrap();
    damaged.write_all_at(b"?", 3 * MIB).unwrap();
    drop(damaged);
    let repair = FileJob { salvage: Some(outcome.blocks), ..replacing };
    assert_eq!(rig.fetch(repair).await.outcome().wire_bytes, MIB, "the damaged block alone");
    rig.assert_whole("here.bin", &content);
}

#[tokio::test]
async fn content_that_is_on_another_file_system_is_copied_from_there() {
    let Some(place) = TMPFS.place("file_systems::content_that_is_on_another_file_system_is_copied_from_there") else {
        return;
    };
    let route = FileServer::start().file("/f.bin", Content::pattern(142, SIZE));
    let mut rig = Rig::start();
    let there = place.join("there.bin");
    std::fs::write(&there, route.content().to_vec()).unwrap();
    let story = rig.fetch(FileJob { local_copies: vec![there.clone()], ..rig.known("f.bin", &route) }).await;
    assert_eq!(story.outcome().how, Arrival::Copied);
    let device = |path: &Path| std::fs::metadata(path).unwrap().dev();
    assert_ne!(device(&there), device(&rig.path("f.bin")));
    rig.assert_whole("f.bin", &route.content());
    assert!(route.requests().is_empty());
}

#[tokio::test]
async fn what_is_linked_is_on_the_disk_before_it_counts() {
    let under = r#"strace -f -qq -o "$0/../trace" -y -e trace=fdatasync,linkat"#;
    let traced = Mount { under, ..TMPFS };
    let Some(place) = traced.place("file_systems::what_is_linked_is_on_the_disk_before_it_counts") else { return };
    let route = FileServer::start().file("/f.bin", Content::pattern(144, MIB));
    let mut rig = Rig::on(Arc::new(tempfile::tempdir_in(&place).unwrap()), settings());
    let here = rig.home.path().join("here.bin");
    std::fs::write(&here, route.content().to_vec()).unwrap();
    let story = rig.fetch(FileJob { local_copies: vec![here], ..rig.known("f.bin", &route) }).await;
    assert_eq!(story.outcome().how, Arrival::Linked);
    let trace = std::fs::read_to_string(place.join("../trace")).unwrap();
    let first = |call: &str| trace.lines().position(|line| line.contains(call) && line.contains("here.bin"));
    let (synced, linked) = (first("fdatasync"), first("linkat"));
    assert!(synced.is_some() && linked.is_some() && synced < linked, "{trace}");
}

#[tokio::test]
async fn a_copy_costs_no_room_where_files_can_be_cloned() {
    let Some(place) = BTRFS.place("file_systems::a_copy_costs_no_room_where_files_can_be_cloned") else { return };
    // There is room for one of it, and not for two.
    let route = FileServer::start().file("/f.bin", Content::pattern(143, 70 * MIB));
    let mut rig = Rig::on(Arc::new(tempfile::tempdir_in(&place).unwrap()), settings());
    let here = rig.home.path().join("here.bin");
    std::fs::write(&here, route.content().to_vec()).unwrap();
    std::fs::File::open(&here).unwrap().sync_all().unwrap();
    let room = rustix::fs::statvfs(&place).unwrap();
    assert!(room.f_bavail * room.f_frsize < 70 * MIB, "{} bytes are free", room.f_bavail * room.f_frsize);
    // A link cannot take the place of a file, so this is a copy.
    std::fs::create_dir(&rig.folder).unwrap();
    std::fs::write(rig.path("f.bin"), b"old").unwrap();
    let file = FileJob { local_copies: vec![here], existing: Existing::Replace, ..rig.known("f.bin", &route) };
    assert_eq!(rig.fetch(file).await.outcome().how, Arrival::Copied);
    rig.assert_whole("f.bin", &route.content());
    assert!(route.requests().is_empty());
}
