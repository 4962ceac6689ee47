//! The control file beside a `.part`: an append-only list of records, each with its own checksum. Only the format is
//! here; `part` writes it.
//!
//! It is trusted only as far as its records read back unbroken, and a block only if the bytes on disk have the CRC-32
//! that the record holds. So a torn, zeroed, old or foreign journal costs at most the file's bytes, never its truth.
//!
//! # Layout
//!
//! Integers are little-endian. The file begins with 8 bytes, the magic `cdjrnl\0` and the version of the format, `0x01`.
//! Records follow one another up to the end, or to the first that does not read back:
//!
//! | field | bytes | |
//! |---|---|---|
//! | length | `u32` | of the body, at most 65,536 |
//! | body | length | 1 byte kind, then its fields |
//! | checksum | `u32` | CRC-32 (IEEE) of the body |
//!
//! | kind | record | fields of the body |
//! |---|---|---|
//! | 1 | identity: what the blocks after it belong to; all before it is invalid | total `u64` (all ones: unknown), 1 byte (1: a SHA-256 is known), SHA-256 32 bytes, then ETag, `Last-Modified` and source URL without query, each `u32` length and UTF-8 of at most 8,192 bytes (empty: unknown), then the SHA-256 of the source URL with its query, 32 bytes (journals of old lack it) |
//! | 2 | block: so much of it is on disk | index `u32`, bytes from its beginning `u32`, their CRC-32 `u32` |
//! | 3 | invalid: the block is trusted no longer, nor is the hash state | index `u32` |
//! | 4 | hash state | bytes hashed from the beginning of the file `u64`, then the state as [`sha2`] serializes it |
//! | 5 | finished: the whole was verified, the rename comes next | SHA-256, 32 bytes |
//! | 6 | named: a server that was asked later named the hash of this content | SHA-256, 32 bytes |
//!
//! A block is 1 MiB long, the last one of a file excepted. A later record of a block replaces the earlier one.

use std::collections::BTreeMap;
use std::io;

use crate::Sha256Digest;
use crate::content_identity::Identity;
use crate::geometry::{Block, MOST_BLOCKS};
use crate::storage::fs::{self, OpenFile};

/// Begins every journal; the last byte is the version of the format.
const MAGIC: &[u8; 8] = b"cdjrnl\0\x01";

/// Longest record that is read; longer ones are damage.
const LONGEST: usize = 1 << 16;

/// Bytes that are read at once: more than any record has, length and checksum included.
const PIECE: usize = 1 << 20;

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Record {
    /// Which content the blocks after this record belong to. Blocks before it are invalid.
    Identity(Identity),
    /// So much of a block is on disk, with this checksum.
    Block(u32, Block),
    /// A block is no longer trusted.
    Invalid(u32),
    /// SHA-256 state after so many bytes from the beginning.
    HashState(u64, Vec<u8>),
    /// The whole was verified and has this hash; the rename comes next.
    Finished(Sha256Digest),
    /// A server that was asked later named the hash of this content.
    Named(Sha256Digest),
}

/// What a journal says of one content.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Journal {
    pub(crate) identity: Identity,
    pub(crate) blocks: BTreeMap<u32, Block>,
    pub(crate) hash_state: Option<(u64, Vec<u8>)>,
    pub(crate) finished: Option<Sha256Digest>,
}

/// A journal as it was read.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Reading {
    /// Nothing where no record names a content.
    pub(crate) journal: Option<Journal>,
    /// Bytes that can be trusted; what follows is cut off.
    pub(crate) good_bytes: u64,
}

/// The bytes with which a journal begins.
pub(crate) fn head() -> Vec<u8> {
    MAGIC.to_vec()
}

impl Record {
    /// Appends length, kind, content and checksum.
    pub(crate) fn write_to(&self, out: &mut Vec<u8>) {
        let mut body = Vec::with_capacity(16);
        match self {
            Self::Identity(identity) => {
                body.push(1);
                identity.write_to(&mut body);
            }
            Self::Block(index, block) => {
                body.push(2);
                body.extend(index.to_le_bytes());
                body.extend(block.have.to_le_bytes());
                body.extend(block.crc.to_le_bytes());
            }
            Self::Invalid(index) => {
                body.push(3);
                body.extend(index.to_le_bytes());
            }
            Self::HashState(position, state) => {
                body.push(4);
                body.extend(position.to_le_bytes());
                body.extend(state);
            }
            Self::Finished(digest) => {
                body.push(5);
                body.extend(digest.0);
            }
            Self::Named(digest) => {
                body.push(6);
                body.extend(digest.0);
            }
        }
        out.extend((body.len() as u32).to_le_bytes());
        out.extend(&body);
        out.extend(crc32fast::hash(&body).to_le_bytes());
    }

    fn read(body: &[u8]) -> Option<Self> {
        let (kind, rest) = body.split_first()?;
        let number = |at: usize| Some(u32::from_le_bytes(rest.get(at..at + 4)?.try_into().ok()?));
        match kind {
            1 => Identity::read(rest).map(Self::Identity),
            2 => Some(Self::Block(number(0)?, Block { have: number(4)?, crc: number(8)? })),
            3 => Some(Self::Invalid(number(0)?)),
            4 => {
                let (position, state) = rest.split_first_chunk::<8>()?;
                Some(Self::HashState(u64::from_le_bytes(*position), state.to_vec()))
            }
            5 => rest.try_into().ok().map(|digest| Self::Finished(Sha256Digest(digest))),
            6 => rest.try_into().ok().map(|digest| Self::Named(Sha256Digest(digest))),
            _ => None,
        }
    }
}

impl Reading {
    /// Reads as many records as are unbroken, however many they are: a journal grows with its file.
    pub(crate) fn of(file: &dyn OpenFile) -> io::Result<Self> {
        let (mut reading, mut pending, mut offset) = (Self::default(), Vec::new(), 0);
        loop {
            let kept = pending.len();
            pending.resize(kept + PIECE, 0);
            let read = fs::read_up_to(file, &mut pending[kept..], offset)?;
            pending.truncate(kept + read);
            offset += read as u64;
            let taken = reading.take(&pending);
            if read < PIECE || taken == 0 {
                return Ok(reading);
            }
            pending.drain(..taken);
        }
    }

    /// The same of bytes that are all at hand.
    pub(crate) fn of_bytes(bytes: &[u8]) -> Self {
        let mut reading = Self::default();
        reading.take(bytes);
        reading
    }

    /// Takes the unbroken records at the beginning of `bytes`, which follow what was taken before, and says how long they are.
    fn take(&mut self, bytes: &[u8]) -> usize {
        let mut rest = bytes;
        if self.good_bytes == 0 {
            let Some(records) = rest.strip_prefix(MAGIC) else { return 0 };
            rest = records;
        }
        while let Some((record, after)) = next_record(rest) {
            rest = after;
            self.add(record);
        }
        let taken = bytes.len() - rest.len();
        self.good_bytes += taken as u64;
        taken
    }

    fn add(&mut self, record: Record) {
        if let Record::Identity(identity) = record {
            self.journal = Some(Journal { identity, ..Journal::default() });
            return;
        }
        let Some(journal) = &mut self.journal else { return };
        match record {
            Record::Identity(_) => {}
            // No file has a block there.
            Record::Block(index, _) if u64::from(index) >= MOST_BLOCKS => {}
            Record::Block(index, block) => _ = journal.blocks.insert(index, block),
            Record::Invalid(index) => {
                journal.blocks.remove(&index);
                journal.hash_state = None;
            }
            Record::HashState(position, state) => journal.hash_state = Some((position, state)),
            Record::Finished(digest) => journal.finished = Some(digest),
            Record::Named(digest) => journal.identity.sha256 = Some(digest),
        }
    }
}

fn next_record(bytes: &[u8]) -> Option<(Record, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok().filter(|length| *length <= LONGEST)?;
    let (body, rest) = rest.split_at_checked(length)?;
    let (checksum, rest) = rest.split_first_chunk::<4>()?;
    if crc32fast::hash(body) != u32::from_le_bytes(*checksum) {
        return None;
    }
    Some((Record::read(body)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::fs::Disk;

    fn sample() -> (Vec<u8>, Vec<Record>) {
        let identity = Identity { total: Some(3 << 20), etag: Some("\"a\"".into()), ..Identity::default() };
        let records = vec![
            Record::Identity(identity),
            Record::Block(0, Block { have: 1 << 20, crc: 7 }),
            Record::Block(2, Block { have: 5, crc: 8 }),
            Record::HashState(1 << 20, vec![1, 2, 3]),
            Record::Block(2, Block { have: 9, crc: 9 }),
            Record::Named(Sha256Digest([4; 32])),
        ];
        let mut bytes = head();
        records.iter().for_each(|record| record.write_to(&mut bytes));
        (bytes, records)
    }

    #[test]
    fn layout_of_a_record() {
        let mut bytes = Vec::new();
        Record::Block(1, Block { have: 2, crc: 3 }).write_to(&mut bytes);
        let body = [2, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0];
        assert_eq!(bytes, [&[13, 0, 0, 0][..], &body, &crc32fast::hash(&body).to_le_bytes()].concat());
        assert_eq!(head(), b"cdjrnl\0\x01");
    }

    #[test]
    fn what_was_written_is_read_back() {
        let (bytes, _) = sample();
        let reading = Reading::of_bytes(&bytes);
        assert_eq!(reading.good_bytes, bytes.len() as u64);
        let journal = reading.journal.expect("it names a content");
        assert_eq!(journal.blocks, [(0, Block { have: 1 << 20, crc: 7 }), (2, Block { have: 9, crc: 9 })].into());
        assert_eq!(journal.hash_state, Some((1 << 20, vec![1, 2, 3])));
        assert_eq!(journal.identity.sha256, Some(Sha256Digest([4; 32])));
    }

    #[test]
    fn a_cut_journal_keeps_its_whole_records() {
        let (bytes, records) = sample();
        // Where each record ends, and what is read up to there.
        let mut ends = vec![(head().len(), Reading { journal: None, good_bytes: head().len() as u64 })];
        for count in 1..=records.len() {
            let mut whole = head();
            records[..count].iter().for_each(|record| record.write_to(&mut whole));
            ends.push((whole.len(), Reading::of_bytes(&whole)));
        }
        assert_eq!(ends[2].1.journal.as_ref().map(|journal| journal.blocks.len()), Some(1));
        for length in 0..=bytes.len() {
            let expected = ends.iter().rev().find(|(end, _)| *end <= length).map(|(_, reading)| reading);
            let cut = Reading::of_bytes(&bytes[..length]);
            assert_eq!(&cut, expected.unwrap_or(&Reading::default()), "{length} bytes");
        }
    }

    /// A journal of several pieces is read to its end, and one that is damaged there up to the damage.
    #[test]
    fn a_journal_of_any_length_is_read() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let destination = crate::Destination::new(folder.path(), "f.bin").expect("a name");
        let folder = crate::storage::unix::UnixDisk::default().open_parent(&destination, true).expect("a folder");
        let file = folder.open("journal", crate::storage::fs::Access::Create).expect("a file");
        let mut bytes = sample().0;
        let count = (3 * PIECE / 21) as u32;
        (0..count).for_each(|index| Record::Block(index, Block { have: 7, crc: index }).write_to(&mut bytes));
        let whole = bytes.len() as u64;
        for tail in [&b""[..], b"damage"] {
            file.set_size(0).expect("a file");
            file.write_at(0, &[[&bytes, tail].concat().into()]).expect("room");
            let reading = Reading::of(file.as_ref()).expect("a file");
            assert_eq!(reading.good_bytes, whole);
            assert_eq!(reading.journal.expect("a content").blocks.len(), count as usize);
        }
    }

    #[test]
    fn a_flipped_bit_ends_belief_where_it_is() {
        let (bytes, _) = sample();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            assert!(Reading::of_bytes(&damaged).good_bytes <= at as u64, "byte {at}");
        }
    }

    #[test]
    fn zeros_nothing_and_other_versions_are_not_believed() {
        let mut other = sample().0;
        other[7] = 2;
        for bytes in [vec![], vec![0; 4096], b"garbage that is long enough".to_vec(), other] {
            assert_eq!(Reading::of_bytes(&bytes), Reading::default());
        }
    }

    #[test]
    fn a_new_identity_voids_what_came_before() {
        let (mut bytes, records) = sample();
        records[0].write_to(&mut bytes);
        let journal = Reading::of_bytes(&bytes).journal.expect("it names a content");
        assert!(journal.blocks.is_empty() && journal.hash_state.is_none());
    }

    #[test]
    fn a_block_that_is_void_takes_the_state_of_the_hash_with_it_also_when_it_is_fetched_again() {
        let (mut bytes, records) = sample();
        Record::Invalid(0).write_to(&mut bytes);
        records[1].write_to(&mut bytes);
        let journal = Reading::of_bytes(&bytes).journal.expect("it names a content");
        assert_eq!((journal.blocks.len(), journal.hash_state), (2, None));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            let mut journal = head();
            journal.extend(&bytes);
            proptest::prop_assert!(Reading::of_bytes(&journal).good_bytes <= journal.len() as u64);
            Reading::of_bytes(&bytes);
            Identity::read(&bytes);
        }
    }
}
