//! What a real ComfyUI 0.3.64 answered, where the answer does not depend on what was done before.

use std::io::Read;

use serde_json::Value;

/// Paths to bodies: `/system_stats`, `/models` and the like.
pub(super) fn answers() -> Value {
    serde_json::from_str(include_str!("../../data/comfy/answers.json")).expect("the recording is JSON")
}

/// The body of `/object_info`.
pub(super) fn object_info() -> Value {
    let packed: &[u8] = include_bytes!("../../data/comfy/object_info.json.gz");
    let mut body = String::new();
    flate2::read::GzDecoder::new(packed).read_to_string(&mut body).expect("the recording is whole");
    serde_json::from_str(&body).expect("the recording is JSON")
}
