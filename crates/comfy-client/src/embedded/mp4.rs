//! MP4 and MOV: named tags as FFmpeg's `use_metadata_tags` writes them: the boxes `keys` (names) and `ilst` (values) in a `meta` box
//! within `moov` (QuickTime File Format, "Metadata").

use std::io::{self, Read};

use super::{Embedded, MOST_METADATA, skip, take, u32_be};

/// Boxes that hold boxes, on the way to the tags.
const ON_THE_WAY: [&[u8]; 2] = [b"udta", b"meta"];

pub(super) fn read(mut file: impl Read) -> io::Result<Embedded> {
    let mut found = Embedded::default();
    while let Ok(head) = take(&mut file, 8, 8) {
        let mut length = u64::from(u32_be(&head, 0).unwrap_or_default());
        let mut head_bytes = 8;
        if length == 1 {
            let long = take(&mut file, 8, 8)?;
            length = u64::from_be_bytes(long.try_into().unwrap_or_default());
            head_bytes = 16;
        }
        let is_last = length == 0;
        let Some(length) = length.checked_sub(head_bytes).or(is_last.then_some(u64::MAX)) else { break };
        if &head[4..] == b"moov" {
            let movie = take(&mut file, length, MOST_METADATA)?;
            look_in(&movie, &mut found);
            break;
        }
        if is_last || !skip(&mut file, length)? {
            break;
        }
    }
    Ok(found)
}

fn look_in(bytes: &[u8], found: &mut Embedded) {
    let boxes: Vec<(&[u8], &[u8])> = boxes(bytes).collect();
    let body = |wanted: &[u8]| boxes.iter().find(|(kind, _)| *kind == wanted).map(|(_, body)| *body);
    if let (Some(keys), Some(values)) = (body(b"keys"), body(b"ilst")) {
        add_tags(found, keys, values);
    }
    for (_, inner) in boxes.iter().filter(|(kind, _)| ON_THE_WAY.contains(kind)) {
        // Of a `meta` box some writers leave out version and flags.
        let has_version = inner.get(4..8) != Some(b"hdlr") && inner.get(8..12) == Some(b"hdlr");
        look_in(if has_version { &inner[4..] } else { inner }, found);
    }
}

fn add_tags(found: &mut Embedded, keys: &[u8], values: &[u8]) {
    // Version, flags and count come first; of each entry the type is the namespace, which is always `mdta`.
    let names: Vec<&[u8]> = boxes(keys.get(8..).unwrap_or_default()).map(|(_, name)| name).collect();
    for (number, item) in boxes(values) {
        let number = u32_be(number, 0).unwrap_or_default() as usize;
        let Some(name) = number.checked_sub(1).and_then(|place| names.get(place)) else { continue };
        let data = boxes(item).find(|(kind, _)| *kind == b"data").and_then(|(_, body)| body.get(8..));
        found.set(&String::from_utf8_lossy(name), || String::from_utf8(data?.to_vec()).ok());
    }
}

/// Boxes one after another: length of four bytes, type of four, body.
fn boxes(mut bytes: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    std::iter::from_fn(move || {
        let length = u32_be(bytes, 0)? as usize;
        let (whole, rest) = bytes.split_at_checked(length.max(8))?;
        bytes = rest;
        Some((&whole[4..8], &whole[8..]))
    })
}
