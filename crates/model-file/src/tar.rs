//! Whether the first block of a file is the header of a tar. The old formats of tar have no magic number, only a checksum of the block,
//! and `torch.load` asks for a tar before it asks for a pickle.

const BLOCK_BYTES: usize = 512;
const CHECKSUM: std::ops::Range<usize> = 148..156;

/// Whether Python's `tarfile` takes these first bytes for the header of a member.
pub(crate) fn is_header(head: &[u8]) -> bool {
    let Some(block) = head.get(..BLOCK_BYTES) else { return false };
    if block.iter().all(|byte| *byte == 0) {
        return false;
    }
    let (mut unsigned, mut signed) = (0_i64, 0_i64);
    for (at, byte) in block.iter().enumerate() {
        let byte = if CHECKSUM.contains(&at) { b' ' } else { *byte };
        unsigned += i64::from(byte);
        signed += i64::from(i8::from_le_bytes([byte]));
    }
    number(&block[CHECKSUM]).is_some_and(|stated| stated == unsigned || stated == signed)
}

/// A number as octal digits, or in base 256 behind a byte of 0x80 or 0xff. Reads more than Python does rather than less.
fn number(field: &[u8]) -> Option<i64> {
    if let [0x80 | 0xff, rest @ ..] = field {
        let value = rest.iter().fold(0_i64, |sum, byte| (sum << 8) | i64::from(*byte));
        return Some(if field[0] == 0xff { value - (1 << 56) } else { value });
    }
    let text = field.split(|byte| *byte == 0).next().unwrap_or_default();
    let text = String::from_utf8_lossy(text).to_lowercase().replace('_', "");
    let text = text.trim();
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let digits = digits.strip_prefix('+').unwrap_or(digits);
    let digits = digits.strip_prefix("0o").unwrap_or(digits);
    let value = if digits.is_empty() { Some(0) } else { i64::from_str_radix(digits, 8).ok() };
    value.map(|value| if negative { -value } else { value })
}
