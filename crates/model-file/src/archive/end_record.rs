//! The record at the end of a zip, from which every reader starts, and its 64-bit twin.

use std::io;

use super::fields::{u16_at, u32_at, u64_at};
use crate::cursor::Stop;
use crate::damage::ZipDamage as Damage;
use crate::read_at::{ReadAt, read_available};

const RECORD_BYTES: usize = 22;
const COMMENT_LIMIT_BYTES: u64 = 65_535;
/// Readers look for the record from the end on, some of them by blocks: none looks further back than this.
const SEARCHED_BYTES: u64 = 128 * 1024;
const SIGNATURE: &[u8] = b"PK\x05\x06";
const LOCATOR_BYTES: u64 = 20;
const WIDE_RECORD_BYTES: usize = 56;

/// Where the directory of a zip is.
#[derive(Debug, Clone, Copy)]
pub(super) struct EndRecord {
    /// How many members the directory lists.
    pub(super) entries: u64,
    pub(super) directory_start: u64,
    pub(super) directory_bytes: u64,
    /// Why another reader may start from another record.
    pub(super) doubt: Option<&'static str>,
}

/// Whether the signature of an end record stands where a reader may look for it, whatever the file begins like.
pub(crate) fn has_end_record(source: &dyn ReadAt, length: u64) -> io::Result<bool> {
    Ok(count_signatures(source, length)? > 0)
}

fn count_signatures(source: &dyn ReadAt, length: u64) -> io::Result<usize> {
    let searched = length.min(SEARCHED_BYTES);
    let mut tail = vec![0; searched as usize];
    let read = read_available(source, &mut tail, length - searched)?;
    Ok(tail[..read].windows(SIGNATURE.len()).filter(|bytes| *bytes == SIGNATURE).count())
}

/// Finds and reads the end record; the directory it names ends exactly where the end records begin.
pub(super) fn read(source: &dyn ReadAt, length: u64) -> Result<EndRecord, Stop> {
    let (position, tail) = find(source, length)?.ok_or(Damage::NoEndRecord)?;
    let narrow = narrow_fields(&tail).ok_or(Damage::EndRecord)?;
    let (mut record, directory_end) = match wide_record(source, position)? {
        Some((wide, start)) => (EndRecord { doubt: disagreement(&narrow, &wide), ..wide }, start),
        None => (narrow, position),
    };
    if count_signatures(source, length)? > 1 {
        record.doubt = Some("the zip has several end records, and readers differ in which one they take");
    }
    if record.directory_start.checked_add(record.directory_bytes) != Some(directory_end) {
        return Err(Damage::EndRecord.into());
    }
    Ok(record)
}

/// The last record whose comment reaches exactly to the end of the file: its offset, and the bytes from it on.
fn find(source: &dyn ReadAt, length: u64) -> io::Result<Option<(u64, Vec<u8>)>> {
    let tail_bytes = length.min(COMMENT_LIMIT_BYTES + RECORD_BYTES as u64);
    let mut tail = vec![0; tail_bytes as usize];
    let read = read_available(source, &mut tail, length - tail_bytes)?;
    tail.truncate(read);
    let Some(last_start) = tail.len().checked_sub(RECORD_BYTES) else { return Ok(None) };
    let start = (0..=last_start).rev().find(|start| {
        let comment = u16_at(&tail, start + 20).map_or(0, usize::from);
        tail[*start..].starts_with(SIGNATURE) && start + RECORD_BYTES + comment == tail.len()
    });
    Ok(start.map(|start| (length - tail_bytes + start as u64, tail.split_off(start))))
}

fn narrow_fields(record: &[u8]) -> Option<EndRecord> {
    let this_disk = u16_at(record, 4)?;
    let directory_disk = u16_at(record, 6)?;
    let entries_here = u16_at(record, 8)?;
    let entries = u16_at(record, 10)?;
    let one_volume = this_disk == directory_disk && matches!(this_disk, 0 | u16::MAX) && entries_here == entries;
    one_volume.then_some(EndRecord {
        entries: u64::from(entries),
        directory_bytes: u64::from(u32_at(record, 12)?),
        directory_start: u64::from(u32_at(record, 16)?),
        doubt: None,
    })
}

/// Some readers look at the 64-bit record only where a field of the narrow one is all ones.
fn disagreement(narrow: &EndRecord, wide: &EndRecord) -> Option<&'static str> {
    let agrees = |narrow: u64, all_ones: u64, wide: u64| narrow == all_ones || narrow == wide;
    let ones = u64::from(u32::MAX);
    let same = agrees(narrow.entries, u64::from(u16::MAX), wide.entries)
        && agrees(narrow.directory_bytes, ones, wide.directory_bytes)
        && agrees(narrow.directory_start, ones, wide.directory_start);
    (!same).then_some("the two end records of the zip disagree")
}

/// The 64-bit record, if its locator stands right before the end record at `position`; with it, where that record begins.
fn wide_record(source: &dyn ReadAt, position: u64) -> Result<Option<(EndRecord, u64)>, Stop> {
    let Some(locator_start) = position.checked_sub(LOCATOR_BYTES) else { return Ok(None) };
    let mut locator = [0; LOCATOR_BYTES as usize];
    read_available(source, &mut locator, locator_start)?;
    if !locator.starts_with(b"PK\x06\x07") {
        return Ok(None);
    }
    let start = u64_at(&locator, 8).unwrap_or(u64::MAX);
    if start.checked_add(WIDE_RECORD_BYTES as u64).is_none_or(|end| end > locator_start) {
        return Err(Damage::EndRecord.into());
    }
    let mut record = [0; WIDE_RECORD_BYTES];
    read_available(source, &mut record, start)?;
    let size = u64_at(&record, 4).unwrap_or(0);
    // Python reads the record at a fixed distance before the locator, others where the locator says: it must be the same place.
    let ends_at_locator = size == WIDE_RECORD_BYTES as u64 - 12 && start + WIDE_RECORD_BYTES as u64 == locator_start;
    if !record.starts_with(b"PK\x06\x06") || !ends_at_locator {
        return Err(Damage::EndRecord.into());
    }
    let field = |at| u64_at(&record, at).unwrap_or(u64::MAX);
    if field(24) != field(32) {
        return Err(Damage::EndRecord.into());
    }
    let record = EndRecord { entries: field(32), directory_bytes: field(40), directory_start: field(48), doubt: None };
    Ok(Some((record, start)))
}
