//! The recorded facts under `tests/data`. Knows where they are, not what they mean.

use std::io::Read;
use std::path::{Path, PathBuf};

use comfy_client::ObjectInfo;
use serde_json::Value;

/// A folder of recorded facts.
pub(crate) fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

/// One recorded JSON document.
pub(crate) fn json(path: impl AsRef<Path>) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// `/object_info` of ComfyUI 0.3.64.
pub(crate) fn object_info() -> ObjectInfo {
    ObjectInfo::from_json(&object_info_json())
}

/// The same, as it came.
pub(crate) fn object_info_json() -> Value {
    let packed = std::fs::File::open(folder("object_info.json.gz")).unwrap();
    let mut body = String::new();
    flate2::read::GzDecoder::new(packed).read_to_string(&mut body).unwrap();
    serde_json::from_str(&body).unwrap()
}
