//! Journals that are gone, torn, zeroed, old or flipped: trusted as far as their records and the bytes on disk agree, at the
//! price of the bytes that they do not prove.

use downloader::{Arrival, Existing, FileJob, JobEvent, RestartReason, Sha256Digest};
use test_support::file_server::{Content, FileServer, Route};

use crate::rig::{MIB, Rig};

/// A whole block and a bit: the smallest file that has a journal, with the record of a block and that of a part of one.
const SIZE: u64 = MIB + 54_321;
const HERE: u64 = MIB + 30_000;

/// A `.part` and its journal, as an engine that was shut down left them, and an engine that resumes copies of them.
struct Left {
    route: Route,
    bytes: Vec<u8>,
    part: Vec<u8>,
    journal: Vec<u8>,
    rig: Rig,
    rows: usize,
}

async fn left() -> Left {
    let route = FileServer::start().file("/f.bin", Content::pattern(42, SIZE));
    let gate = route.hold_at(HERE);
    let mut rig = Rig::start();
    rig.enqueue("job", vec![rig.file("f.bin", &route.url())]).await;
    let arrived = |event: &JobEvent| matches!(event, JobEvent::Progress(tick) if tick.downloaded_bytes == HERE);
    rig.until("job", arrived).await;
    let home = rig.shutdown().await;
    gate.open();
    let read = |name: &str| std::fs::read(home.path().join("models").join(name)).unwrap();
    let (part, journal) = (read("f.bin.part"), read("f.bin.part.journal"));
    let rig = Rig::start();
    std::fs::create_dir(&rig.folder).unwrap();
    Left { bytes: route.content().to_vec(), route: route.behave(), part, journal, rig, rows: 0 }
}

impl Left {
    /// Resumes beside this journal. Says how often the file began again, and which byte it asked for first.
    async fn resumed_with(&mut self, journal: Option<&[u8]>, known: bool) -> (Vec<RestartReason>, u64) {
        self.rows += 1;
        let name = format!("{}.bin", self.rows);
        std::fs::write(self.rig.path(&format!("{name}.part")), &self.part).unwrap();
        if let Some(journal) = journal {
            std::fs::write(self.rig.path(&format!("{name}.part.journal")), journal).unwrap();
        }
        let file = self.rig.file(&name, &self.route.url());
        let known = if known { self.rig.known(&name, &self.route) } else { file };
        let before = self.route.requests().len();
        let story = self.rig.fetch(known).await;
        assert!(story.completed(), "{:#?}", story.told());
        assert!(self.rig.bytes(&name) == self.bytes, "{name} does not equal its source");
        self.rig.assert_no_partial_files();
        std::fs::remove_file(self.rig.path(&name)).unwrap();
        let asked: Vec<_> = self.route.requests()[before..].iter().map(|request| request.range().unwrap().0).collect();
        assert_eq!(asked.len(), 1, "one request brings the rest");
        (story.restarts(), asked[0])
    }
}

#[tokio::test]
async fn a_journal_cut_or_flipped_at_any_byte_is_believed_up_to_there() {
    let mut left = left().await;
    let intact = left.journal.clone();
    assert_eq!(left.resumed_with(Some(&intact), true).await, (vec![], HERE), "an intact journal loses nothing");
    // The magic, then the record that says which content it is; the first block, and what is there of the second.
    let content_ends = 8 + 4 + u32::from_le_bytes(intact[8..12].try_into().unwrap()) as usize + 4;
    assert_eq!(intact.len(), content_ends + 2 * BLOCK_RECORD);
    for at in 0..intact.len() {
        let mut journal = intact.clone();
        // Half of the rows are cut, half have a bit flipped, with the hash known in every other of each.
        if at % 2 == 0 {
            journal.truncate(at)
        } else {
            journal[at] ^= 1 << (at / 2 % 8)
        }
        let resumed = left.resumed_with(Some(&journal), at % 4 < 2).await;
        let expected = match at {
            _ if at < content_ends => (vec![RestartReason::JournalUnreadable], 0),
            _ if at < content_ends + BLOCK_RECORD => (vec![], 0),
            _ => (vec![], MIB),
        };
        assert_eq!(resumed, expected, "byte {at}");
    }
}

/// Length, kind, index, bytes, CRC-32, checksum.
const BLOCK_RECORD: usize = 4 + 1 + 4 + 4 + 4 + 4;

#[tokio::test]
async fn a_journal_that_is_gone_zeroed_of_another_version_or_foreign_costs_the_bytes_and_says_so() {
    let mut left = left().await;
    let zeroed = vec![0; left.journal.len()];
    let [older, newer] = [0, 2].map(|version| {
        let mut journal = left.journal.clone();
        journal[7] = version;
        journal
    });
    let rows: [(&str, Option<&[u8]>); 6] = [
        ("gone", None),
        ("empty", Some(b"")),
        ("zeroed", Some(&zeroed)),
        ("older", Some(&older)),
        ("newer", Some(&newer)),
        ("foreign", Some(b"[Settings]\nthis is not ours, whoever wrote it\n")),
    ];
    for (name, journal) in rows {
        for known in [true, false] {
            let resumed = left.resumed_with(journal, known).await;
            assert_eq!(resumed, (vec![RestartReason::JournalUnreadable], 0), "{name}, hash known {known}");
        }
    }
}

#[tokio::test]
async fn a_torn_record_at_the_end_costs_nothing() {
    let mut left = left().await;
    for torn in [&b"torn"[..], &[13, 0, 0, 0, 2], &[255; 40], &[0; 4096]] {
        let journal = [&left.journal, torn].concat();
        assert_eq!(left.resumed_with(Some(&journal), false).await, (vec![], HERE), "{torn:?}");
    }
}

/// A kill came between the rename of a file, to be put in the place of another, and the removal of its journal.
#[tokio::test]
async fn a_journal_of_a_finished_file_proves_that_very_file_and_not_that_of_another_link() {
    let left = left().await;
    let other = FileServer::start().file("/f.bin", Content::pattern(43, SIZE));
    let digest: Sha256Digest = left.route.sha256().parse().unwrap();
    let record = [&[5], &digest.0[..]].concat();
    let framed = [&33_u32.to_le_bytes()[..], &record, &crc32fast::hash(&record).to_le_bytes()].concat();
    for (link, how) in [(&left.route, Arrival::AlreadyWhole), (&other, Arrival::Fetched)] {
        let journal = [&left.journal[..], &framed].concat();
        let mut rig = Rig::holding(&[("f.bin", &left.bytes), ("f.bin.part.journal", &journal)]);
        let story = rig.fetch(FileJob { existing: Existing::Replace, ..rig.file("f.bin", &link.url()) }).await;
        assert_eq!(story.outcome().how, how, "{:#?}", story.told());
        rig.assert_whole("f.bin", &link.content());
    }
}
