//! GGUF from a list of tensors.

/// One tensor of the list: name, dimensions, type number, offset.
pub(crate) type Tensor<'a> = (&'a str, &'a [u64], u32, u64);

fn text(text: &str) -> Vec<u8> {
    let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

/// A head of version 3 with `general.architecture`, an array and the tensors.
pub(crate) fn head(tensors: &[Tensor<'_>]) -> Vec<u8> {
    let mut bytes = b"GGUF".to_vec();
    bytes.extend(3_u32.to_le_bytes());
    bytes.extend((tensors.len() as u64).to_le_bytes());
    bytes.extend(2_u64.to_le_bytes());
    bytes.extend(text("general.architecture"));
    bytes.extend(8_u32.to_le_bytes());
    bytes.extend(text("flux"));
    bytes.extend(text("tokens"));
    bytes.extend(9_u32.to_le_bytes());
    bytes.extend(8_u32.to_le_bytes());
    bytes.extend(2_u64.to_le_bytes());
    bytes.extend(text("a"));
    bytes.extend(text("bc"));
    for (name, dimensions, number, offset) in tensors {
        bytes.extend(text(name));
        bytes.extend((dimensions.len() as u32).to_le_bytes());
        for dimension in *dimensions {
            bytes.extend(dimension.to_le_bytes());
        }
        bytes.extend(number.to_le_bytes());
        bytes.extend(offset.to_le_bytes());
    }
    bytes
}

/// The head, padding to 32, and `data_bytes` bytes.
pub(crate) fn file(tensors: &[Tensor<'_>], data_bytes: usize) -> Vec<u8> {
    let mut bytes = head(tensors);
    bytes.resize(bytes.len().next_multiple_of(32) + data_bytes, 0);
    bytes
}

const TWO_TENSORS: [Tensor<'_>; 2] = [("blk.0.weight", &[512, 1], 12, 0), ("blk.0.bias", &[3], 0, 288)];

/// A row of 512 numbers in two blocks of Q4_K (288 bytes) and 3 of 32 bits (12 bytes, padded to 32).
pub(crate) fn whole() -> Vec<u8> {
    file(&TWO_TENSORS, 320)
}

/// The same without padding at the end.
pub(crate) fn bare() -> Vec<u8> {
    file(&TWO_TENSORS, 300)
}
