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
    validate(prompt, Some(&data::object_info())).iter().map(ToString::to_string).collect()
}

#[test]
fn a_good_prompt_has_no_fault() {
    assert_eq!(faults(&good()), Vec::<String>::new());
    assert_eq!(validate(&good(), None), []);
}

#[test]
fn without_node_types_the_form_is_checked() {
    let prompt = json!({
        "1": {"inputs": {}},
        "2": 7,
        "3": {"class_type": "Anything", "inputs": {"image": ["99", 0], "list": [1, 2, 3]}},
        "4": {"class_type": "Anything", "inputs": []},
    });
    let found = validate(&prompt, None);
    let places: Vec<_> = found.iter().map(|fault| (fault.node.as_deref().unwrap(), fault.input.as_deref())).collect();
    assert_eq!(places, [("1", None), ("2", None), ("3", Some("image")), ("3", Some("list")), ("4", None)]);
    assert!(found[2].problem.contains("node 99"));
    assert_eq!(validate(&json!([]), None).len(), 1);
}

#[test]
fn every_fault_is_told_at_once_by_node_and_input() {
    let mut prompt = good();
    prompt["1"]["inputs"] = json!({"width": 0, "height": "tall", "color": 1});
    prompt["9"]["inputs"]["images"] = json!(["3", 0]);
    prompt["3"] = json!({"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "missing.safetensors"}});
    prompt["10"] = json!({"class_type": "PreviewImage", "inputs": {"images": ["1", 5]}});
    assert_eq!(
        faults(&prompt),
        [
            "node 1 (EmptyImage), input width: 0 is less than 1",
            "node 1 (EmptyImage), input height: \"tall\" is no number; it takes INT, by default 512",
            "node 1 (EmptyImage), input batch_size: it is missing; it takes INT, by default 1",
            "node 9 (SaveImage), input images: it takes IMAGE, but is linked to MODEL from CheckpointLoaderSimple",
            "node 3 (CheckpointLoaderSimple), input ckpt_name: \"missing.safetensors\" is not there: ComfyUI finds no file for this input",
            "node 10 (PreviewImage), input images: it is linked to output 5 of EmptyImage, which has 1 (counted from 0)",
        ]
    );
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
    let found: Vec<_> =
        validate(&prompt, Some(&info)).into_iter().map(|fault| (fault.input.unwrap(), fault.problem)).collect();
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
        validate(&prompt, Some(&info))
            .iter()
            .map(|fault| format!("{}: {}", fault.input.as_deref().unwrap(), fault.problem))
            .collect()
    };
    assert_eq!(check(json!({"by": "size", "by.width": 4})), Vec::<String>::new());
    assert_eq!(check(json!({"by": "factor", "by.factor": 9})), ["by.factor: 9 is more than 8"]);
    assert_eq!(check(json!({"by": "size"})), ["by.width: it is missing; it takes INT"]);
    assert_eq!(check(json!({"by": "shape"})), ["by: \"shape\" is not one of \"size\", \"factor\""]);
}
