//! safetensors: eight bytes of length, a JSON header, then the tensors, back to back up to the last byte of the file.
//!
//! The rules are those of the reference reader: at most 100 MB of header, every tensor exactly as long as its shape says, no
//! overlap, no hole, nothing after the last tensor.

mod dtype;
mod header_json;

use crate::cursor::{Cursor, Stop};
use crate::damage::SafetensorsDamage as Damage;
use crate::error::Error;
use crate::header::Header;
use crate::inspect::Structure;
use crate::read_at::ReadAt;

/// The reference reader refuses longer headers as well.
pub(crate) const HEADER_LIMIT_BYTES: u64 = 100_000_000;

/// Reads the header and holds it against the length of the file.
pub(crate) fn examine(source: &dyn ReadAt, length: u64) -> Result<(Structure, Option<Header>), Error> {
    match read_header(source, length) {
        Ok(listing) => {
            let structure = match account_for_every_byte(listing.spans, listing.data_length) {
                Err(damage) => Structure::Damaged { reason: damage.into() },
                Ok(()) if listing.unknown_dtype => Structure::NotJudged,
                Ok(()) => Structure::Whole,
            };
            Ok((structure, Some(listing.header)))
        }
        Err(stop) => Ok((stop.into_structure("safetensors header")?, None)),
    }
}

/// What a header lists.
struct Listing {
    header: Header,
    /// First and last offset of every tensor, in the order of the header.
    spans: Vec<(u64, u64)>,
    /// The bytes that follow the header.
    data_length: u64,
    /// A tensor has an element type whose size is not known here.
    unknown_dtype: bool,
}

fn read_header(source: &dyn ReadAt, length: u64) -> Result<Listing, Stop> {
    let mut cursor = Cursor::new(source, length, 0);
    let claimed = cursor.u64()?;
    if claimed > HEADER_LIMIT_BYTES {
        return Err(Damage::HeaderTooLarge { claimed, limit: HEADER_LIMIT_BYTES }.into());
    }
    let present = cursor.remaining();
    if claimed > present {
        return Err(Damage::HeaderPastTheEnd { claimed, present }.into());
    }
    header_json::parse(source, claimed, present - claimed)
}

/// Sorted by offset, each tensor must begin where the one before ended, and the last must end the file.
fn account_for_every_byte(mut spans: Vec<(u64, u64)>, data_length: u64) -> Result<(), Damage> {
    spans.sort_unstable();
    let needed = spans.iter().map(|(_, end)| *end).max().unwrap_or(0);
    if needed > data_length {
        return Err(Damage::CutShort { needed, present: data_length });
    }
    let mut reached = 0;
    for (begin, end) in spans {
        if begin < reached {
            return Err(Damage::Overlap { at: begin });
        }
        if begin > reached {
            return Err(Damage::Hole { from: reached, to: begin });
        }
        reached = end;
    }
    if reached < data_length {
        return Err(Damage::Hole { from: reached, to: data_length });
    }
    Ok(())
}
