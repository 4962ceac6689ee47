//! Prompts checked before they are handed in.

use comfy_client::{ObjectInfo, validate};
use serde_json::{Value, json};

use crate::data;

fn good() -> Value {
    json!({
        "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 0}},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "x"}},
    })
}

fn faults(prompt: &Value) -> Vec<String> {
    validate(prompt, None, Some(&data::object_info())).faults.iter().map(ToString::to_string).collect()
}

/// By input, what ComfyUI will probably refuse.
fn doubts(prompt: &Value, info: &ObjectInfo) -> Vec<(String, String)> {
    let verdict = validate(prompt, None, Some(info));
    assert_eq!(verdict.faults, []);
    verdict.doubts.into_iter().map(|doubt| (doubt.input.unwrap(), doubt.problem)).collect()
}

#[test]
fn a_good_prompt_has_no_fault() {
    assert_eq!(faults(&good()), Vec::<String>::new());
    assert_eq!(validate(&good(), None, None).faults, []);
}

#[test]
fn without_node_types_the_form_is_checked() {
    let prompt = json!({
        "1": {"inputs": {}},
        "2": 7,
        "3": {"class_type": "Anything", "inputs": {"image": ["99", 0], "list": [1, 2, 3]}},
        "4": {"class_type": "Anything", "inputs": []},
    });
    let found = validate(&prompt, None, None).faults;
    let places: Vec<_> = found.iter().map(|fault| (fault.node.as_deref().unwrap(), fault.input.as_deref())).collect();
    assert_eq!(places, [("1", None), ("2", None), ("3", Some("image")), ("3", Some("list")), ("4", None)]);
    assert!(found[2].problem.contains("node 99"));
    assert_eq!(validate(&json!([]), None, None).faults.len(), 1);
}

#[test]
fn every_fault_is_told_at_once_by_node_and_input() {
    let mut prompt = good();
    prompt["1"]["inputs"] = json!({"width": 0, "height": "tall", "color": 1});
    prompt["9"]["inputs"]["images"] = json!(["3", 0]);
    prompt["3"] = json!({"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "missing.safetensors"}});
    prompt["10"] = json!({"class_type": "PreviewImage", "inputs": {"images": ["1", 5]}});
    assert_eq!(faults(&prompt), ["node 1 (EmptyImage), input batch_size: it is missing; it takes INT, by default 1"]);
    let doubts = validate(&prompt, None, Some(&data::object_info())).doubts;
    assert_eq!(
        doubts.iter().map(ToString::to_string).collect::<Vec<String>>(),
        [
            "node 1 (EmptyImage), input width: 0 is less than 1",
            "node 1 (EmptyImage), input height: \"tall\" is no number; it takes INT, by default 512",
            "node 9 (SaveImage), input images: it takes IMAGE, but is linked to MODEL from CheckpointLoaderSimple",
            "node 3 (CheckpointLoaderSimple), input ckpt_name: \"missing.safetensors\" is not there: ComfyUI finds no file for this input",
            "node 10 (PreviewImage), input images: it is linked to output 5 of EmptyImage, which has 1 (counted from 0)",
        ]
    );
}

/// ComfyUI of August 2026 takes `SaveVideo` without `format` of its own, as older graphs have it.
#[test]
fn absent_dynamic_combo_counts_as_left_out() {
    let info = ObjectInfo::from_json(&json!({
        "SaveVideo": {"output_node": true, "output": [], "input": {"required": {
            "filename_prefix": ["STRING", {}],
            "format": ["COMFY_DYNAMICCOMBO_V3", {"options": [
                {"key": "auto", "inputs": {"required": {
                    "codec": ["COMFY_DYNAMICCOMBO_V3", {"options": [{"key": "auto", "inputs": {"required": {}}}]}],
                }}},
            ]}],
        }}}
    }));
    for inputs in [json!({"filename_prefix": "x"}), json!({"filename_prefix": "x", "format": "auto", "codec": "auto"})]
    {
        assert_eq!(doubts(&json!({"1": {"class_type": "SaveVideo", "inputs": inputs}}), &info), []);
    }
}

#[test]
fn replaced_node_type_is_not_unknown() {
    let mut info = data::object_info();
    let mut prompt = good();
    prompt["1"]["class_type"] = json!("EmptyImageOld");
    assert!(validate(&prompt, None, Some(&info)).faults[0].problem.contains("EmptyImageOld"));
    info.set_replacements(&json!({
        "EmptyImageOld": [{"new_node_id": "EmptyImage", "old_node_id": "EmptyImageOld", "old_widget_ids": ["width", "", "height"]}],
        "Gone": [{"new_node_id": "NeverThere", "old_node_id": "Gone"}],
    }));
    assert_eq!(validate(&prompt, None, Some(&info)).faults, []);
    let saved = json!({
        "nodes": [
            {"id": 1, "type": "EmptyImageOld", "mode": 0, "inputs": [], "widgets_values": [64, "fixed", 32],
             "outputs": [{"name": "IMAGE", "type": "IMAGE", "links": [1]}]},
            {"id": 2, "type": "SaveImage", "mode": 0, "inputs": [{"name": "images", "type": "IMAGE", "link": 1}],
             "outputs": [], "widgets_values": ["page"]},
        ],
        "links": [[1, 1, 0, 2, 0, "IMAGE"]],
        "version": 0.4,
    });
    let converted = comfy_client::graph::convert(&saved, &info).unwrap().prompt;
    assert_eq!(converted["1"]["class_type"], "EmptyImageOld");
    assert_eq!(converted["1"]["inputs"], json!({"width": 64, "height": 32}));
    assert!(converted["1"].get("_meta").is_some(), "ComfyUI needs it");
    prompt["1"]["class_type"] = json!("Gone");
    assert_eq!(validate(&prompt, None, Some(&info)).faults.len(), 1);
}

#[test]
fn only_the_targets_of_a_partial_run_are_checked() {
    let mut prompt = good();
    prompt["7"] = json!({"class_type": "EmptyImage", "inputs": {}});
    prompt["8"] = json!({"class_type": "PreviewImage", "inputs": {"images": ["7", 0]}});
    let info = data::object_info();
    let faults = |targets: &[&str]| {
        let targets: Vec<String> = targets.iter().map(|id| (*id).to_owned()).collect();
        validate(&prompt, Some(&targets), Some(&info)).faults.len()
    };
    assert_eq!((faults(&["9"]), faults(&["8"]), faults(&["1"])), (0, 4, 1));
}

#[test]
fn unknown_node_types_and_a_lack_of_outputs_are_faults() {
    let prompt = json!({"1": {"class_type": "Nope", "inputs": {}}});
    assert_eq!(
        faults(&prompt),
        ["node 1 (Nope): this ComfyUI has no node type `Nope`; install the custom node that brings it"]
    );
    let mut alone = good();
    alone.as_object_mut().unwrap().remove("9");
    assert!(faults(&alone)[0].contains("no output node"));
}

#[test]
fn what_no_output_needs_may_be_as_wrong_as_it_likes() {
    let mut prompt = good();
    prompt["7"] = json!({"class_type": "EmptyImage", "inputs": {}});
    assert_eq!(faults(&prompt), Vec::<String>::new());
}

#[test]
fn lists_of_both_forms_are_checked_but_not_those_that_files_are_added_to() {
    let info = ObjectInfo::from_json(&json!({
        "Pick": {"output_node": true, "output": [], "input": {"required": {
            "old": [["a", "b"]],
            "new": ["COMBO", {"options": ["a", "b"]}],
            "several": ["COMBO", {"options": ["a", "b"], "multi_select": true}],
            "count": [[1, 2]],
            "picture": [["x.png"], {"image_upload": true}],
            "fetched": ["COMBO", {"remote": {"route": "/elsewhere"}}],
        }}}
    }));
    let prompt = json!({"1": {"class_type": "Pick", "inputs": {
        "old": "c", "new": "c", "several": {"__value__": ["a", "c"]}, "count": 2.0, "picture": "new/y.png", "fetched": "z",
    }}});
    let found = doubts(&prompt, &info);
    let said = "\"c\" is not one of \"a\", \"b\"".to_owned();
    assert_eq!(
        found,
        [("old".to_owned(), said.clone()), ("new".to_owned(), said.clone()), ("several".to_owned(), said)]
    );
}

#[test]
fn the_inputs_of_the_chosen_key_of_a_dynamic_combo_are_checked() {
    let info = ObjectInfo::from_json(&json!({
        "Resize": {"output_node": true, "output": [], "input": {"required": {
            "by": ["COMFY_DYNAMICCOMBO_V3", {"options": [
                {"key": "size", "inputs": {"required": {"width": ["INT", {"min": 1}]}}},
                {"key": "factor", "inputs": {"required": {"factor": ["FLOAT", {"max": 8.0}]}}},
            ]}],
        }}}
    }));
    let check = |inputs: Value| -> Vec<String> {
        let prompt = json!({"1": {"class_type": "Resize", "inputs": inputs}});
        let verdict = validate(&prompt, None, Some(&info));
        verdict
            .faults
            .iter()
            .chain(&verdict.doubts)
            .map(|fault| format!("{}: {}", fault.input.as_deref().unwrap(), fault.problem))
            .collect()
    };
    assert_eq!(check(json!({"by": "size", "by.width": 4})), Vec::<String>::new());
    assert_eq!(check(json!({"by": "factor", "by.factor": 9})), ["by.factor: 9 is more than 8"]);
    assert_eq!(check(json!({"by": "size"})), ["by.width: it is missing; it takes INT"]);
    assert_eq!(check(json!({"by": "shape"})), ["by: \"shape\" is not one of \"size\", \"factor\""]);
}

#[test]
fn scene_that_the_page_renders_is_a_warning() {
    let info = ObjectInfo::from_json(&json!({
        "Load3D": {"output_node": true, "output": [], "input": {"required": {"image": ["LOAD_3D", {}]}}}
    }));
    let saved = json!({"nodes": [{"id": 4, "type": "Load3D", "mode": 0, "inputs": []}], "links": []});
    let warnings = comfy_client::graph::convert(&saved, &info).unwrap().warnings;
    assert!(warnings.iter().any(|words| words.contains("node 4 (Load3D), input image")), "{warnings:?}");
}
