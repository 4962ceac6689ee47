//! Workflows saved by ComfyUI's page: whatever the JSON, conversion ends, and its prompt refers to nothing that is not in it.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::sync::LazyLock;

use comfy_client::ObjectInfo;
use comfy_client::graph::{Converted, convert, is_ui_format};
use comfy_client::requirements::requirements;
use serde_json::Value;

use crate::memory::{self, Limit};

/// A prompt may have 20,000 nodes, which a few lines of nested subgraphs spell.
const MEMORY: Limit = Limit { fixed: 256 << 20, per_byte: 2048 };
const MOST_NODES: usize = 20_000;

/// Recorded node types, and those that the tests of conversion made up.
static OBJECT_INFO: LazyLock<ObjectInfo> = LazyLock::new(|| {
    let packed = include_bytes!("../../comfy-client/tests/data/object_info.json.gz");
    let mut text = String::new();
    flate2::read::GzDecoder::new(packed.as_slice()).read_to_string(&mut text).expect("it is packed JSON");
    let mut all: Value = serde_json::from_str(&text).expect("it is JSON");
    let made_up = include_str!("../../comfy-client/tests/data/made_up_node_types.json");
    let made_up: Value = serde_json::from_str(made_up).expect("it is JSON");
    if let (Value::Object(all), Value::Object(made_up)) = (&mut all, made_up) {
        all.extend(made_up);
    }
    ObjectInfo::from_json(&all)
});

pub(crate) fn check(bytes: &[u8]) {
    let Ok(workflow) = serde_json::from_slice::<Value>(bytes) else { return };
    let object_info = &*OBJECT_INFO;
    let converted = memory::bounded(bytes.len(), MEMORY, || convert(&workflow, object_info));
    assert_eq!(convert(&workflow, object_info), converted, "one workflow, one prompt");
    let needs = requirements(&workflow, object_info, &BTreeMap::new());
    assert_eq!(requirements(&workflow, object_info, &BTreeMap::new()), needs);
    match converted {
        Ok(converted) => {
            assert!(is_ui_format(&workflow));
            check_prompt(&converted, object_info);
        }
        Err(refused) => assert!(!refused.faults.is_empty(), "a refusal has a reason"),
    }
}

fn check_prompt(converted: &Converted, object_info: &ObjectInfo) {
    let prompt = &converted.prompt;
    assert!(prompt.len() <= MOST_NODES);
    for (id, node) in prompt {
        let class_type = node["class_type"].as_str().expect("a node has a type");
        assert!(object_info.get(class_type).is_some(), "node {id} has the unknown type {class_type}");
        let inputs = node["inputs"].as_object().expect("a node has inputs");
        for (name, value) in inputs {
            // ComfyUI takes every list of two for a link.
            let Some([origin, slot]) = value.as_array().map(Vec::as_slice) else { continue };
            let origin = origin.as_str().unwrap_or_else(|| panic!("{id}.{name} comes from {origin}"));
            assert!(slot.is_u64(), "{id}.{name} comes from slot {slot}");
            assert!(prompt.contains_key(origin), "{id}.{name} comes from {origin}, which is not in the prompt");
        }
    }
}
