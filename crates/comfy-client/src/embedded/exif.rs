//! WebP and JPEG: ComfyUI writes `prompt:{…}` and `workflow:{…}` into texts of the Exif block (`Model`, `Make` and downwards), since
//! these formats have no fields of any name.

use std::io::{self, Read};

use super::{Embedded, MOST_TEXT, skip, take, u32_le};

/// Exif tag of the directory that cameras fill, and of the comment in it.
const EXIF_DIRECTORY: u16 = 0x8769;
const USER_COMMENT: u16 = 0x9286;
/// Exif types of a text and of bytes without a meaning of their own.
const ASCII: u16 = 2;
const UNDEFINED: u16 = 7;
/// What a comment begins with where it is ASCII.
const ASCII_COMMENT: &[u8] = b"ASCII\0\0\0";

/// RIFF chunks behind a head of twelve bytes.
pub(super) fn read_webp(mut file: impl Read) -> io::Result<Embedded> {
    let mut found = Embedded::default();
    skip(&mut file, 12)?;
    while let Ok(head) = take(&mut file, 8, 8) {
        let length = u64::from(u32_le(&head, 4).unwrap_or_default());
        let padding = length % 2;
        if head.starts_with(b"EXIF") {
            let chunk = take(&mut file, length, MOST_TEXT)?;
            add(&mut found, chunk.strip_prefix(b"Exif\0\0").unwrap_or(&chunk));
            skip(&mut file, padding)?;
        } else if !skip(&mut file, length + padding)? {
            break;
        }
    }
    Ok(found)
}

/// Segments up to the picture.
pub(super) fn read_jpeg(mut file: impl Read) -> io::Result<Embedded> {
    const START_OF_SCAN: u8 = 0xda;
    const APP1: u8 = 0xe1;
    let mut found = Embedded::default();
    skip(&mut file, 2)?;
    while let Ok(head) = take(&mut file, 4, 4) {
        let length = u64::from(u16::from_be_bytes([head[2], head[3]]));
        if head[0] != 0xff || head[1] == START_OF_SCAN || length < 2 {
            break;
        }
        let segment = take(&mut file, length - 2, u64::from(u16::MAX))?;
        if head[1] == APP1
            && let Some(exif) = segment.strip_prefix(b"Exif\0\0")
        {
            add(&mut found, exif);
        }
    }
    Ok(found)
}

/// A TIFF block: byte order, place of the first directory, directories of entries of twelve bytes.
fn add(found: &mut Embedded, block: &[u8]) {
    let little = block.starts_with(b"II");
    let tiff = Tiff { block, little };
    let Some(first) = tiff.u32(4) else { return };
    let mut texts = Vec::new();
    tiff.texts(first, true, &mut texts);
    for text in texts {
        let text = String::from_utf8_lossy(text);
        if let Some((name, json)) = text.split_once(':') {
            found.set(&name.to_lowercase(), || Some(json.to_owned()));
        }
    }
}

struct Tiff<'a> {
    block: &'a [u8],
    little: bool,
}

impl<'a> Tiff<'a> {
    fn u16(&self, at: u32) -> Option<u16> {
        let bytes = *self.block.get(at as usize..)?.first_chunk()?;
        Some(if self.little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    }

    fn u32(&self, at: u32) -> Option<u32> {
        let bytes = *self.block.get(at as usize..)?.first_chunk()?;
        Some(if self.little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    }

    /// The texts of a directory, and of the one within it.
    fn texts(&self, directory: u32, is_first: bool, found: &mut Vec<&'a [u8]>) -> Option<()> {
        for entry in 0..u32::from(self.u16(directory)?) {
            let at = directory.checked_add(2 + entry * 12)?;
            let (tag, kind, count) = (self.u16(at)?, self.u16(at + 2)?, self.u32(at + 4)?);
            if tag == EXIF_DIRECTORY && is_first {
                self.texts(self.u32(at + 8)?, false, found);
            }
            let is_text = kind == ASCII || (kind == UNDEFINED && tag == USER_COMMENT);
            // Four bytes or less stand in the entry itself and are no graph.
            if is_text && count > 4 {
                let start = self.u32(at + 8)? as usize;
                let Some(text) = start.checked_add(count as usize).and_then(|end| self.block.get(start..end)) else {
                    continue;
                };
                let text = text.strip_prefix(ASCII_COMMENT).unwrap_or(text);
                found.push(text.strip_suffix(b"\0").unwrap_or(text));
            }
        }
        Some(())
    }
}
