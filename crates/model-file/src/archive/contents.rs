//! The bytes of members: unpacked in memory within limits, or streamed past their checksum.

use std::io::{self, Read};
use std::ops::ControlFlow;

use flate2::read::DeflateDecoder;

use super::directory::{DEFLATED, Directory, Entry, STORED};
use super::tiling::data_start;
use crate::cursor::Stop;
use crate::damage::ZipDamage as Damage;
use crate::error::Error;
use crate::inspect::Structure;
use crate::meter::{Meter, Metered};
use crate::read_at::{ReadAt, Sequential, Window};

const CHUNK_BYTES: usize = 1024 * 1024;
/// The most that one member is unpacked to.
const UNPACKED_LIMIT_BYTES: u64 = 32 * 1024 * 1024;
/// How much larger than the file its members may be in all, for the checksums of all of them to be computed.
const MOST_EXPANSION: u64 = 8;

/// What the checksums of a zip say about its contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contents {
    /// Every member matches its checksum.
    Intact,
    /// Structure or contents are damaged.
    Damaged {
        /// What was found first.
        reason: crate::Damage,
    },
    /// The caller asked to stop.
    Stopped,
    /// A member is packed in a way that is not read here, or all of them unpack to far more than the file.
    NotJudged,
}

/// Reads a zip from its first byte to its last and compares every member with the checksum that the zip carries.
///
/// `progress` hears how many more bytes of the file were read, about every MiB, and may stop the reading. Blocks while it reads.
///
/// # Errors
/// [`Error::Read`] when the file cannot be read.
pub fn check_zip_contents(
    source: &dyn ReadAt,
    progress: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<Contents, Error> {
    let length = source.length()?;
    let directory = match Directory::read(source, length) {
        Ok(directory) => directory,
        Err(stop) => return Ok(from_structure(stop.into_structure("zip directory")?)),
    };
    let structure = super::structure(source, &directory)?;
    if structure != Structure::Whole {
        return Ok(from_structure(structure));
    }
    let unpacked = directory.entries.iter().fold(0_u64, |sum, entry| sum.saturating_add(entry.uncompressed));
    if unpacked > UNPACKED_LIMIT_BYTES.max(length.saturating_mul(MOST_EXPANSION)) {
        return Ok(Contents::NotJudged);
    }
    for entry in &directory.entries {
        match check_member(source, entry, progress) {
            Ok(ControlFlow::Continue(())) => {}
            Ok(ControlFlow::Break(())) => return Ok(Contents::Stopped),
            Err(stop) => return Ok(from_structure(stop.into_structure("zip members")?)),
        }
    }
    Ok(Contents::Intact)
}

fn from_structure(structure: Structure) -> Contents {
    match structure {
        Structure::Damaged { reason } => Contents::Damaged { reason },
        Structure::Whole => Contents::Intact,
        Structure::NotJudged => Contents::NotJudged,
    }
}

/// Streams one member past its checksum.
fn check_member(
    source: &dyn ReadAt,
    entry: &Entry,
    progress: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<ControlFlow<()>, Stop> {
    let mismatch = || Damage::Checksum { name: entry.name.clone() };
    let packed = Sequential::new(source, data_start(source, entry)?, entry.compressed);
    let mut unpacked: Box<dyn Read + '_> = match entry.method {
        STORED => Box::new(packed),
        DEFLATED => Box::new(DeflateDecoder::new(packed)),
        _ => return Err(Stop::NotJudged),
    };
    let mut hasher = crc32fast::Hasher::new();
    let mut left = entry.uncompressed;
    let mut chunk = vec![0; CHUNK_BYTES.min(usize::try_from(left).unwrap_or(CHUNK_BYTES).max(1))];
    loop {
        let count = match unpacked.read(&mut chunk) {
            Ok(0) if left == 0 && hasher.clone().finalize() == entry.crc32 => break,
            Ok(0) => return Err(mismatch().into()),
            Ok(count) => count,
            Err(error) if is_corrupt_stream(&error) => return Err(mismatch().into()),
            Err(error) => return Err(error.into()),
        };
        // A member that unpacks to more than it states stops here.
        left = left.checked_sub(count as u64).ok_or_else(mismatch)?;
        hasher.update(&chunk[..count]);
        let read = if entry.method == STORED { count as u64 } else { 0 };
        if progress(read).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    let packed_bytes = if entry.method == STORED { 0 } else { entry.compressed };
    Ok(progress(packed_bytes))
}

fn is_corrupt_stream(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
}

/// A member, ready to be read at any offset.
pub(super) enum Member<'a> {
    Stored(Window<'a>),
    Unpacked { bytes: Vec<u8>, meter: &'a Meter<'a> },
}

impl ReadAt for Member<'_> {
    fn length(&self) -> io::Result<u64> {
        match self {
            Self::Stored(window) => window.length(),
            Self::Unpacked { bytes, .. } => bytes.length(),
        }
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match self {
            Self::Stored(window) => window.read_at(buffer, offset),
            Self::Unpacked { bytes, meter } => Metered { source: bytes, meter }.read_at(buffer, offset),
        }
    }
}

/// Opens a member whose data begins at `start`; `None` when it is packed in an unknown way, does not unpack, or unpacks to more than
/// 32 MiB or eight times the size of the whole file, which only a bomb does. What is unpacked counts on the budget.
pub(super) fn open<'a>(
    source: &'a Metered<'a, dyn ReadAt + 'a>,
    entry: &Entry,
    start: u64,
    file_length: u64,
) -> Result<Option<Member<'a>>, Stop> {
    match entry.method {
        STORED => Ok(Some(Member::Stored(Window { source, start, length: entry.compressed }))),
        DEFLATED => {
            let limit = UNPACKED_LIMIT_BYTES.min(file_length.saturating_mul(8));
            let packed = DeflateDecoder::new(Sequential::new(source, start, entry.compressed));
            let bytes = unpack(packed, limit, source.meter)?;
            Ok(bytes.map(|bytes| Member::Unpacked { bytes, meter: source.meter }))
        }
        _ => Ok(None),
    }
}

fn unpack(mut packed: impl Read, limit: u64, meter: &Meter<'_>) -> Result<Option<Vec<u8>>, Stop> {
    let mut bytes = Vec::new();
    let mut chunk = vec![0; 64 * 1024];
    loop {
        match packed.read(&mut chunk) {
            Ok(0) => return Ok(Some(bytes)),
            Ok(count) => {
                meter.charge(count as u64)?;
                bytes.extend_from_slice(&chunk[..count]);
            }
            Err(error) if is_corrupt_stream(&error) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        if bytes.len() as u64 > limit {
            return Ok(None);
        }
    }
}

/// Whether a member that was opened matches its checksum.
pub(super) fn matches_checksum(entry: &Entry, member: &Member<'_>) -> Result<bool, Stop> {
    let length = member.length()?;
    let mut hasher = crc32fast::Hasher::new();
    let mut reader = Sequential::new(member, 0, length);
    let mut chunk = vec![0; 64 * 1024];
    loop {
        match reader.read(&mut chunk)? {
            0 => break,
            count => hasher.update(&chunk[..count]),
        }
    }
    Ok(length == entry.uncompressed && hasher.finalize() == entry.crc32)
}
