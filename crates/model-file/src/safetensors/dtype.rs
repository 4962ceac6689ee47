//! Element types of safetensors and their sizes.

/// The bits of one element; `None` for a type that is not known here.
pub(super) fn bits(dtype: &str) -> Option<u64> {
    Some(match dtype {
        "F4" => 4,
        "F6_E2M3" | "F6_E3M2" => 6,
        "BOOL" | "U8" | "I8" => 8,
        "F8_E4M3" | "F8_E5M2" | "F8_E8M0" | "F8_E4M3FNUZ" | "F8_E5M2FNUZ" => 8,
        "U16" | "I16" | "F16" | "BF16" => 16,
        "U32" | "I32" | "F32" => 32,
        "U64" | "I64" | "F64" | "C64" => 64,
        _ => return None,
    })
}

/// The bytes of `elements` elements; `None` where they do not fill whole bytes or overflow.
pub(super) fn bytes(bits: u64, elements: u64) -> Option<u64> {
    let total = elements.checked_mul(bits);
    match total {
        Some(total) => total.is_multiple_of(8).then_some(total / 8),
        // Whole-byte types may need more than 2^61 elements times 8 bits; the byte count decides.
        None if bits.is_multiple_of(8) => elements.checked_mul(bits / 8),
        None => None,
    }
}
