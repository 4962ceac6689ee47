//! Whether the members of a zip lie back to back from its first byte to its directory, each behind a header that agrees with it.

use super::directory::{Directory, Entry};
use super::fields::{u16_at, u32_at};
use crate::cursor::Stop;
use crate::damage::ZipDamage as Damage;
use crate::read_at::{ReadAt, read_available};

const HEADER_BYTES: u64 = 30;
/// Flag: sizes and checksum follow the data in a record of their own.
const SIZES_FOLLOW: u16 = 1 << 3;

/// Checks every member's header and that nothing lies between members.
pub(super) fn account_for_every_byte(source: &dyn ReadAt, directory: &Directory) -> Result<(), Stop> {
    if let Some(name) = &directory.duplicate {
        return Err(Damage::Duplicate { name: name.clone() }.into());
    }
    let mut in_order: Vec<&Entry> = directory.entries.iter().collect();
    in_order.sort_unstable_by_key(|entry| entry.header_start);
    let mut reached = 0;
    let mut before: Option<&Entry> = None;
    for entry in in_order {
        close_gap(source, before, reached, entry.header_start)?;
        reached = data_start(source, entry)?
            .checked_add(entry.compressed)
            .filter(|end| *end <= directory.start)
            .ok_or(Damage::Untiled { at: entry.header_start })?;
        before = Some(entry);
    }
    close_gap(source, before, reached, directory.start)
}

/// Where the data of a member begins, by its own header, which must agree with the directory.
pub(super) fn data_start(source: &dyn ReadAt, entry: &Entry) -> Result<u64, Stop> {
    let disagrees = || Damage::LocalHeader { name: entry.name.clone() };
    let mut header = vec![0; HEADER_BYTES as usize + entry.name_bytes.len()];
    let read = read_available(source, &mut header, entry.header_start)?;
    header.truncate(read);
    let fields = |at| u16_at(&header, at).ok_or_else(disagrees);
    let name = header.get(HEADER_BYTES as usize..).unwrap_or_default();
    let agrees = header.starts_with(b"PK\x03\x04")
        && fields(8)? == entry.method
        && usize::from(fields(26)?) == entry.name_bytes.len()
        && name == entry.name_bytes;
    if !agrees {
        return Err(disagrees().into());
    }
    let extra = u64::from(fields(28)?);
    Ok(entry.header_start + HEADER_BYTES + entry.name_bytes.len() as u64 + extra)
}

/// Between `from` and `to` there may be nothing but the sizes that follow the member before.
fn close_gap(source: &dyn ReadAt, before: Option<&Entry>, from: u64, to: u64) -> Result<(), Stop> {
    if from == to {
        return Ok(());
    }
    let untiled = Damage::Untiled { at: from.min(to) };
    let Some(entry) = before.filter(|entry| entry.flags & SIZES_FOLLOW != 0) else { return Err(untiled.into()) };
    // Checksum and two sizes of 4 or 8 bytes, with or without a signature in front.
    let gap = to.checked_sub(from).filter(|gap| matches!(gap, 12 | 16 | 20 | 24)).ok_or(untiled.clone())?;
    let mut record = [0; 24];
    let record = &mut record[..gap as usize];
    read_available(source, record, from)?;
    let checksum_at = if record.starts_with(b"PK\x07\x08") { 4 } else { 0 };
    if u32_at(record, checksum_at) == Some(entry.crc32) { Ok(()) } else { Err(untiled.into()) }
}
