//! What an earlier run left behind: trusted as far as it can be proven, and never a reason for anybody to clean up.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use downloader::{FileJob, JobEvent, JobId, JobState, RestartReason, Settings, TransferError};
use tempfile::TempDir;
use test_support::file_server::{Content, FileServer, Route, Validator, When};

use crate::rig::{MIB, Rig, Story, settings};

const SIZE: u64 = 8 * MIB + 4321;

/// A file of which the first five megabytes are here, left by an engine that was shut down.
struct Half {
    route: Route,
    home: Arc<TempDir>,
    known: bool,
}

impl Half {
    async fn made(known: bool) -> Self {
        let route = FileServer::start().file("/f.bin", Content::pattern(41, SIZE));
        let gate = route.hold_at(5 * MIB + 99);
        let mut rig = Rig::start();
        let file = if known { rig.known("f.bin", &route) } else { rig.file("f.bin", &route.url()) };
        rig.enqueue("job", vec![file]).await;
        gate.reached().await;
        let arrived =
            |event: &JobEvent| matches!(event, JobEvent::Progress(tick) if tick.downloaded_bytes == 5 * MIB + 99);
        rig.until("job", arrived).await;
        let home = rig.shutdown().await;
        gate.open();
        Self { route, home, known }
    }

    fn part(&self) -> File {
        File::options().read(true).write(true).open(self.path("f.bin.part")).unwrap()
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.home.path().join("models").join(name)
    }

    fn asked(&self, rig: &Rig) -> FileJob {
        if self.known { rig.known("f.bin", &self.route) } else { rig.file("f.bin", &self.route.url()) }
    }

    /// Runs it to its end and says how many bytes that took.
    async fn resumed(self) -> (Story, u64) {
        let mut rig = Rig::on(Arc::clone(&self.home), settings());
        let story = rig.fetch(self.asked(&rig)).await;
        assert!(story.completed(), "{:#?}", story.told());
        assert_eq!(story.outcome().sha256.to_string(), self.route.sha256());
        rig.assert_whole("f.bin", &self.route.content());
        let fetched = story.outcome().wire_bytes;
        (story, fetched)
    }
}

#[tokio::test]
async fn a_restart_goes_on_where_it_was() {
    for known in [true, false] {
        let half = Half::made(known).await;
        let (story, fetched) = half.resumed().await;
        assert!(story.restarts().is_empty());
        assert_eq!(fetched, SIZE - 5 * MIB - 99);
    }
}

/// A pause that comes before the journal was looked at, while a copy that does not match is still being hashed.
#[tokio::test]
async fn resume_keeps_partial_file_after_early_pause() {
    let half = Half::made(true).await;
    let unlike = half.home.path().join("unlike");
    File::create(&unlike).unwrap().set_len(8 << 30).unwrap();
    let mut rig = Rig::on(Arc::clone(&half.home), settings());
    let file = FileJob { local_copies: vec![unlike], ..rig.known("f.bin", &half.route) };
    rig.enqueue("job", vec![file]).await;
    rig.until("job", |event| matches!(event, JobEvent::Started)).await;
    rig.downloader.pause(&JobId::new("job")).await.unwrap();
    rig.assert_waits("f.bin");
    rig.shutdown().await;
    let (_, fetched) = half.resumed().await;
    assert_eq!(fetched, SIZE - 5 * MIB - 99);
}

/// No copy to hash: the pause comes within milliseconds of the start, or before it.
#[tokio::test]
async fn resume_keeps_partial_file_after_immediate_pause() {
    for known in [true, false] {
        let half = Half::made(known).await;
        for _ in 0..20 {
            let rig = Rig::on(Arc::clone(&half.home), settings());
            rig.enqueue("job", vec![half.asked(&rig)]).await;
            rig.downloader.pause(&JobId::new("job")).await.unwrap();
            rig.assert_waits("f.bin");
            rig.shutdown().await;
        }
        let (_, fetched) = half.resumed().await;
        assert!(fetched <= SIZE - 5 * MIB - 99, "{fetched} bytes");
    }
}

/// A finished part without a journal, as a server without ranges leaves it, and a pause while it is hashed.
#[tokio::test]
async fn pause_during_verification_keeps_finished_part() {
    const LARGE: u64 = 200 * MIB;
    let route = FileServer::start().file("/f.bin", Content::pattern(51, LARGE));
    let mut rig = Rig::holding(&[("f.bin.part", &route.content().to_vec())]);
    let id = JobId::new("job");
    rig.enqueue("job", vec![rig.known("f.bin", &route)]).await;
    rig.until("job", |event| matches!(event, JobEvent::Started)).await;
    let paused = rig.downloader.pause(&id).await.unwrap();
    assert_eq!(paused, JobState::Paused(downloader::PauseReason::Requested), "it was not too late to pause");
    rig.rest("job").await;
    assert_eq!(std::fs::metadata(rig.path("f.bin.part")).unwrap().len(), LARGE);
    rig.downloader.resume(&id).await.unwrap();
    assert!(rig.rest("job").await.completed());
    rig.assert_whole("f.bin", &route.content());
    assert!(route.requests().is_empty(), "nothing is fetched");
}

/// Links that differ in nothing but the query are two sources, and say nothing of each other's files.
#[tokio::test]
async fn links_that_differ_in_the_query_are_not_mixed() {
    for validator in [Validator::Nothing, Validator::Weak] {
        let (one, two) = (Content::pattern(52, SIZE), Content::pattern(53, SIZE));
        let second = When::Always.matching(|request| request.query("id") == Some("2"));
        let route = FileServer::start().file("/get", one).validator(validator.clone(), When::Always);
        let route = route.other_content(two.clone(), second);
        let gate = route.hold_at(5 * MIB);
        let mut rig = Rig::start();
        rig.enqueue("job", vec![rig.file("f.bin", &format!("{}?id=1", route.url()))]).await;
        let arrived = |event: &JobEvent| matches!(event, JobEvent::Progress(tick) if tick.downloaded_bytes == 5 * MIB);
        rig.until("job", arrived).await;
        let home = rig.shutdown().await;
        gate.open();
        let mut rig = Rig::on(home, settings());
        let story = rig.fetch(rig.file("f.bin", &format!("{}?id=2", route.url()))).await;
        assert!(story.completed(), "{:#?}", story.told());
        assert_eq!(story.restarts(), [RestartReason::JournalUnreadable], "{validator:?}");
        rig.assert_whole("f.bin", &two);
    }
}

/// A link that is signed anew goes on where the strong ETag is still the same, and begins again where it is not.
#[tokio::test]
async fn a_link_signed_anew_resumes_by_its_strong_etag() {
    for same in [true, false] {
        let (one, two) = (Content::pattern(54, SIZE), Content::pattern(55, SIZE));
        let route = FileServer::start().file("/get", one.clone());
        let gate = route.hold_at(5 * MIB);
        let mut rig = Rig::start();
        rig.enqueue("job", vec![rig.file("f.bin", &format!("{}?signature=1", route.url()))]).await;
        let arrived = |event: &JobEvent| matches!(event, JobEvent::Progress(tick) if tick.downloaded_bytes == 5 * MIB);
        rig.until("job", arrived).await;
        let home = rig.shutdown().await;
        gate.open();
        if !same {
            route.other_content(two.clone(), When::Always);
        }
        let mut rig = Rig::on(home, settings());
        let story = rig.fetch(rig.file("f.bin", &format!("{}?signature=2", route.url()))).await;
        assert!(story.completed(), "{:#?}", story.told());
        if same {
            assert_eq!((story.restarts(), story.outcome().wire_bytes), (vec![], SIZE - 5 * MIB));
        } else {
            assert_eq!(story.restarts(), [RestartReason::OtherSource]);
        }
        rig.assert_whole("f.bin", if same { &one } else { &two });
    }
}

#[tokio::test]
async fn flipped_bytes_cost_their_blocks_only() {
    for known in [true, false] {
        let half = Half::made(known).await;
        half.part().write_all_at(b"XXXX", 3 * MIB + 5).unwrap();
        let (story, fetched) = half.resumed().await;
        assert_eq!(story.restarts(), [RestartReason::DamagedBlocks { blocks: 1 }]);
        assert_eq!(fetched, SIZE - 5 * MIB - 99 + MIB);
    }
}

#[tokio::test]
async fn a_part_that_was_swapped_shifted_shortened_or_lengthened_is_found_out() {
    type Damage = fn(&Half);
    // What was done to it, the blocks that it costs (none where the length alone shows what is left), and the bytes that stay.
    let damages: [(&str, Damage, Option<u64>, u64); 7] = [
        (
            "another version",
            |half| half.part().write_all_at(&Content::pattern(42, SIZE).slice(0, 5 * MIB), 0).unwrap(),
            Some(5),
            99,
        ),
        (
            "four bytes in front",
            |half| {
                let bytes = std::fs::read(half.path("f.bin.part")).unwrap();
                std::fs::write(half.path("f.bin.part"), [&b"XXXX"[..], &bytes].concat()).unwrap();
            },
            Some(6),
            0,
        ),
        ("shorter", |half| half.part().set_len(2 * MIB + 1).unwrap(), None, 2 * MIB),
        ("empty", |half| half.part().set_len(0).unwrap(), None, 0),
        ("longer", |half| half.part().set_len(SIZE + 5 * MIB).unwrap(), None, 5 * MIB + 99),
        ("gone", |half| std::fs::remove_file(half.path("f.bin.part")).unwrap(), None, 0),
        ("zeros", |half| half.part().write_all_at(&vec![0; 5 << 20], 0).unwrap(), Some(5), 99),
    ];
    for (name, damage, blocks, stay) in damages {
        for known in [true, false] {
            let half = Half::made(known).await;
            damage(&half);
            let (story, fetched) = half.resumed().await;
            let expected: Vec<_> = blocks.map(|blocks| RestartReason::DamagedBlocks { blocks }).into_iter().collect();
            assert_eq!(story.restarts(), expected, "{name}, hash known {known}");
            // The block that was here in part may have been filled up by the time that its beginning is found out.
            let expected = SIZE - stay..=SIZE - stay + MIB;
            assert!(expected.contains(&fetched), "{name}, hash known {known}: {fetched} bytes, not {expected:?}");
        }
    }
}

#[tokio::test]
async fn bytes_that_the_journal_proves_and_the_hash_does_not_are_thrown_away() {
    // Poisoned on the way: the journal holds their checksums, so only the hash can tell.
    let half = Half::made(true).await;
    let other = half.route.server().file("/f.bin", Content::pattern(48, SIZE));
    let url = other.url();
    let mut rig = Rig::on(Arc::clone(&half.home), settings());
    let asked = FileJob { sha256: Some(other.sha256().parse().unwrap()), ..rig.file("f.bin", &url) };
    let journal = std::fs::read(half.path("f.bin.part.journal")).unwrap();
    std::fs::write(half.path("f.bin.part.journal"), with_hash(&journal, &other.sha256())).unwrap();
    let story = rig.fetch(asked).await;
    assert!(story.completed(), "{:#?}", story.told());
    assert_eq!(story.restarts(), [RestartReason::HashMismatch]);
    rig.assert_whole("f.bin", &other.content());
}

/// The journal of the same bytes for a content that has another hash: the first record holds it after the magic (8), its
/// length (4), its kind (1), the size (8) and a flag (1), and ends with a checksum of everything after its length.
fn with_hash(journal: &[u8], sha256: &str) -> Vec<u8> {
    let mut journal = journal.to_vec();
    let length = u32::from_le_bytes(journal[8..12].try_into().unwrap()) as usize;
    let digest: downloader::Sha256Digest = sha256.parse().unwrap();
    journal[22..54].copy_from_slice(&digest.0);
    let checksum = crc32fast::hash(&journal[12..12 + length]);
    journal[12 + length..16 + length].copy_from_slice(&checksum.to_le_bytes());
    journal
}

#[tokio::test]
async fn a_journal_that_claims_more_than_the_disk_has_is_not_believed() {
    let half = Half::made(true).await;
    // The hole reads as zeros, as after a power cut.
    half.part().set_len(3 * MIB).unwrap();
    half.part().set_len(SIZE).unwrap();
    let (story, fetched) = half.resumed().await;
    assert!(matches!(story.restarts()[..], [RestartReason::DamagedBlocks { .. }]), "{:?}", story.restarts());
    assert!(fetched >= SIZE - 3 * MIB);
}

#[tokio::test]
async fn a_job_that_fails_while_what_is_here_is_still_checked_lets_go_of_it() {
    // So much that checking it takes far longer than to be refused.
    const HERE: u64 = 4 << 30;
    let route = FileServer::start().file("/f.bin", Content::pattern(50, MIB)).status(404, When::Always);
    let mut rig = Rig::holding(&[("f.bin.part", b""), ("f.bin.part.journal", &journal_of_zeros(&route.url(), HERE))]);
    File::options().write(true).open(rig.path("f.bin.part")).unwrap().set_len(HERE).unwrap();
    let story = rig.fetch(rig.file("f.bin", &route.url())).await;
    assert!(matches!(story.error(), TransferError::NotFound { .. }), "{}", story.error());
    assert!(rig.downloader.cancel(&downloader::JobId::new("job")).await.unwrap(), "something still holds it");
    rig.assert_absent("f.bin");
}

/// The journal of a file that is a block longer than what is here of it, which is all zeros.
fn journal_of_zeros(source: &str, here: u64) -> Vec<u8> {
    let mut journal = b"cdjrnl\0\x01".to_vec();
    let mut record = |body: &[u8]| {
        journal.extend((body.len() as u32).to_le_bytes());
        journal.extend(body);
        journal.extend(crc32fast::hash(body).to_le_bytes());
    };
    // No hash, no tag, no date.
    let source = [&(source.len() as u32).to_le_bytes(), source.as_bytes()].concat();
    record(&[&[1], &(here + MIB).to_le_bytes()[..], &[0; 1 + 32 + 4 + 4], &source].concat());
    let (length, crc) = ((MIB as u32).to_le_bytes(), crc32fast::hash(&[0; MIB as usize]).to_le_bytes());
    for index in 0..(here / MIB) as u32 {
        record(&[&[2], &index.to_le_bytes()[..], &length, &crc].concat());
    }
    journal
}

#[tokio::test]
async fn a_finished_part_is_verified_and_renamed_without_network() {
    let route = FileServer::start().file("/f.bin", Content::pattern(43, 3 * MIB)).status(500, When::Always);
    let mut rig = Rig::holding(&[("f.bin.part", &route.content().to_vec())]);
    let story = rig.fetch(rig.known("f.bin", &route)).await;
    assert!(story.completed(), "{:#?}", story.told());
    rig.assert_whole("f.bin", &route.content());
    assert!(route.requests().is_empty());
}

#[tokio::test]
async fn a_foreign_part_is_reset_by_itself() {
    let content = Content::pattern(44, 3 * MIB);
    // Whether its hash is known, its size, and what lies beside the partial file.
    type Row<'a> = (bool, Option<u64>, Option<&'a [u8]>);
    let rows: [Row; 6] = [
        (true, None, Some(b"garbage")),
        (true, Some(3 * MIB), None),
        (true, Some(3 * MIB), Some(&[0; 5000])),
        (false, Some(3 * MIB), Some(b"garbage")),
        (false, None, None),
        (false, None, Some(&[0; 5000])),
    ];
    for (known, size, journal) in rows {
        let route = FileServer::start().file("/f.bin", content.clone());
        let mut rig = Rig::holding(&[]);
        // Zeros that nobody wrote take no room.
        File::create(rig.path("f.bin.part")).unwrap().set_len(1_000_000_000).unwrap();
        if let Some(journal) = journal {
            std::fs::write(rig.path("f.bin.part.journal"), journal).unwrap();
        }
        let file = if known { rig.known("f.bin", &route) } else { rig.file("f.bin", &route.url()) };
        let story = rig.fetch(FileJob { size, ..file }).await;
        assert_eq!(story.restarts(), [RestartReason::JournalUnreadable], "hash {known}, size {size:?}, {journal:?}");
        rig.assert_whole("f.bin", &content);
        assert_eq!(route.body_bytes_sent(), 3 * MIB);
    }
}

#[tokio::test]
async fn a_second_engine_on_the_same_file_waits_and_then_says_so() {
    let route = FileServer::start().file("/f.bin", Content::pattern(47, 6 * MIB));
    let gate = route.hold_at(4 * MIB);
    let mut first = Rig::start();
    first.enqueue("job", vec![first.known("f.bin", &route)]).await;
    gate.reached().await;
    let mut second = Rig::on(Arc::clone(&first.home), settings());
    let story = second.fetch(second.known("f.bin", &route)).await;
    assert!(matches!(story.error(), TransferError::Locked { .. }), "{}", story.error());
    assert!(!second.downloader.cancel(&downloader::JobId::new("job")).await.unwrap(), "it is not its to remove");

    let patient = Settings { lock_wait: crate::rig::TIMEOUT, ..settings() };
    let mut third = Rig::on(Arc::clone(&first.home), patient);
    third.enqueue("job", vec![third.known("f.bin", &route)]).await;
    gate.open();
    assert!(first.rest("job").await.completed());
    let story = third.rest("job").await;
    assert_eq!(story.outcome().how, downloader::Arrival::AlreadyWhole);
    third.assert_whole("f.bin", &route.content());
    assert_eq!(route.body_bytes_sent(), 6 * MIB);
}

#[tokio::test]
async fn a_partial_file_of_another_content_is_not_continued() {
    // The same destination, but the job asks for another hash than the journal knows.
    let half = Half::made(true).await;
    let other = FileServer::start().file("/f.bin", Content::pattern(48, SIZE));
    let mut rig = Rig::on(Arc::clone(&half.home), settings());
    let story = rig.fetch(rig.known("f.bin", &other)).await;
    assert_eq!(story.restarts(), [RestartReason::JournalUnreadable]);
    rig.assert_whole("f.bin", &other.content());
}

#[tokio::test]
async fn what_another_link_left_says_nothing_of_this_one() {
    for (known, size) in [(true, 8 * MIB), (true, 9 * MIB), (false, 8 * MIB)] {
        let server = FileServer::start();
        let first = server.file("/first.bin", Content::pattern(94, 8 * MIB));
        let gate = first.hold_at(5 * MIB);
        let rig = Rig::start();
        let file = if known { rig.known("f.bin", &first) } else { rig.file("f.bin", &first.url()) };
        rig.enqueue("job", vec![file]).await;
        gate.reached().await;
        let home = rig.shutdown().await;
        gate.open();
        let second = server.file("/second.bin", Content::pattern(95, size));
        let mut rig = Rig::on(Arc::clone(&home), settings());
        let story = rig.fetch(rig.file("f.bin", &second.url())).await;
        assert!(story.completed(), "hash known {known}, {size}: {:#?}", story.told());
        assert_eq!(story.restarts(), [RestartReason::JournalUnreadable]);
        rig.assert_whole("f.bin", &second.content());
    }
}

#[tokio::test]
async fn a_pause_keeps_every_byte_and_a_cancel_none() {
    let route = FileServer::start().file("/f.bin", Content::pattern(49, SIZE));
    let gate = route.hold_at(5 * MIB + 50_000);
    let mut rig = Rig::start();
    rig.enqueue("job", vec![FileJob { size: Some(SIZE), ..rig.file("f.bin", &route.url()) }]).await;
    gate.reached().await;
    let arrived =
        |event: &JobEvent| matches!(event, JobEvent::Progress(tick) if tick.downloaded_bytes == 5 * MIB + 50_000);
    rig.until("job", arrived).await;
    let id = downloader::JobId::new("job");
    let state = rig.downloader.pause(&id).await.unwrap();
    assert_eq!(state, JobState::Paused(downloader::PauseReason::Requested));
    assert_eq!(rig.downloader.pause(&id).await.unwrap(), state, "pausing twice is fine");
    rig.rest("job").await;
    gate.open();
    rig.downloader.resume(&id).await.unwrap();
    let story = rig.rest("job").await;
    assert_eq!(story.outcome().wire_bytes, SIZE - 5 * MIB - 50_000);
    rig.assert_whole("f.bin", &route.content());

    let gate = route.hold_at(5 * MIB);
    let rig = Rig::start();
    rig.enqueue("job", vec![rig.known("f.bin", &route)]).await;
    gate.reached().await;
    assert!(rig.downloader.cancel(&id).await.unwrap());
    rig.assert_absent("f.bin");
}
