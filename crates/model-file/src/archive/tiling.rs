//! Whether the members of a zip lie back to back from its first byte to its directory, each behind a header that agrees with it.

use super::directory::{Directory, Entry};
use super::fields::{u16_at, u32_at, u64_at};
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
    Ok(local_header(source, entry)?.data_start)
}

/// The header before a member's data.
pub(super) struct LocalHeader {
    pub(super) data_start: u64,
    /// A reader that goes from member to member by these headers sees the same as one that reads the directory.
    pub(super) agrees: bool,
}

/// Reads the header before a member's data, which must agree with the directory in name and packing.
pub(super) fn local_header(source: &dyn ReadAt, entry: &Entry) -> Result<LocalHeader, Stop> {
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
    let sizes_follow = entry.flags & SIZES_FOLLOW != 0;
    let number = |at| u32_at(&header, at).unwrap_or_default();
    // All ones: the size stands in the extra field, which readers of the directory do not look at.
    let size_agrees = |at, size: u64| {
        let here = number(at);
        u64::from(here) == size || (here == 0 && sizes_follow) || (here == u32::MAX && size >= u64::from(u32::MAX))
    };
    let agrees = fields(6)? == entry.flags
        && (number(14) == entry.crc32 || (number(14) == 0 && sizes_follow))
        && size_agrees(18, entry.compressed)
        && size_agrees(22, entry.uncompressed);
    let data_start = entry.header_start + HEADER_BYTES + entry.name_bytes.len() as u64 + extra;
    Ok(LocalHeader { data_start, agrees })
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
    let checksum_at = if matches!(gap, 16 | 24) { 4 } else { 0 };
    let sizes_at = checksum_at + 4;
    let sizes = match record.len() - sizes_at {
        8 => [u32_at(record, sizes_at).map(u64::from), u32_at(record, sizes_at + 4).map(u64::from)],
        _ => [u64_at(record, sizes_at), u64_at(record, sizes_at + 8)],
    };
    let signed = checksum_at == 0 || record.starts_with(b"PK\x07\x08");
    let agrees = signed
        && u32_at(record, checksum_at) == Some(entry.crc32)
        && sizes == [Some(entry.compressed), Some(entry.uncompressed)];
    if agrees { Ok(()) } else { Err(untiled.into()) }
}
