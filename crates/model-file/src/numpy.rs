//! Arrays of numpy (`.npy`, and the members of `.npz`): a head that names the element type, then the elements. An array of Python
//! objects is a pickle.

use crate::cursor::{Cursor, Stop};
use crate::pickle::{self, Verdict};
use crate::read_at::ReadAt;

/// How a file begins.
pub(crate) const MAGIC: &[u8] = b"\x93NUMPY";
/// numpy itself reads no more than 10,000 by default.
const HEADER_LIMIT_BYTES: u64 = 64 * 1024;

/// The verdict on an array; `None` for plain numbers, which hold nothing to run. Never `Clean`: numpy loads objects only when asked to.
pub(crate) fn judge(source: &dyn ReadAt) -> Result<Option<Verdict>, Stop> {
    let length = source.length()?;
    match header(source, length) {
        Ok((header, _)) if holds_plain_numbers(&header) => Ok(None),
        Ok((_, data_start)) => {
            let objects = pickle::judge_other_bytes(source, length, data_start)?;
            let array = Verdict::unknown("a numpy array of Python objects, or of a type that may hold some");
            Ok(Some(array.and(objects)))
        }
        Err(Stop::Io(cause)) => Err(cause.into()),
        Err(_) => Ok(Some(Verdict::unknown("the head of a numpy array could not be read"))),
    }
}

/// The text of the head, and where the elements begin.
fn header(source: &dyn ReadAt, length: u64) -> Result<(Vec<u8>, u64), Stop> {
    let mut cursor = Cursor::new(source, length, MAGIC.len() as u64);
    let version = cursor.byte()?;
    cursor.byte()?;
    let size = match version {
        1 => u64::from(u16::from_le_bytes(cursor.array()?)),
        2 | 3 => u64::from(cursor.u32()?),
        _ => return Err(Stop::NotJudged),
    };
    if size > HEADER_LIMIT_BYTES {
        return Err(Stop::NotJudged);
    }
    let header = cursor.bytes(size as usize)?;
    Ok((header, cursor.position()))
}

/// Whether the head is written as numpy writes it and names a simple type: `{'descr': '<f4', …`.
fn holds_plain_numbers(header: &[u8]) -> bool {
    let Some(rest) = header.strip_prefix(b"{'descr': '") else { return false };
    let Some(end) = rest.iter().position(|byte| *byte == b'\'') else { return false };
    let (code, after) = (&rest[..end], &rest[end..]);
    let named_once = !after.windows(5).any(|word| word == b"descr");
    match code {
        [b'<' | b'>' | b'|' | b'=', kind, digits @ ..] => {
            b"?bBhHiuIlLqQefdgcFDGmMSUV".contains(kind) && digits.iter().all(u8::is_ascii_digit) && named_once
        }
        _ => false,
    }
}
