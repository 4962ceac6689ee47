//! Moments that chance brings about seldom, or never because the simulation has one thread: each as a test of its own, on the
//! simulated disk.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::chance::Chance;
use super::disk::MemoryDisk;
use super::disk_faults::{DiskFaults, Work};
use super::plan::sha256;
use super::trace::Trace;
use crate::content_identity::Identity;
use crate::geometry::{BLOCK, Geometry};
use crate::halt::Halt;
use crate::storage::direct_buffers::{self, BlockBuffer, BlockBuffers};
use crate::storage::fs::Disk;
use crate::storage::part::{Discard, Holding, Part};
use crate::storage::prefix_hash::PrefixHash;
use crate::threads::Threads;
use crate::transfer::commit;
use crate::transfer::local_copy::Copier;
use crate::transfer::part_store::{PartStore, SyncError};
use crate::transfer::resume::{self, Beginning};
use crate::transfer::segments::BlockMap;
use crate::transfer::stats::TransferStats;
use crate::{Destination, FileJob, RestartReason, SourceUrl};

/// A partial file on a disk of its own, and what it is to hold in the end: one block.
struct Fixture {
    disk: MemoryDisk,
    part: Arc<Part>,
    content: Bytes,
}

impl Fixture {
    fn set() -> Self {
        Self::by(1)
    }

    fn by(seed: u64) -> Self {
        let chance = Chance::new(seed);
        let disk = MemoryDisk::new(chance.clone(), Arc::new(Trace::default()));
        let destination = destination();
        let folder = disk.open_parent(&destination, true).expect("a folder");
        let (part, _) = Part::open(folder, &destination, Geometry::SMALL).expect("a partial file");
        Self { disk, part: Arc::new(part), content: chance.bytes(BLOCK).into() }
    }

    /// The same with a journal, and the first half stored.
    fn half_stored() -> (Self, Arc<PartStore>) {
        let fixture = Self::set();
        let part_store = fixture.begun();
        fixture.store(&part_store, 0..fixture.content.len() / 2);
        (fixture, part_store)
    }

    /// With a journal, and nothing stored.
    fn begun(&self) -> Arc<PartStore> {
        self.part.begin_journal(&Identity { total: Some(BLOCK), ..Identity::default() }).expect("a journal");
        let (stats, map) = (Arc::new(TransferStats::new(Some(BLOCK))), BlockMap::new(Some(BLOCK), BLOCK));
        Arc::new(PartStore::new(Arc::clone(&self.part), stats, map))
    }

    fn store(&self, part_store: &PartStore, range: std::ops::Range<usize>) {
        let (offset, length) = (range.start as u64, range.len());
        part_store.store(offset, &[self.content.slice(range)], length).expect("room");
    }

    fn store_the_rest(&self, part_store: &PartStore) {
        self.store(part_store, self.content.len() / 2..self.content.len());
    }

    fn syncs_fail(&self) {
        self.disk.begin_life(DiskFaults { failing_syncs: 1.0, ..DiskFaults::default() });
    }
}

/// The blocks that a failing sync covered.
fn lost_by_sync(part_store: &PartStore) -> BTreeSet<usize> {
    match part_store.sync().expect_err("a sync that fails") {
        SyncError::Blocks(_, covered) => covered,
        SyncError::Journal(error) => panic!("the journal alone: {error}"),
    }
}

fn destination() -> Destination {
    Destination::new("models", "f.bin").expect("a name")
}

#[test]
fn a_part_without_a_journal_is_believed_as_the_disk_has_it_and_not_as_memory_shows_it() {
    for sync_fails in [false, true] {
        let Fixture { disk, part, content } = Fixture::set();
        part.write_at(0, std::slice::from_ref(&content)).expect("room");
        if sync_fails {
            disk.begin_life(DiskFaults { failing_syncs: 1.0, ..DiskFaults::default() });
            part.sync().expect_err("a sync that fails");
            disk.recover();
        }
        let source = SourceUrl::parse("https://files.example/f.bin").expect("a URL");
        let file = FileJob { sha256: Some(sha256(&content)), ..FileJob::new(destination(), vec![source]) };
        let holding = part.look().expect("a disk that works");
        let beginning = resume::begin(&part, holding, &file, &Copier::default()).expect("a disk that works");
        match beginning {
            Beginning::Whole(found) => assert!(!sync_fails && found.size == BLOCK, "the disk does not have it"),
            Beginning::Fresh { reason } => assert!(sync_fails && reason == Some(RestartReason::JournalUnreadable)),
            Beginning::Resume { .. } => panic!("there is no journal"),
        }
    }
}

/// A pause while a finished part without a journal is being proven says nothing about its content.
#[test]
fn a_pause_during_the_proof_keeps_a_finished_part() {
    let Fixture { part, content, .. } = Fixture::set();
    part.write_at(0, std::slice::from_ref(&content)).expect("room");
    let source = SourceUrl::parse("https://files.example/f.bin").expect("a URL");
    let file = FileJob { sha256: Some(sha256(&content)), ..FileJob::new(destination(), vec![source]) };
    let copier = Copier::default();
    copier.stop.cancel();
    let holding = part.look().expect("a disk that works");
    let halt = resume::begin(&part, holding, &file, &copier).expect_err("it is told to stop");
    assert!(matches!(halt, Halt::Stopped), "{halt:?}");
    assert_eq!(part.size().expect("a disk that works"), BLOCK);
}

#[test]
fn bytes_whose_beginning_is_voided_while_they_are_stored_are_not_believed() {
    let (fixture, part_store) = Fixture::half_stored();
    let voiding = Arc::clone(&part_store);
    fixture.disk.meanwhile.during_the_next(Work::Write, move || voiding.invalidate([0]).expect("a journal"));
    fixture.store_the_rest(&part_store);
    assert_eq!(part_store.map().present(), 0);
    let holding = fixture.part.look().expect("a disk that works");
    assert_eq!(holding.journal().expect("a journal").blocks, BTreeMap::new());
}

#[test]
fn a_sync_that_fails_covers_what_is_being_written_meanwhile() {
    let (fixture, part_store) = Fixture::half_stored();
    part_store.sync().expect("a disk that works");
    fixture.syncs_fail();
    let (syncing, (covered, heard)) = (Arc::clone(&part_store), std::sync::mpsc::channel());
    fixture.disk.meanwhile.during_the_next(Work::Write, move || {
        covered.send(lost_by_sync(&syncing)).expect("a listener");
    });
    fixture.store_the_rest(&part_store);
    assert!(heard.recv().expect("the covered blocks").contains(&0), "a block is lost and nobody knows");
}

#[test]
fn a_sync_that_fails_covers_what_was_written_while_it_ran() {
    let (fixture, part_store) = Fixture::half_stored();
    part_store.sync().expect("a disk that works");
    fixture.syncs_fail();
    let (disk, storing) = (fixture.disk.clone(), Arc::clone(&part_store));
    disk.meanwhile.during_the_next(Work::Sync, move || fixture.store_the_rest(&storing));
    assert!(lost_by_sync(&part_store).contains(&0), "a block is lost and nobody knows");
}

#[test]
fn a_sync_that_fails_covers_what_an_earlier_process_left() {
    let (fixture, earlier) = Fixture::half_stored();
    let mut map = BlockMap::new(Some(BLOCK), BLOCK);
    map.set(0, earlier.map().block(0));
    let part_store = PartStore::new(Arc::clone(&fixture.part), Arc::new(TransferStats::new(Some(BLOCK))), map);
    fixture.syncs_fail();
    assert!(lost_by_sync(&part_store).contains(&0), "nobody knows whether it was ever on the disk");
}

#[test]
fn journal_records_dropped_by_a_failed_sync_are_written_again() {
    // Whether the disk drops them is chance.
    for seed in 0..8 {
        let fixture = Fixture::by(seed);
        let part_store = fixture.begun();
        fixture.store(&part_store, 0..fixture.content.len());
        fixture.part.sync().expect("a disk that works");
        fixture.disk.open_parent(&destination(), true).expect("a folder").sync().expect("a disk that works");
        fixture.syncs_fail();
        fixture.part.sync_journal().expect_err("a sync that fails");
        fixture.disk.recover();
        fixture.part.sync_journal().expect("a disk that works");
        fixture.disk.power_cut();
        let journal = fixture.part.look().expect("a disk that works").journal().cloned();
        assert_eq!(journal.map(|journal| journal.blocks.len()), Some(1), "seed {seed}");
    }
}

#[test]
fn a_length_that_a_failed_sync_lost_is_on_the_disk_in_the_end() {
    // Whether it is lost is chance.
    for seed in 0..8 {
        let fixture = Fixture::by(seed);
        fixture.part.write_at(0, &[vec![1; 2 * BLOCK as usize].into()]).expect("room");
        fixture.part.sync().expect("a disk that works");
        fixture.part.discard(Discard::Unused).expect("a disk that works");
        fixture.syncs_fail();
        fixture.part.sync().expect_err("a sync that fails");
        fixture.disk.recover();
        let part_store = fixture.begun();
        fixture.store(&part_store, 0..fixture.content.len());
        commit::sync_whole(&part_store).expect("a disk that works");
        fixture.disk.open_parent(&destination(), true).expect("a folder").sync().expect("a disk that works");
        fixture.disk.power_cut();
        let files = fixture.disk.files();
        assert!(files.values().any(|bytes| *bytes == fixture.content), "seed {seed}: it is longer than it was");
    }
}

#[test]
fn a_kill_right_after_the_rename_leaves_the_word_that_the_file_is_whole() {
    let (fixture, part_store) = Fixture::half_stored();
    fixture.store_the_rest(&part_store);
    // The word is written and synced, the file renamed.
    fixture.disk.begin_life(DiskFaults { operations_left: Some(3), ..DiskFaults::default() });
    commit::commit(&fixture.part, sha256(&fixture.content), false).expect_err("it is killed");
    fixture.disk.begin_life(DiskFaults::default());
    assert!(fixture.disk.files().into_keys().any(|name| name.ends_with("f.bin")), "it has its name");
    // The partial file has another name now; one that is made anew holds nothing.
    let folder = fixture.disk.open_parent(&destination(), true).expect("a folder");
    drop(fixture.part);
    let (_, holding) = Part::open(folder, &destination(), Geometry::SMALL).expect("a disk that works");
    let Holding::Renamed(journal) = holding else { panic!("{holding:?}") };
    assert_eq!(journal.finished, Some(sha256(&fixture.content)));
}

/// Blocks, none of them stored, and the hash that follows them.
fn blocks_and_hash(count: u64) -> (Fixture, Arc<PartStore>, Vec<Bytes>, PrefixHash) {
    let fixture = Fixture::set();
    let blocks = (0..count).map(|n| Bytes::from(Chance::new(n).bytes(BLOCK))).collect();
    let total = Some(count * BLOCK);
    let (stats, map) = (Arc::new(TransferStats::new(total)), BlockMap::new(total, BLOCK));
    let part_store = Arc::new(PartStore::new(Arc::clone(&fixture.part), stats, map));
    let hash = PrefixHash::start(Threads::pool(), Arc::clone(&fixture.part), None, 0);
    part_store.set_hash(Some(hash.feed()));
    (fixture, part_store, blocks, hash)
}

#[tokio::test]
async fn blocks_that_go_past_the_cache_are_hashed_from_memory_in_whatever_order_they_are_stored() {
    let (fixture, part_store, blocks, hash) = blocks_and_hash(6);
    for index in [1, 0, 3, 4, 2, 5] {
        part_store.store_block(index * BLOCK, &blocks[index as usize]).expect("room");
    }
    let digest = hash.finish().await.expect("a disk that works");
    assert_eq!(digest, Some(sha256(&blocks.concat())));
    assert_eq!(fixture.disk.bytes_read(), 0);
    assert!(part_store.map().is_complete());
}

#[tokio::test]
async fn what_is_hashed_already_and_void_is_hashed_anew() {
    let (_scene, part_store, blocks, hash) = blocks_and_hash(2);
    part_store.store_block(0, &blocks[1]).expect("room");
    while hash.feed().is_near(0) {
        tokio::task::yield_now().await;
    }
    part_store.invalidate([0]).expect("a journal");
    for (index, block) in blocks.iter().enumerate() {
        part_store.store_block(index as u64 * BLOCK, block).expect("room");
    }
    assert_eq!(hash.finish().await.expect("a disk that works"), Some(sha256(&blocks.concat())));
}

#[tokio::test]
async fn a_disk_that_takes_no_block_past_the_cache_gets_it_through_the_cache() {
    let (fixture, part_store, blocks, hash) = blocks_and_hash(2);
    fixture.disk.begin_life(DiskFaults { needs_cache: true, ..DiskFaults::default() });
    assert!(part_store.takes_blocks(0, 0));
    for (index, block) in blocks.iter().enumerate() {
        part_store.store_block(index as u64 * BLOCK, block).expect("room");
    }
    assert_eq!(hash.finish().await.expect("a disk that works"), Some(sha256(&blocks.concat())));
    assert!(!part_store.takes_blocks(2 * BLOCK, 2 * BLOCK), "it is not tried again");
}

#[tokio::test]
async fn only_who_stores_what_is_missing_first_may_fill_memory() {
    let (_scene, part_store, blocks, hash) = blocks_and_hash(4);
    assert!(part_store.takes_blocks(0, 0));
    assert!(part_store.takes_blocks(0, BLOCK), "the block before it is being stored by the same connection");
    assert!(!part_store.takes_blocks(2 * BLOCK, 2 * BLOCK), "its block would wait for another connection's");
    part_store.store_block(0, &blocks[0]).expect("room");
    part_store.invalidate([0]).expect("a journal");
    assert!(!part_store.takes_blocks(BLOCK, BLOCK), "what it follows is invalid");
    hash.stop().await;
    assert!(!part_store.takes_blocks(0, 0), "nobody would take it");
}

#[tokio::test]
async fn a_hash_that_ends_gives_back_the_memory_that_others_wait_for() {
    let (_scene, part_store, _, hash) = blocks_and_hash(8);
    let buffers = BlockBuffers::new(direct_buffers::passes(), BLOCK);
    let fill = |mut buffer: BlockBuffer| {
        buffer.fill(&[7; BLOCK as usize]);
        Bytes::from_owner(buffer)
    };
    for index in 1..7 {
        let block = fill(buffers.take().await.expect("no other file has buffers"));
        part_store.store_block(index * BLOCK, &block).expect("room");
    }
    let none_is_free = tokio::time::timeout(Duration::ZERO, buffers.take()).await;
    assert!(none_is_free.is_err(), "six blocks wait for the first one to be hashed");
    drop(hash);
    assert!(buffers.take().await.is_some());
}
