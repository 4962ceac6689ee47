//! FLAC: Vorbis comments, `NAME=value` (RFC 9639, 8.6).

use std::io::{self, Read};

use super::{Embedded, MOST_TEXT, skip, take, u32_le};

const VORBIS_COMMENT: u8 = 4;

pub(super) fn read(mut file: impl Read) -> io::Result<Embedded> {
    let mut found = Embedded::default();
    skip(&mut file, 4)?;
    while let Ok(head) = take(&mut file, 4, 4) {
        let (is_last, kind) = (head[0] & 0x80 != 0, head[0] & 0x7f);
        let length = u64::from(u32::from_be_bytes([0, head[1], head[2], head[3]]));
        if kind == VORBIS_COMMENT {
            let block = take(&mut file, length, MOST_TEXT)?;
            add(&mut found, &block);
        } else if !skip(&mut file, length)? {
            break;
        }
        if is_last {
            break;
        }
    }
    Ok(found)
}

/// The vendor, a count, and each comment, all with their length in front.
fn add(found: &mut Embedded, block: &[u8]) -> Option<()> {
    let text = |at: usize| {
        let length = u32_le(block, at)? as usize;
        let start = at + 4;
        Some((block.get(start..start.checked_add(length)?)?, start + length))
    };
    let (_vendor, at) = text(0)?;
    let mut next = at + 4;
    for _ in 0..u32_le(block, at)? {
        let (comment, end) = text(next)?;
        next = end;
        if let Some((name, value)) = String::from_utf8_lossy(comment).split_once('=') {
            found.set(&name.to_lowercase(), || Some(value.to_owned()));
        }
    }
    Some(())
}
