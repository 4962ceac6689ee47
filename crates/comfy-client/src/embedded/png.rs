//! PNG: text chunks before or behind the picture (PNG specification, 11.3.3). Pillow writes `tEXt`, or `iTXt` where Latin-1 does not do.

use std::io::{self, Read};

use flate2::read::ZlibDecoder;

use super::{Embedded, MOST_TEXT, skip, take, u32_be};

const SIGNATURE_BYTES: u64 = 8;
const CHECKSUM_BYTES: u64 = 4;

pub(super) fn read(mut file: impl Read) -> io::Result<Embedded> {
    let mut found = Embedded::default();
    skip(&mut file, SIGNATURE_BYTES)?;
    while let Ok(head) = take(&mut file, 8, 8) {
        let length = u64::from(u32_be(&head, 0).unwrap_or_default());
        match &head[4..] {
            b"IEND" => break,
            kind @ (b"tEXt" | b"zTXt" | b"iTXt") => {
                let chunk = take(&mut file, length, MOST_TEXT)?;
                add(&mut found, kind, &chunk);
                skip(&mut file, CHECKSUM_BYTES)?;
            }
            _ if skip(&mut file, length + CHECKSUM_BYTES)? => {}
            _ => break,
        }
    }
    Ok(found)
}

fn add(found: &mut Embedded, kind: &[u8], chunk: &[u8]) {
    let Some((name, text)) = split_at_zero(chunk) else { return };
    found.set(&String::from_utf8_lossy(name), || match kind {
        b"tEXt" => Some(latin_1(text)),
        b"zTXt" => Some(latin_1(&inflated(text.get(1..)?)?)),
        _ => international(text),
    });
}

/// `iTXt` behind its keyword: whether it is compressed, how, language, translated keyword, text.
fn international(text: &[u8]) -> Option<String> {
    let [compressed, _method, rest @ ..] = text else { return None };
    let (_language, rest) = split_at_zero(rest)?;
    let (_translated, text) = split_at_zero(rest)?;
    let text = if *compressed == 1 { inflated(text)? } else { text.to_vec() };
    String::from_utf8(text).ok()
}

fn split_at_zero(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    Some((&bytes[..end], &bytes[end + 1..]))
}

fn latin_1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

fn inflated(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    let read = ZlibDecoder::new(bytes).take(MOST_TEXT + 1).read_to_end(&mut text).ok()?;
    (read as u64 <= MOST_TEXT).then_some(text)
}
