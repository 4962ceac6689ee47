//! GGUF, versions 2 and 3: counts, key-value metadata, a list of tensors, then the tensors, each aligned, up to the end of the file.

mod metadata;
mod tensor_type;

use crate::cursor::{Cursor, Stop};
use crate::damage::GgufDamage as Damage;
use crate::error::Error;
use crate::header::{Header, HeaderBuilder};
use crate::inspect::Structure;
use crate::read_at::ReadAt;
use crate::seen_names::SeenNames;

/// Large models have a few thousand tensors; a hundred times that is an attack on memory.
const TENSOR_LIMIT: u64 = 500_000;
const METADATA_LIMIT: u64 = 500_000;
const NAME_LIMIT_BYTES: u64 = 64 * 1024;
/// ggml itself knows four.
const DIMENSION_LIMIT: u64 = 8;

/// Reads the head and holds it against the length of the file.
pub(crate) fn examine(source: &dyn ReadAt, length: u64) -> Result<(Structure, Option<Header>), Error> {
    match read_head(source, length) {
        Ok(listing) => {
            let structure = match account_for_every_byte(&listing, length) {
                Err(damage) => Structure::Damaged { reason: damage.into() },
                Ok(()) if listing.unknown_type => Structure::NotJudged,
                Ok(()) => Structure::Whole,
            };
            Ok((structure, Some(listing.header)))
        }
        Err(stop) => Ok((stop.into_structure("GGUF head")?, None)),
    }
}

/// What a head lists.
struct Listing {
    header: Header,
    /// First byte, counted from the start of the data, and length of every tensor.
    spans: Vec<(u64, u64)>,
    /// Where the head ends, before padding.
    head_end: u64,
    alignment: u64,
    /// A tensor has a type whose size is not known here; the spans are incomplete.
    unknown_type: bool,
}

fn read_head(source: &dyn ReadAt, length: u64) -> Result<Listing, Stop> {
    let mut cursor = Cursor::new(source, length, 0);
    if cursor.array()? != *b"GGUF" {
        return Err(Damage::NoMagic.into());
    }
    // Version 1 counts in 32 bits, and big-endian files show their version with the bytes swapped: neither is judged.
    if !matches!(cursor.u32()?, 2 | 3) {
        return Err(Stop::NotJudged);
    }
    let tensors = limited("tensors", cursor.u64()?, TENSOR_LIMIT)?;
    let remarks = limited("metadata entries", cursor.u64()?, METADATA_LIMIT)?;
    let mut header = HeaderBuilder::default();
    let alignment = metadata::read(&mut cursor, remarks, &mut header)?;
    let mut listing =
        Listing { header: Header::default(), spans: Vec::new(), head_end: 0, alignment, unknown_type: false };
    let mut names = SeenNames::default();
    for _ in 0..tensors {
        let name = name(&mut cursor)?;
        if !names.insert(name.as_bytes()) {
            return Err(Damage::Duplicate { name }.into());
        }
        match tensor(&mut cursor, name, &mut header)? {
            Some(span) => listing.spans.push(span),
            None => listing.unknown_type = true,
        }
    }
    listing.head_end = cursor.position();
    listing.header = header.finish();
    Ok(listing)
}

/// The rest of one tensor's entry after its name; `None` for a type that is not known here.
fn tensor(cursor: &mut Cursor<'_>, name: String, header: &mut HeaderBuilder) -> Result<Option<(u64, u64)>, Stop> {
    let dimensions = limited("dimensions", u64::from(cursor.u32()?), DIMENSION_LIMIT)?;
    let mut elements = Some(1_u64);
    let mut row = 1;
    for index in 0..dimensions {
        let dimension = cursor.u64()?;
        if index == 0 {
            row = dimension;
        }
        elements = elements.and_then(|elements| elements.checked_mul(dimension));
    }
    let number = cursor.u32()?;
    let offset = cursor.u64()?;
    let Some(elements) = elements else { return Err(Damage::Shape { name }.into()) };
    let Some(layout) = tensor_type::layout(number) else {
        header.count_tensor("unknown", elements, 0);
        return Ok(None);
    };
    let bytes = (elements / layout.block_elements).checked_mul(layout.block_bytes);
    match bytes {
        Some(bytes) if row.is_multiple_of(layout.block_elements) => {
            header.count_tensor(layout.name, elements, bytes);
            Ok(Some((offset, bytes)))
        }
        _ => Err(Damage::Shape { name }.into()),
    }
}

/// A text that names something: length, then UTF-8.
fn name(cursor: &mut Cursor<'_>) -> Result<String, Stop> {
    let length = limited("bytes in a name", cursor.u64()?, NAME_LIMIT_BYTES)?;
    let bytes = cursor.bytes(length as usize)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn limited(what: &'static str, claimed: u64, limit: u64) -> Result<u64, Damage> {
    if claimed > limit { Err(Damage::TooMany { what, claimed, limit }) } else { Ok(claimed) }
}

/// Sorted by offset, each tensor must begin at the aligned end of the one before; writers pad the last one or leave it bare.
fn account_for_every_byte(listing: &Listing, length: u64) -> Result<(), Damage> {
    let overflow = Damage::CutShort { needed: u64::MAX, present: length };
    let align = |offset: u64| offset.checked_next_multiple_of(listing.alignment);
    let data_start = align(listing.head_end).ok_or(overflow.clone())?;
    let mut spans = listing.spans.clone();
    spans.sort_unstable();
    let mut reached = 0;
    let mut end = if spans.is_empty() { listing.head_end } else { data_start };
    for (offset, bytes) in spans {
        if offset != reached && !listing.unknown_type {
            return Err(Damage::Misplaced { expected: reached, found: offset });
        }
        let tensor_end = offset.checked_add(bytes).ok_or(overflow.clone())?;
        reached = align(tensor_end).ok_or(overflow.clone())?;
        end = data_start.checked_add(tensor_end).ok_or(overflow.clone())?;
    }
    if end > length {
        return Err(Damage::CutShort { needed: end, present: length });
    }
    let padded_end = align(end).unwrap_or(u64::MAX);
    if length == end || length == padded_end || listing.unknown_type {
        return Ok(());
    }
    if length < padded_end {
        return Err(Damage::CutShort { needed: padded_end, present: length });
    }
    Err(Damage::Trailing { expected: end, present: length })
}
