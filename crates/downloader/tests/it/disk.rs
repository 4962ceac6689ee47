//! Disks that hold something already: the file itself, a copy of it, a damaged one, another one, links.

use std::os::unix::fs::{MetadataExt, symlink};

use downloader::{Arrival, BlockChecksums, Existing, FileJob, Settings, SourceUrl, TransferError};
use test_support::file_server::{Content, FileServer, Route};

use crate::rig::{MIB, Rig, settings};

fn route() -> Route {
    FileServer::start().file("/f.bin", Content::pattern(91, 3 * MIB))
}

#[tokio::test]
async fn a_destination_that_exists_is_kept_shared_or_replaced_as_asked() {
    let route = route();
    let old = b"old".to_vec();
    let mut rig = Rig::holding(&[("f.bin", &old)]);
    let story = rig.fetch(rig.known("f.bin", &route)).await;
    assert!(matches!(story.error(), TransferError::DestinationExists { size: 3, .. }), "{}", story.error());
    assert_eq!(rig.bytes("f.bin"), old);
    rig.assert_no_partial_files();

    let shared = FileJob { existing: Existing::Share, ..rig.file("f.bin", &route.url()) };
    let story = rig.fetch(shared).await;
    assert_eq!((story.outcome().how, story.outcome().size), (Arrival::AlreadyWhole, 3));
    assert!(route.requests().is_empty());

    let replaced = FileJob { existing: Existing::Replace, ..rig.known("f.bin", &route) };
    let gate = route.hold_at(2 * MIB);
    rig.enqueue("replace", vec![replaced]).await;
    gate.reached().await;
    assert_eq!(rig.bytes("f.bin"), old, "it stays until the new one is whole");
    gate.open();
    assert!(rig.rest("replace").await.completed());
    rig.assert_whole("f.bin", &route.content());
}

#[tokio::test]
async fn a_destination_that_is_the_file_already_costs_no_network() {
    let route = route();
    for existing in [Existing::Keep, Existing::Share, Existing::Replace] {
        let mut rig = Rig::holding(&[("f.bin", &route.content().to_vec()), ("f.bin.part", b"rest")]);
        let story = rig.fetch(FileJob { existing, ..rig.known("f.bin", &route) }).await;
        assert_eq!((story.outcome().how, story.outcome().verified), (Arrival::AlreadyWhole, true));
        rig.assert_whole("f.bin", &route.content());
    }
    let mut rig = Rig::holding(&[("f.bin", &route.content().to_vec())]);
    let sized = FileJob { size: Some(3 * MIB), ..rig.file("f.bin", &route.url()) };
    let story = rig.fetch(sized).await;
    assert_eq!((story.outcome().how, story.outcome().verified), (Arrival::AlreadyWhole, false));
    assert!(route.requests().is_empty());
}

#[tokio::test]
async fn links_inside_the_root_are_followed_and_links_out_of_it_are_not() {
    let route = route();
    let mut rig = Rig::holding(&[("real/x", b"x")]);
    let outside = rig.home.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    symlink("real", rig.path("inside")).unwrap();
    symlink(&outside, rig.path("absolute")).unwrap();
    symlink("../outside", rig.path("relative")).unwrap();
    assert!(rig.fetch(rig.known("inside/f.bin", &route)).await.completed());
    rig.assert_whole("real/f.bin", &route.content());
    for name in ["absolute/f.bin", "relative/f.bin", "absolute/new/f.bin"] {
        let story = rig.fetch(rig.known(name, &route)).await;
        assert!(matches!(story.error(), TransferError::OutsideRoot { .. }), "{name}: {}", story.error());
    }
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
    // The final name may be a link: it is in the way, and what it leads to is not touched.
    symlink(outside.join("target"), rig.path("linked.bin")).unwrap();
    let story = rig.fetch(FileJob { existing: Existing::Replace, ..rig.known("linked.bin", &route) }).await;
    assert!(matches!(story.error(), TransferError::NotARegularFile { .. }), "{}", story.error());
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
}

#[tokio::test]
async fn content_that_is_here_already_is_linked_and_not_fetched() {
    let route = route();
    let digest = route.sha256();
    let mut rig = Rig::holding(&[("elsewhere.bin", &route.content().to_vec()), ("wrong.bin", &[1; 3 << 20])]);
    let local_copies = vec![rig.path("missing"), rig.path("wrong.bin"), rig.path("elsewhere.bin")];
    let story = rig.fetch(FileJob { local_copies, ..rig.known("sub/f.bin", &route) }).await;
    assert_eq!((story.outcome().how, story.outcome().blocks.crc32.len()), (Arrival::Linked, 3));
    let inode = |name: &str| std::fs::metadata(rig.path(name)).unwrap().ino();
    assert_eq!(inode("sub/f.bin"), inode("elsewhere.bin"));
    rig.assert_whole("sub/f.bin", &route.content());

    let local_copies = vec![rig.path("elsewhere.bin")];
    std::fs::write(rig.path("old.bin"), b"old").unwrap();
    let replace = FileJob { local_copies, existing: Existing::Replace, ..rig.known("old.bin", &route) };
    let story = rig.fetch(replace).await;
    assert_eq!(story.outcome().how, Arrival::Copied);
    rig.assert_whole("old.bin", &route.content());

    let cache = rig.home.path().join("hf");
    let blobs = cache.join("hub/models--org--repo/blobs");
    std::fs::create_dir_all(&blobs).unwrap();
    std::fs::write(blobs.join(&digest), route.content().to_vec()).unwrap();
    let mut rig = Rig::on(rig.home.clone(), Settings { hf_cache: Some(cache), ..settings() });
    let sources = vec![SourceUrl::parse("hf://org/repo/f.bin").unwrap()];
    let file = FileJob { sources, ..rig.known("cached.bin", &route) };
    assert_eq!(rig.fetch(file).await.outcome().how, Arrival::Linked);
    assert!(route.requests().is_empty());
}

#[tokio::test]
async fn a_damaged_file_is_repaired_from_its_good_blocks() {
    let route = FileServer::start().file("/f.bin", Content::pattern(93, 40 * MIB + 5));
    let mut rig = Rig::start();
    let blocks = rig.fetch(rig.known("f.bin", &route)).await.outcome().blocks.clone();
    let file = std::fs::File::options().write(true).open(rig.path("f.bin")).unwrap();
    for offset in [3 * MIB, 20 * MIB + 17, 40 * MIB + 2] {
        std::os::unix::fs::FileExt::write_all_at(&file, b"??", offset).unwrap();
    }
    let before = route.body_bytes_sent();
    let repair = FileJob { salvage: Some(blocks), existing: Existing::Replace, ..rig.known("f.bin", &route) };
    let story = rig.fetch(repair).await;
    assert!(story.completed(), "{:#?}", story.told());
    assert_eq!(story.restarts(), [downloader::RestartReason::DamagedBlocks { blocks: 3 }]);
    rig.assert_whole("f.bin", &route.content());
    assert_eq!(route.body_bytes_sent() - before, 2 * MIB + 5, "three blocks, the last of them short");
}

#[tokio::test]
async fn a_repair_begins_again_from_the_damaged_file_or_from_nothing_where_it_has_to() {
    let route = FileServer::start().file("/f.bin", Content::pattern(94, 5 * MIB));
    let mut rig = Rig::start();
    let blocks = rig.fetch(rig.known("f.bin", &route)).await.outcome().blocks.clone();
    let mut damaged = route.content().to_vec();
    damaged[3 << 20] ^= 1;
    let repair = |rig: &Rig, salvage: &BlockChecksums| FileJob {
        salvage: Some(salvage.clone()),
        existing: Existing::Replace,
        ..rig.known("f.bin", &route)
    };
    // An earlier one was killed while it copied.
    std::fs::write(rig.path("f.bin"), &damaged).unwrap();
    std::fs::write(rig.path("f.bin.part"), &damaged[..2 << 20]).unwrap();
    let story = rig.fetch(repair(&rig, &blocks)).await;
    assert_eq!(story.outcome().wire_bytes, MIB, "{:#?}", story.told());
    rig.assert_whole("f.bin", &route.content());

    // The checksums are those of the damaged file, so that no block of it is found out.
    std::fs::write(rig.path("f.bin"), &damaged).unwrap();
    let mut wrong = blocks.clone();
    wrong.crc32[3] = crc32fast::hash(&damaged[3 << 20..4 << 20]);
    let story = rig.fetch(repair(&rig, &wrong)).await;
    assert_eq!(story.restarts(), [downloader::RestartReason::HashMismatch]);
    rig.assert_whole("f.bin", &route.content());
}
