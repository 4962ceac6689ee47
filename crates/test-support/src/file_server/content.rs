//! What a route serves: bytes made on demand from a seed, so that gigabytes need no memory, or bytes given.
//!
//! The pattern never repeats, so a byte at the wrong offset, or from another file, always shows.

use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::sync::{Arc, OnceLock};

/// The bytes of one version of one file. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Content(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    source: Source,
    size: u64,
    sha256: OnceLock<String>,
}

#[derive(Debug)]
enum Source {
    Pattern(u64),
    Bytes(Bytes),
}

impl Content {
    /// `size` bytes that follow from `seed` alone. Two seeds have no stretch in common.
    #[must_use]
    pub fn pattern(seed: u64, size: u64) -> Content {
        Content::new(Source::Pattern(mix(seed)), size)
    }

    /// Exactly these bytes.
    #[must_use]
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Content {
        let bytes = Bytes::from(bytes.into());
        let size = bytes.len() as u64;
        Content::new(Source::Bytes(bytes), size)
    }

    fn new(source: Source, size: u64) -> Content {
        Content(Arc::new(Inner { source, size, sha256: OnceLock::new() }))
    }

    /// Length in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.0.size
    }

    /// Writes the bytes from `offset` on into `buffer`, which must end at or before the end of the content.
    pub fn fill(&self, offset: u64, buffer: &mut [u8]) {
        match &self.0.source {
            Source::Pattern(seed) => fill_pattern(*seed, offset, buffer),
            Source::Bytes(bytes) => {
                let start = usize::try_from(offset).expect("given bytes fit in memory");
                buffer.copy_from_slice(&bytes[start..start + buffer.len()]);
            }
        }
    }

    /// Bytes `first` to `first + length`, in memory.
    #[must_use]
    pub fn slice(&self, first: u64, length: u64) -> Vec<u8> {
        let mut buffer = vec![0; usize::try_from(length).expect("a slice fits in memory")];
        self.fill(first, &mut buffer);
        buffer
    }

    /// All bytes, in memory: for small content.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        self.slice(0, self.size())
    }

    /// SHA-256 as 64 lower-case hex digits, computed once.
    #[must_use]
    pub fn sha256(&self) -> String {
        self.0.sha256.get_or_init(|| self.hash()).clone()
    }

    fn hash(&self) -> String {
        const PIECE: u64 = 1 << 20;
        let mut hasher = Sha256::new();
        let mut offset = 0;
        while offset < self.size() {
            let length = PIECE.min(self.size() - offset);
            hasher.update(self.slice(offset, length));
            offset += length;
        }
        hex::encode(hasher.finalize())
    }

    /// A strong entity tag, quotes included, that differs wherever the bytes differ.
    #[must_use]
    pub fn etag(&self) -> String {
        match &self.0.source {
            Source::Pattern(seed) => format!("\"{seed:016x}-{:x}\"", self.size()),
            Source::Bytes(_) => format!("\"{}\"", &self.sha256()[..32]),
        }
    }
}

/// SplitMix64's finaliser: each input has its own output.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// Word `n` of the pattern is `mix(seed + n)`, so that any offset is reached without making what lies before it.
fn fill_pattern(seed: u64, offset: u64, buffer: &mut [u8]) {
    let word = |index: u64| mix(seed.wrapping_add(index)).to_le_bytes();
    let skipped = (offset % 8) as usize;
    let head_length = if skipped == 0 { 0 } else { (8 - skipped).min(buffer.len()) };
    let (head, rest) = buffer.split_at_mut(head_length);
    head.copy_from_slice(&word(offset / 8)[skipped..skipped + head_length]);
    let mut index = offset.div_ceil(8);
    let mut words = rest.chunks_exact_mut(8);
    for chunk in &mut words {
        chunk.copy_from_slice(&word(index));
        index += 1;
    }
    let tail = words.into_remainder();
    let length = tail.len();
    tail.copy_from_slice(&word(index)[..length]);
}

#[cfg(test)]
mod tests {
    use super::Content;

    #[test]
    fn any_slice_of_a_pattern_equals_the_same_stretch_of_the_whole() {
        let content = Content::pattern(3, 1_000);
        let whole = content.to_vec();
        for first in [0, 1, 7, 8, 9, 500, 993, 999] {
            for length in [0, 1, 3, 7, 8, 9, 16, 200] {
                let length = length.min(1_000 - first);
                let stretch = &whole[first as usize..(first + length) as usize];
                assert_eq!(content.slice(first, length), stretch, "{length} bytes from {first}");
            }
        }
    }

    #[test]
    fn other_seeds_make_other_bytes_and_other_tags() {
        let (one, two) = (Content::pattern(1, 64), Content::pattern(2, 64));
        assert_ne!(one.to_vec()[8..], two.to_vec()[..56]);
        assert_ne!(one.etag(), two.etag());
        assert_ne!(one.sha256(), two.sha256());
    }
}
