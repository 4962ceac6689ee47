//! Pickles opcode by opcode.

/// The mark of a protocol, `body`, and the stop.
pub(crate) fn stream(protocol: u8, body: &[&[u8]]) -> Vec<u8> {
    let mut bytes = vec![0x80, protocol];
    bytes.extend(body.concat());
    bytes.push(b'.');
    bytes
}

/// A text of up to 255 bytes, as protocol 4 writes it.
pub(crate) fn text(text: &str) -> Vec<u8> {
    let mut bytes = vec![0x8c, text.len() as u8];
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

/// The import of `name` from `module`, as protocols 0 to 3 write it.
pub(crate) fn import(module: &str, name: &str) -> Vec<u8> {
    format!("c{module}\n{name}\n").into_bytes()
}

/// `module.name("id")`, kept as the value of the stream.
pub(crate) fn call(module: &str, name: &str) -> Vec<u8> {
    stream(2, &[&import(module, name), &text("id"), b"\x85R"])
}

/// What torch writes for `{"weight": tensor of 4 numbers}`: 16 bytes under the key "0".
pub(crate) fn state_dict() -> Vec<u8> {
    stream(2, &[&state_dict_body()])
}

fn state_dict_body() -> Vec<u8> {
    [
        b"}q\x00(".as_slice(),
        &text("weight"),
        &import("torch._utils", "_rebuild_tensor_v2"),
        b"q\x01((",
        &text("storage"),
        &import("torch", "FloatStorage"),
        &text("0"),
        &text("cpu"),
        b"K\x04tQK\x00K\x04\x85K\x01\x85\x89",
        &import("collections", "OrderedDict"),
        b")Rq\x02tRu",
    ]
    .concat()
}

/// The old format of torch: five pickles, then the numbers.
pub(crate) fn old_torch(object: &[u8]) -> Vec<u8> {
    let magic = stream(2, &[b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"]);
    let version = stream(2, &[b"M\xe9\x03"]);
    let facts = stream(2, &[b"}(", &text("little_endian"), b"\x88u"]);
    let keys = stream(2, &[b"]", &text("0"), b"a"]);
    [&magic, &version, &facts, object, &keys, &4_u64.to_le_bytes(), [1_u8; 16].as_slice()].concat()
}

/// An array of numpy: its head, then `data`.
pub(crate) fn numpy_array(head: &str, data: &[u8]) -> Vec<u8> {
    let length = (head.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00".as_slice(), &length, head.as_bytes(), data].concat()
}

/// The announcement of a frame of this many bytes.
pub(crate) fn frame(length: u64) -> Vec<u8> {
    [[0x95].as_slice(), &length.to_le_bytes()].concat()
}
