//! Checksums as values: the SHA-256 of a whole file and the CRC-32 of each of its blocks. It reads no files.

use std::fmt;
use std::str::FromStr;

/// A SHA-256, shown and parsed as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sha256Digest(pub [u8; 32]);

/// A text that is no SHA-256.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a SHA-256 has 64 hexadecimal digits, this one is {0:?}")]
pub struct DigestError(String);

impl Sha256Digest {
    /// Reads 64 hexadecimal digits in either case, with or without the prefix `sha256:`.
    pub fn parse(text: &str) -> Result<Self, DigestError> {
        let digits = text.strip_prefix("sha256:").unwrap_or(text);
        let mut bytes = [0; 32];
        match hex::decode_to_slice(digits, &mut bytes) {
            Ok(()) => Ok(Self(bytes)),
            Err(_) => Err(DigestError(text.chars().take(80).collect())),
        }
    }
}

impl FromStr for Sha256Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, DigestError> {
        Self::parse(text)
    }
}

impl fmt::Display for Sha256Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Sha256Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Sha256Digest({self})")
    }
}

/// The CRC-32 of each block of a finished file, kept so that a later damage can be narrowed down to its blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockChecksums {
    /// Bytes in each block; the last one may be shorter.
    pub block_size: u32,
    /// One CRC-32 (IEEE) for each block, in order.
    pub crc32: Vec<u32>,
}
