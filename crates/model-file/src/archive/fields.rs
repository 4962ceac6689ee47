//! Little-endian fields of zip records at fixed offsets.

/// The 2-byte number at `at`; `None` past the end.
pub(super) fn u16_at(record: &[u8], at: usize) -> Option<u16> {
    record.get(at..)?.first_chunk().map(|bytes| u16::from_le_bytes(*bytes))
}

/// The 4-byte number at `at`; `None` past the end.
pub(super) fn u32_at(record: &[u8], at: usize) -> Option<u32> {
    record.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

/// The 8-byte number at `at`; `None` past the end.
pub(super) fn u64_at(record: &[u8], at: usize) -> Option<u64> {
    record.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}
