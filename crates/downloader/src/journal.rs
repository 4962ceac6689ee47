//! The control file beside a `.part`: an append-only list of records, each with its own checksum. Only the format is
//! here; `part` writes it.
//!
//! It is believed only as far as its records read back unbroken, and a block only if the bytes on disk have the CRC-32
//! that the record holds. So a torn, zeroed, old or foreign journal costs at most the file's bytes, never its truth.

use crate::Sha256Digest;
use crate::blocks::Block;
use crate::identity::Identity;

/// Begins every journal; the last byte is the version of the format.
const MAGIC: &[u8; 8] = b"cdjrnl\0\x01";

/// Longest record that is read; longer ones are damage.
const LONGEST: usize = 1 << 16;

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Record {
    /// Which content the blocks after this record belong to. Blocks before it are void.
    Identity(Identity),
    /// So much of a block is on disk, with this checksum.
    Block(u32, Block),
    /// A block is no longer believed.
    Void(u32),
    /// SHA-256 state after so many bytes from the beginning.
    HashState(u64, Vec<u8>),
    /// The whole was verified and has this hash; the rename comes next.
    Finished(Sha256Digest),
    /// A server that was asked later named the hash of this content.
    Named(Sha256Digest),
}

/// What a journal says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Journal {
    pub(crate) identity: Option<Identity>,
    pub(crate) blocks: Vec<(u32, Block)>,
    pub(crate) hash_state: Option<(u64, Vec<u8>)>,
    pub(crate) finished: Option<Sha256Digest>,
    /// Bytes of the journal that can be believed; what follows is cut off.
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
            Self::Void(index) => {
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
            3 => Some(Self::Void(number(0)?)),
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

impl Journal {
    /// Reads as many records as are unbroken.
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let mut journal = Self::default();
        let Some(mut rest) = bytes.strip_prefix(MAGIC) else { return journal };
        let mut blocks = std::collections::BTreeMap::new();
        journal.good_bytes = MAGIC.len() as u64;
        while let Some((record, after)) = next_record(rest) {
            journal.good_bytes += (rest.len() - after.len()) as u64;
            rest = after;
            match record {
                Record::Identity(identity) => {
                    let good_bytes = journal.good_bytes;
                    blocks.clear();
                    journal = Self { identity: Some(identity), good_bytes, ..Self::default() };
                }
                Record::Block(index, block) => {
                    blocks.insert(index, block);
                }
                Record::Void(index) => {
                    blocks.remove(&index);
                    journal.hash_state = None;
                }
                Record::HashState(position, state) => journal.hash_state = Some((position, state)),
                Record::Finished(digest) => journal.finished = Some(digest),
                Record::Named(digest) => {
                    if let Some(identity) = &mut journal.identity {
                        identity.sha256 = Some(digest);
                    }
                }
            }
        }
        journal.blocks = blocks.into_iter().collect();
        journal
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
    fn what_was_written_is_read_back() {
        let (bytes, _) = sample();
        let journal = Journal::read(&bytes);
        assert_eq!(journal.blocks, [(0, Block { have: 1 << 20, crc: 7 }), (2, Block { have: 9, crc: 9 })]);
        assert_eq!(journal.hash_state, Some((1 << 20, vec![1, 2, 3])));
        assert_eq!(journal.identity.and_then(|identity| identity.sha256), Some(Sha256Digest([4; 32])));
        assert_eq!(journal.good_bytes, bytes.len() as u64);
    }

    #[test]
    fn a_journal_cut_at_any_byte_keeps_only_whole_records() {
        let (bytes, _) = sample();
        let whole = Journal::read(&bytes);
        for length in 0..bytes.len() {
            let cut = Journal::read(&bytes[..length]);
            assert!(cut.good_bytes <= length as u64);
            assert!(cut.blocks.len() <= whole.blocks.len());
        }
    }

    #[test]
    fn a_flipped_bit_ends_belief_where_it_is() {
        let (bytes, _) = sample();
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            assert!(Journal::read(&damaged).good_bytes <= at as u64, "byte {at}");
        }
    }

    #[test]
    fn zeros_nothing_and_other_versions_are_not_believed() {
        let mut other = sample().0;
        other[7] = 2;
        for bytes in [vec![], vec![0; 4096], b"garbage that is long enough".to_vec(), other] {
            assert_eq!(Journal::read(&bytes), Journal::default());
        }
    }

    #[test]
    fn a_new_identity_voids_what_came_before() {
        let (mut bytes, records) = sample();
        records[0].write_to(&mut bytes);
        let journal = Journal::read(&bytes);
        assert!(journal.blocks.is_empty() && journal.hash_state.is_none() && journal.identity.is_some());
    }

    #[test]
    fn a_block_that_is_void_takes_the_state_of_the_hash_with_it_also_when_it_is_fetched_again() {
        let (mut bytes, records) = sample();
        Record::Void(0).write_to(&mut bytes);
        records[1].write_to(&mut bytes);
        let journal = Journal::read(&bytes);
        assert_eq!((journal.blocks.len(), journal.hash_state), (2, None));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300)) {
            let mut journal = head();
            journal.extend(&bytes);
            proptest::prop_assert!(Journal::read(&journal).good_bytes <= journal.len() as u64);
            Journal::read(&bytes);
            Identity::read(&bytes);
        }
    }
}
