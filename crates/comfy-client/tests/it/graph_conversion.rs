//! Workflows saved by ComfyUI's page, made into prompts.

use comfy_client::graph::{convert, is_ui_format};
use serde_json::{Value, json};

use crate::data;

fn without_titles(prompt: &mut Value) {
    for node in prompt.as_object_mut().unwrap().values_mut() {
        node.as_object_mut().unwrap().remove("_meta");
    }
}

#[test]
fn every_recorded_workflow_becomes_what_the_page_makes_of_it() {
    let object_info = data::object_info();
    let mut unlike = Vec::new();
    let mut compared = 0;
    for entry in std::fs::read_dir(data::folder("prompts")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let mut expected = data::json(&path);
        let workflow = data::json(data::folder("workflows").join(&name));
        let mut prompt = Value::Object(convert(&workflow, &object_info).unwrap().prompt);
        without_titles(&mut expected);
        without_titles(&mut prompt);
        compared += 1;
        if prompt != expected {
            unlike.push(name);
        }
    }
    assert_eq!(unlike, Vec::<String>::new());
    assert_eq!(compared, 60);
}

#[test]
fn every_node_type_that_comfyui_lacks_is_named_with_its_place() {
    let workflow = json!({
        "nodes": [
            {"id": 1, "type": "NoSuchLoader", "mode": 0},
            {"id": 2, "type": "MutedStranger", "mode": 2},
            {"id": 3, "type": "a-definition", "mode": 0},
        ],
        "links": [],
        "definitions": {"subgraphs": [
            {"id": "a-definition", "nodes": [{"id": 4, "type": "DeepStranger", "mode": 0}], "links": [], "inputs": [], "outputs": []}
        ]},
    });
    let faults = convert(&workflow, &data::object_info()).unwrap_err().faults;
    let named: Vec<_> = faults.iter().map(|fault| (fault.node.as_deref(), fault.node_type.as_deref())).collect();
    assert_eq!(named, [(Some("1"), Some("NoSuchLoader")), (Some("3:4"), Some("DeepStranger"))]);
    assert!(faults[0].problem.contains("NoSuchLoader"));
}

#[test]
fn a_prompt_is_no_saved_workflow() {
    let prompt = json!({"1": {"class_type": "EmptyImage", "inputs": {}}});
    assert!(!is_ui_format(&prompt));
    assert!(is_ui_format(&json!({"nodes": [], "links": []})));
    assert!(convert(&prompt, &data::object_info()).is_err());
}
