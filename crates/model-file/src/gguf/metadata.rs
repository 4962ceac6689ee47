//! The key-value part of a GGUF head: small texts and numbers are kept, arrays are passed over.

use super::{Damage, name};
use crate::cursor::{Cursor, Stop};
use crate::header::HeaderBuilder;
use crate::seen_names::SeenNames;

const DEFAULT_ALIGNMENT: u64 = 32;
const TEXT_LIMIT_BYTES: u64 = 4096;
const NESTING_LIMIT: u32 = 4;
/// An empty text is its length alone.
const TEXT_MIN_BYTES: u64 = 8;
/// An empty array is its type and its length.
const ARRAY_MIN_BYTES: u64 = 12;

const TEXT: u32 = 8;
const ARRAY: u32 = 9;

/// Reads `count` entries and returns the alignment of the tensors.
pub(super) fn read(cursor: &mut Cursor<'_>, count: u64, header: &mut HeaderBuilder) -> Result<u64, Stop> {
    let mut alignment = DEFAULT_ALIGNMENT;
    let mut keys = SeenNames::default();
    for _ in 0..count {
        let key = name(cursor)?;
        if !keys.insert(key.as_bytes()) {
            return Err(Damage::Duplicate { name: key }.into());
        }
        let value_type = cursor.u32()?;
        let value = scalar(cursor, value_type)?;
        if key == "general.alignment" {
            alignment = value.as_deref().and_then(|value| value.parse().ok()).unwrap_or(0);
            if !alignment.is_power_of_two() {
                return Err(Damage::Alignment { found: alignment }.into());
            }
        }
        match value {
            Some(value) => header.keep_metadata(key, value),
            None => header.metadata_left_out(),
        }
    }
    Ok(alignment)
}

/// One value as text; `None` for what is passed over.
fn scalar(cursor: &mut Cursor<'_>, value_type: u32) -> Result<Option<String>, Stop> {
    Ok(Some(match value_type {
        0 => cursor.byte()?.to_string(),
        1 => i8::from_le_bytes(cursor.array()?).to_string(),
        2 => u16::from_le_bytes(cursor.array()?).to_string(),
        3 => i16::from_le_bytes(cursor.array()?).to_string(),
        4 => cursor.u32()?.to_string(),
        5 => i32::from_le_bytes(cursor.array()?).to_string(),
        6 => f32::from_le_bytes(cursor.array()?).to_string(),
        7 => (cursor.byte()? != 0).to_string(),
        TEXT => {
            let length = cursor.u64()?;
            if length > TEXT_LIMIT_BYTES {
                cursor.skip(length)?;
                return Ok(None);
            }
            String::from_utf8_lossy(&cursor.bytes(length as usize)?).into_owned()
        }
        ARRAY => {
            skip_array(cursor, 0)?;
            return Ok(None);
        }
        10 => cursor.u64()?.to_string(),
        11 => i64::from_le_bytes(cursor.array()?).to_string(),
        12 => f64::from_le_bytes(cursor.array()?).to_string(),
        found => return Err(Damage::UnknownValueType { found }.into()),
    }))
}

fn skip_array(cursor: &mut Cursor<'_>, depth: u32) -> Result<(), Stop> {
    let item_type = cursor.u32()?;
    let count = cursor.u64()?;
    let item_bytes = match item_type {
        0 | 1 | 7 => 1,
        2 | 3 => 2,
        4..=6 => 4,
        10..=12 => 8,
        TEXT => {
            cursor.expect(count.saturating_mul(TEXT_MIN_BYTES))?;
            for _ in 0..count {
                let length = cursor.u64()?;
                cursor.skip(length)?;
            }
            return Ok(());
        }
        ARRAY if depth < NESTING_LIMIT => {
            cursor.expect(count.saturating_mul(ARRAY_MIN_BYTES))?;
            for _ in 0..count {
                skip_array(cursor, depth + 1)?;
            }
            return Ok(());
        }
        ARRAY => return Err(Stop::NotJudged),
        found => return Err(Damage::UnknownValueType { found }.into()),
    };
    // A product past 2^64 is past the end of the file as well.
    cursor.skip(count.saturating_mul(item_bytes))
}
