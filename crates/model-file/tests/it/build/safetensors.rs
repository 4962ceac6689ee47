//! safetensors from a JSON header and a number of data bytes.

/// Eight bytes of length, the header, then `data_bytes` bytes.
pub(crate) fn file(header: &str, data_bytes: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.resize(bytes.len() + data_bytes, 7);
    bytes
}

/// Two tensors and a remark: 2x3 numbers of 16 bits and 5 of 8 bits, 17 bytes of data.
pub(crate) fn whole() -> Vec<u8> {
    let header = r#"{"__metadata__":{"format":"pt"},"a":{"dtype":"BF16","shape":[2,3],"data_offsets":[0,12]},"b":{"dtype":"F8_E4M3","shape":[5],"data_offsets":[12,17]}}"#;
    file(header, 17)
}
