//! What is in the way, from the start or meanwhile: somebody's file, a folder, a link, in the place of the file, of its `.part`
//! or of its journal. Nothing of somebody's is written through, overwritten or removed.

use std::path::Path;

use downloader::{Existing, FileJob, JobEvent, JobId, RestartReason, TransferError};
use test_support::file_server::{Content, FileServer, Route, When};

use crate::rig::{MIB, Rig, names_below, settings};

fn route() -> Route {
    FileServer::start().file("/f.bin", Content::pattern(45, 3 * MIB + 5))
}

#[tokio::test]
async fn a_destination_that_appears_meanwhile_is_not_overwritten_and_nothing_is_fetched_twice() {
    for folder in [false, true] {
        let route = route();
        let gate = route.hold_at(2 * MIB);
        let mut rig = Rig::start();
        rig.enqueue("job", vec![rig.known("f.bin", &route)]).await;
        gate.reached().await;
        let theirs = if folder { rig.path("f.bin/inside") } else { rig.path("f.bin") };
        std::fs::create_dir_all(theirs.parent().unwrap()).unwrap();
        std::fs::write(&theirs, b"somebody's").unwrap();
        gate.open();
        let story = rig.rest("job").await;
        let (error, words) = (story.error(), story.error().to_string());
        if folder {
            assert!(matches!(error, TransferError::NotARegularFile { .. }), "{error}");
            assert_eq!(words, "f.bin is in the way: it is not a regular file");
        } else {
            assert!(matches!(error, TransferError::DestinationExists { size: 10, .. }), "{error}");
            assert_eq!(words, "f.bin exists already and is not the file asked for");
        }
        assert_eq!(std::fs::read(&theirs).unwrap(), b"somebody's");
        assert!(rig.path("f.bin.part").exists() && rig.path("f.bin.part.journal").exists(), "it waits, whole");

        // Asked for again while it is still in the way.
        rig.downloader.resume(&JobId::new("job")).await.unwrap();
        assert_eq!(rig.rest("job").await.error().to_string(), words);
        assert_eq!(std::fs::read(&theirs).unwrap(), b"somebody's");
        assert!(rig.path("f.bin.part").exists() && rig.path("f.bin.part.journal").exists(), "it waits, whole");

        if folder { std::fs::remove_dir_all(rig.path("f.bin")) } else { std::fs::remove_file(theirs) }.unwrap();
        rig.downloader.resume(&JobId::new("job")).await.unwrap();
        assert!(rig.rest("job").await.completed());
        rig.assert_whole("f.bin", &route.content());
        assert_eq!(route.body_bytes_sent(), 3 * MIB + 5);
    }
}

/// A server without ranges leaves no journal: the hash alone proves the finished part, and it waits all the same.
#[tokio::test]
async fn a_finished_part_without_a_journal_waits_for_its_name() {
    for existing in [Existing::Keep, Existing::Share] {
        let route = route().ignore_range(When::Always);
        let gate = route.hold_at(2 * MIB);
        let mut rig = Rig::start();
        rig.enqueue("job", vec![FileJob { existing, ..rig.known("f.bin", &route) }]).await;
        gate.reached().await;
        std::fs::write(rig.path("f.bin"), b"somebody's").unwrap();
        gate.open();
        for _ in 0..3 {
            let story = rig.rest("job").await;
            assert!(matches!(story.error(), TransferError::DestinationExists { size: 10, .. }), "{}", story.error());
            assert_eq!(names_below(&rig.folder), ["f.bin", "f.bin.part"], "{existing:?}");
            rig.downloader.resume(&JobId::new("job")).await.unwrap();
        }
        rig.rest("job").await;
        std::fs::remove_file(rig.path("f.bin")).unwrap();
        rig.downloader.resume(&JobId::new("job")).await.unwrap();
        assert!(rig.rest("job").await.completed());
        rig.assert_whole("f.bin", &route.content());
        assert_eq!(route.body_bytes_sent(), 3 * MIB + 5);
    }
}

/// A job that takes what is there does not take what somebody put beside its own unfinished bytes.
#[tokio::test]
async fn a_shared_destination_is_not_taken_beside_unfinished_bytes() {
    let route = route();
    let gate = route.hold_at(2 * MIB);
    let mut rig = Rig::start();
    rig.enqueue("job", vec![rig.file("f.bin", &route.url())]).await;
    let arrived = |event: &JobEvent| matches!(event, JobEvent::Progress(tick) if tick.downloaded_bytes == 2 * MIB);
    rig.until("job", arrived).await;
    let home = rig.shutdown().await;
    gate.open();
    let mut rig = Rig::on(home, settings());
    std::fs::write(rig.path("f.bin"), b"somebody's").unwrap();
    let shared = FileJob { existing: Existing::Share, ..rig.file("f.bin", &route.url()) };
    let story = rig.fetch(shared).await;
    assert!(matches!(story.error(), TransferError::DestinationExists { size: 10, .. }), "{}", story.error());
    assert_eq!(names_below(&rig.folder), ["f.bin", "f.bin.part", "f.bin.part.journal"]);
    std::fs::remove_file(rig.path("f.bin")).unwrap();
    rig.downloader.resume(&JobId::new("job")).await.unwrap();
    assert_eq!(rig.rest("job").await.outcome().wire_bytes, MIB + 5);
    rig.assert_whole("f.bin", &route.content());
}

#[tokio::test]
async fn a_folder_in_the_way_fails_in_words_and_leaves_nothing() {
    let route = route();
    let table: [(&str, &str, &str); 2] = [
        ("f.bin/inside", "f.bin", "f.bin is in the way: it is not a regular file"),
        ("vae", "vae/f.bin", "the path vae/f.bin escapes the models folder or passes through a non-directory"),
    ];
    for existing in [Existing::Keep, Existing::Share, Existing::Replace] {
        for (theirs, name, words) in table {
            let mut rig = Rig::holding(&[(theirs, b"somebody's")]);
            let story = rig.fetch(FileJob { existing, ..rig.known(name, &route) }).await;
            assert_eq!(story.error().to_string(), words);
            assert_eq!(names_below(&rig.folder), [theirs], "what is in the folder");
        }
    }
    assert!(route.requests().is_empty());
}

#[tokio::test]
async fn a_folder_with_something_in_it_is_not_removed_for_a_partial_file() {
    for (place, inside) in [("f.bin.part", "f.bin.part/theirs"), ("f.bin.part.journal", "f.bin.part.journal/theirs")] {
        let route = route();
        let mut rig = Rig::holding(&[(inside, b"somebody's")]);
        let story = rig.fetch(rig.known("f.bin", &route)).await;
        assert!(matches!(story.error(), TransferError::NotARegularFile { .. }), "{}", story.error());
        assert_eq!(story.error().to_string(), format!("{place} is in the way: it is not a regular file"));
        assert_eq!(names_below(&rig.folder), [inside], "what is in the folder");
        assert!(route.requests().is_empty());

        std::fs::remove_dir_all(rig.path(place)).unwrap();
        rig.downloader.resume(&JobId::new("job")).await.unwrap();
        assert!(rig.rest("job").await.completed());
        rig.assert_whole("f.bin", &route.content());
    }
}

#[tokio::test]
async fn what_stands_in_the_place_of_the_part_is_not_written_through() {
    let route = route();
    let mut rig = Rig::holding(&[("precious", b"precious"), ("linked", b"linked")]);
    std::os::unix::fs::symlink(rig.path("precious"), rig.path("f.bin.part")).unwrap();
    std::fs::hard_link(rig.path("linked"), rig.path("f.bin.part.journal")).unwrap();
    let story = rig.fetch(rig.known("f.bin", &route)).await;
    assert!(story.completed(), "{:#?}", story.told());
    rig.assert_whole("f.bin", &route.content());
    assert_eq!(rig.bytes("precious"), b"precious");
    assert_eq!(rig.bytes("linked"), b"linked");

    let mut rig = Rig::holding(&[("linked", b"linked")]);
    std::fs::hard_link(rig.path("linked"), rig.path("f.bin.part")).unwrap();
    std::fs::create_dir(rig.path("f.bin.part.journal")).unwrap();
    assert!(rig.fetch(rig.known("f.bin", &route)).await.completed());
    assert_eq!(rig.bytes("linked"), b"linked");

    let mut rig = Rig::holding(&[]);
    std::fs::create_dir(rig.path("f.bin.part")).unwrap();
    assert!(rig.fetch(rig.known("f.bin", &route)).await.completed());
    rig.assert_whole("f.bin", &route.content());
}

#[tokio::test]
async fn a_part_that_is_removed_while_it_is_written_costs_one_restart() {
    let route = FileServer::start().file("/f.bin", Content::pattern(46, 6 * MIB));
    let gate = route.hold_at(4 * MIB);
    let mut rig = Rig::start();
    rig.enqueue("job", vec![rig.known("f.bin", &route)]).await;
    gate.reached().await;
    std::fs::remove_file(rig.path("f.bin.part")).unwrap();
    gate.open();
    let story = rig.rest("job").await;
    assert!(story.completed(), "{:#?}", story.told());
    assert_eq!(story.restarts(), [RestartReason::PartRemoved]);
    rig.assert_whole("f.bin", &route.content());
}

/// What is done to the partial file while it is written, and what comes of it.
#[tokio::test]
async fn a_part_or_journal_that_is_altered_while_it_is_written_never_ends_in_a_wrong_file() {
    type Deed = fn(&Path);
    let deeds: [(&str, Deed, &[RestartReason]); 4] = [
        ("the journal removed", |part| std::fs::remove_file(part.with_extension("part.journal")).unwrap(), &[]),
        (
            "the part replaced",
            |part| {
                std::fs::remove_file(part).unwrap();
                std::fs::write(part, b"somebody's").unwrap();
            },
            &[RestartReason::PartRemoved],
        ),
        (
            "the part shortened",
            |part| std::fs::File::options().write(true).open(part).unwrap().set_len(0).unwrap(),
            &[RestartReason::HashMismatch],
        ),
        (
            "bytes of the part altered",
            |part| {
                let file = std::fs::File::options().write(true).open(part).unwrap();
                std::os::unix::fs::FileExt::write_all_at(&file, b"XXXX", 1000).unwrap();
            },
            &[RestartReason::HashMismatch],
        ),
    ];
    for (name, deed, restarts) in deeds {
        let route = route();
        let gate = route.hold_at(2 * MIB);
        let mut rig = Rig::start();
        rig.enqueue("job", vec![rig.known("f.bin", &route)]).await;
        let arrived = |event: &JobEvent| matches!(event, JobEvent::Progress(tick) if tick.downloaded_bytes == 2 * MIB);
        rig.until("job", arrived).await;
        deed(&rig.path("f.bin.part"));
        gate.open();
        let story = rig.rest("job").await;
        assert!(story.completed(), "{name}: {:#?}", story.told());
        assert_eq!(story.restarts(), restarts, "{name}");
        assert!(rig.bytes("f.bin") == route.content().to_vec(), "{name}: f.bin does not equal its source");
    }
}
