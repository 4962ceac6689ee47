//! Part journals: any bytes are read up to the first broken record, and what was written is read back.

use std::collections::BTreeMap;

use downloader::fuzzing::{JournalContents, JournalRecord, LARGEST_FILE, journal_of, read_journal};

use crate::input::Input;
use crate::memory::{self, Limit};

pub(crate) fn check(bytes: &[u8]) {
    check_any_bytes(bytes);
    check_records(bytes);
}

fn check_any_bytes(bytes: &[u8]) {
    let journal = memory::bounded(bytes.len(), Limit::per_byte(64), || read_journal(bytes));
    let good = usize::try_from(journal.1).expect("it fits in memory");
    assert!(good <= bytes.len());
    assert_eq!(read_journal(&bytes[..good]), journal, "what follows the good bytes changes nothing");
    let blocks = journal.0.map(|contents| contents.blocks).unwrap_or_default();
    assert!(blocks.windows(2).all(|pair| pair[0].0 < pair[1].0), "each block once, in order");
    assert!(blocks.iter().all(|(index, ..)| is_possible(*index)), "a block that no file has");
}

/// Reads the input as instructions to write records; the contents must be what the records say one after another.
fn check_records(bytes: &[u8]) {
    let mut input = Input(bytes);
    let mut records = Vec::new();
    while !input.is_empty() && records.len() < 64 {
        records.push(record(&mut input));
    }
    let written = journal_of(&records);
    let whole = read_journal(&written);
    assert_eq!(whole, (expected(&records), written.len() as u64));

    // A cut anywhere leaves the records before it, and a flipped bit those before its own.
    let at = bytes.first().map_or(0, |byte| usize::from(*byte) * written.len() / 256);
    let kept = (0..=records.len()).rev().find(|count| journal_of(&records[..*count]).len() <= at).unwrap_or(0);
    let cut = read_journal(&written[..at]);
    let head = journal_of(&[]).len();
    if at >= head {
        let length = journal_of(&records[..kept]).len() as u64;
        assert_eq!(cut, (expected(&records[..kept]), length), "cut at {at}");
    }
    let mut damaged = written.clone();
    if let Some(byte) = damaged.get_mut(at) {
        *byte ^= 1 << (at % 8);
        assert!(read_journal(&damaged).1 <= at as u64, "the bit at {at} was flipped");
    }
}

fn record(input: &mut Input<'_>) -> JournalRecord {
    match input.byte() % 6 {
        0 => JournalRecord::Identity {
            total: Some(input.u64()).filter(|total| *total != u64::MAX),
            sha256: (input.byte() % 2 == 1).then(|| input.array()),
            etag: Some(input.text()).filter(|text| !text.is_empty()),
        },
        1 => JournalRecord::Block { index: input.u32() >> (input.byte() % 32), have: input.u32(), crc: input.u32() },
        2 => JournalRecord::Invalid(input.byte().into()),
        3 => {
            let length = input.byte();
            JournalRecord::HashState(input.u64(), input.bytes(length.into()).to_vec())
        }
        4 => JournalRecord::Finished(input.array()),
        _ => JournalRecord::Named(input.array()),
    }
}

/// What a reader of these records must come to, record by record.
fn expected(records: &[JournalRecord]) -> Option<JournalContents> {
    let start = records.iter().rposition(|record| matches!(record, JournalRecord::Identity { .. }))?;
    let mut contents = JournalContents::default();
    let mut blocks = BTreeMap::new();
    for record in &records[start..] {
        match record.clone() {
            JournalRecord::Identity { total, sha256, etag } => contents.identity = (total, sha256, etag),
            JournalRecord::Block { index, have, crc } => {
                blocks.insert(index, (index, have, crc));
            }
            JournalRecord::Invalid(index) => {
                blocks.remove(&index);
                contents.hash_state = None;
            }
            JournalRecord::HashState(position, state) => contents.hash_state = Some((position, state)),
            JournalRecord::Finished(digest) => contents.finished = Some(digest),
            JournalRecord::Named(digest) => contents.identity.1 = Some(digest),
        }
    }
    contents.blocks = blocks.into_values().filter(|(index, ..)| is_possible(*index)).collect();
    Some(contents)
}

/// Whether any file has a block there; a block has a MiB.
fn is_possible(index: u32) -> bool {
    u64::from(index) < LARGEST_FILE >> 20
}
