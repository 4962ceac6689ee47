//! The central directory of a zip: what its members are called and where their data is.

use super::end_record;
use super::fields::{u16_at, u32_at, u64_at};
use crate::cursor::Stop;
use crate::damage::ZipDamage as Damage;
use crate::read_at::{ReadAt, read_available};
use crate::seen_names::SeenNames;

/// A torch archive has a member a tensor: a few thousand.
const ENTRY_LIMIT: u64 = 200_000;
const DIRECTORY_LIMIT_BYTES: u64 = 16 * 1024 * 1024;
const RECORD_BYTES: usize = 46;
const WIDE_EXTRA: u16 = 1;

/// How a member's bytes are kept.
pub(super) const STORED: u16 = 0;
/// How a member's bytes are kept.
pub(super) const DEFLATED: u16 = 8;

/// One member.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) name: String,
    /// The name as the file has it, which need not be UTF-8.
    pub(super) name_bytes: Vec<u8>,
    /// General purpose flags.
    pub(super) flags: u16,
    pub(super) method: u16,
    pub(super) crc32: u32,
    pub(super) compressed: u64,
    pub(super) uncompressed: u64,
    pub(super) header_start: u64,
}

/// All members, in the order of the directory.
#[derive(Debug)]
pub(crate) struct Directory {
    pub(super) entries: Vec<Entry>,
    /// Where the directory begins, which is where the members end.
    pub(super) start: u64,
    /// A name that occurs twice: readers differ in which one they take.
    pub(super) duplicate: Option<String>,
    /// Why another reader may see other members.
    pub(super) doubt: Option<&'static str>,
}

impl Directory {
    /// Reads the directory of a zip of `length` bytes.
    pub(crate) fn read(source: &dyn ReadAt, length: u64) -> Result<Self, Stop> {
        let end = end_record::read(source, length)?;
        if end.entries > ENTRY_LIMIT || end.directory_bytes > DIRECTORY_LIMIT_BYTES {
            return Err(Stop::NotJudged);
        }
        let mut bytes = vec![0; end.directory_bytes as usize];
        if read_available(source, &mut bytes, end.directory_start)? < bytes.len() {
            return Err(Stop::Ended { at: length });
        }
        let mut directory = Self { entries: Vec::new(), start: end.directory_start, duplicate: None, doubt: end.doubt };
        let mut names = SeenNames::default();
        let mut names_without_case = SeenNames::default();
        let mut rest = bytes.as_slice();
        for index in 0..end.entries as usize {
            let (entry, after) = entry(rest).ok_or(Damage::Directory { index })?;
            if !names.insert(&entry.name_bytes) {
                directory.duplicate = Some(entry.name.clone());
            }
            // Torch looks members up without regard to case; Python ends a name at its first NUL.
            if !names_without_case.insert(&entry.name_bytes.to_ascii_lowercase()) || entry.name_bytes.contains(&0) {
                directory.doubt = Some("readers differ about the names of the zip's members");
            }
            directory.entries.push(entry);
            rest = after;
        }
        if rest.is_empty() { Ok(directory) } else { Err(Damage::EndRecord.into()) }
    }

    /// Whether this is what `torch.save` writes: a pickle named `data.pkl`, at any depth.
    pub(crate) fn is_torch(&self) -> bool {
        self.entries.iter().any(|entry| entry.file_name() == "data.pkl")
    }
}

impl Entry {
    /// The last part of the member's path.
    pub(super) fn file_name(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or(&self.name)
    }
}

/// The first entry of `record`, and what follows it.
fn entry(record: &[u8]) -> Option<(Entry, &[u8])> {
    if !record.starts_with(b"PK\x01\x02") {
        return None;
    }
    let name_end = RECORD_BYTES + usize::from(u16_at(record, 28)?);
    let extra_end = name_end + usize::from(u16_at(record, 30)?);
    let end = extra_end + usize::from(u16_at(record, 32)?);
    let name = record.get(RECORD_BYTES..name_end)?;
    let extra = record.get(name_end..extra_end)?;
    let mut wide = wide_numbers(extra);
    // A field that does not fit 32 bits is all ones, and its value stands in the extra field, in this order.
    let mut number = |at| match u32_at(record, at)? {
        u32::MAX => wide.next(),
        narrow => Some(u64::from(narrow)),
    };
    let uncompressed = number(24)?;
    let compressed = number(20)?;
    let header_start = number(42)?;
    let entry = Entry {
        name: String::from_utf8_lossy(name).into_owned(),
        name_bytes: name.to_owned(),
        flags: u16_at(record, 8)?,
        method: u16_at(record, 10)?,
        crc32: u32_at(record, 16)?,
        compressed,
        uncompressed,
        header_start,
    };
    Some((entry, record.get(end..)?))
}

/// The 8-byte numbers of the 64-bit extra field.
fn wide_numbers(mut extra: &[u8]) -> impl Iterator<Item = u64> {
    let mut found: &[u8] = &[];
    while let (Some(id), Some(size)) = (u16_at(extra, 0), u16_at(extra, 2)) {
        let end = 4 + usize::from(size);
        let Some(body) = extra.get(4..end) else { break };
        if id == WIDE_EXTRA {
            found = body;
            break;
        }
        extra = &extra[end..];
    }
    let mut at = 0;
    std::iter::from_fn(move || {
        let number = u64_at(found, at);
        at += 8;
        number
    })
}
