//! The record at the end of a zip, from which every reader starts, and its 64-bit twin.

use std::io;

use super::fields::{u16_at, u32_at, u64_at};
use crate::cursor::Stop;
use crate::damage::ZipDamage as Damage;
use crate::read_at::{ReadAt, read_available};

const RECORD_BYTES: usize = 22;
const COMMENT_LIMIT_BYTES: u64 = 65_535;
const LOCATOR_BYTES: u64 = 20;
const WIDE_RECORD_BYTES: usize = 56;

/// Where the directory of a zip is.
#[derive(Debug, Clone, Copy)]
pub(super) struct EndRecord {
    /// How many members the directory lists.
    pub(super) entries: u64,
    pub(super) directory_start: u64,
    pub(super) directory_bytes: u64,
}

/// Whether the file ends like a zip, whatever it begins like.
pub(crate) fn has_end_record(source: &dyn ReadAt, length: u64) -> io::Result<bool> {
    Ok(find(source, length)?.is_some())
}

/// Finds and reads the end record; the directory it names ends exactly where the end records begin.
pub(super) fn read(source: &dyn ReadAt, length: u64) -> Result<EndRecord, Stop> {
    let (position, tail) = find(source, length)?.ok_or(Damage::NoEndRecord)?;
    let narrow = narrow_fields(&tail).ok_or(Damage::EndRecord)?;
    let (record, directory_end) = match wide_record(source, position)? {
        Some(wide) => wide,
        None => (narrow, position),
    };
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
        tail[*start..].starts_with(b"PK\x05\x06") && start + RECORD_BYTES + comment == tail.len()
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
    })
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
    let ends_at_locator = start.checked_add(12).and_then(|start| start.checked_add(size)) == Some(locator_start);
    if !record.starts_with(b"PK\x06\x06") || !ends_at_locator {
        return Err(Damage::EndRecord.into());
    }
    let field = |at| u64_at(&record, at).unwrap_or(u64::MAX);
    if field(24) != field(32) {
        return Err(Damage::EndRecord.into());
    }
    Ok(Some((EndRecord { entries: field(32), directory_bytes: field(40), directory_start: field(48) }, start)))
}
