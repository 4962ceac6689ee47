//! Small registry documents that several tests start from.

use serde_json::{Value, json};

/// A document of format 1 with these presets.
pub(crate) fn document(presets: Value) -> Value {
    json!({"version": "2.0.0", "schema_version": "1.0", "generated_at": "2026-02-21T08:00:00Z",
        "categories": {"Image Generation": "image"}, "presets": presets})
}

/// A preset of one file, valid in everything.
pub(crate) fn preset(id: &str) -> Value {
    json!({"id": id, "name": format!("The {id}"), "category": "Image Generation", "type": "image", "version": "1.0.0",
        "description": "A model.", "use_case": "Pictures.", "download_size": "2GB", "tags": ["fast"],
        "requirements": {"vram_gb": 8}, "dependencies": [], "workflows": [],
        "files": [{"path": format!("checkpoints/{id}.safetensors"), "url": format!("https://example.com/{id}"),
            "size": "2GB", "size_bytes": 2_000_000_000_u64, "checksum": format!("sha256:{}", "ab".repeat(32))}]})
}

/// A document of format 1 with one valid preset for each id.
pub(crate) fn document_of(ids: &[&str]) -> String {
    let presets = ids.iter().map(|id| ((*id).to_owned(), preset(id))).collect();
    document(Value::Object(presets)).to_string()
}
