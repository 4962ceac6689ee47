//! Workflows saved by ComfyUI's page, made into prompts.

use comfy_client::ObjectInfo;
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
fn every_edge_case_becomes_what_the_page_makes_of_it() {
    let mut all = data::object_info_json();
    let made_up = data::json(data::folder("made_up_node_types.json"));
    all.as_object_mut().unwrap().extend(made_up.as_object().unwrap().clone());
    let object_info = ObjectInfo::from_json(&all);
    let cases = data::json(data::folder("edge_cases.json"));
    let mut unlike = Vec::new();
    for case in cases.as_array().unwrap() {
        let mut prompt = Value::Object(convert(&case["workflow"], &object_info).unwrap().prompt);
        without_titles(&mut prompt);
        if prompt != case["prompt"] {
            unlike.push(format!("{}: {prompt}", case["name"]));
        }
    }
    assert_eq!(unlike, Vec::<String>::new());
    assert!(cases.as_array().unwrap().len() > 80);
}

/// Two pictures' worth of links, each node an inverter.
fn inverters(links: &[[i64; 5]], ids: &[i64]) -> Value {
    let feeds = |id: &i64| links.iter().find(|link| link[3] == *id).map(|link| link[0]);
    let node = |id: &i64| {
        json!({"id": id, "type": "ImageInvert", "mode": 0,
        "inputs": [{"name": "image", "type": "IMAGE", "link": feeds(id)}], "outputs": [{"name": "IMAGE", "type": "IMAGE"}]})
    };
    json!({"nodes": ids.iter().map(node).collect::<Vec<_>>(), "links": links})
}

#[test]
fn a_ring_of_bypassed_nodes_is_a_fault_and_not_an_endless_search() {
    let mut workflow = inverters(&[[1, 1, 0, 2, 0], [2, 2, 0, 1, 0], [3, 2, 0, 3, 0]], &[1, 2, 3]);
    workflow["nodes"][0]["mode"] = json!(4);
    workflow["nodes"][1]["mode"] = json!(4);
    let faults = convert(&workflow, &data::object_info()).unwrap_err().faults;
    assert_eq!((faults[0].node.as_deref(), faults[0].input.as_deref()), (Some("3"), Some("image")));
    assert!(faults[0].problem.contains("ring"), "{}", faults[0].problem);
}

#[test]
fn a_link_from_a_node_that_is_gone_is_left_out() {
    let workflow = inverters(&[[1, 77, 0, 2, 0]], &[2]);
    let prompt = convert(&workflow, &data::object_info()).unwrap().prompt;
    assert_eq!(prompt["2"]["inputs"], json!({}));
}

#[test]
fn subgraphs_that_hold_each_other_end() {
    let holds = |id: &str, other: &str| json!({"id": id, "nodes": [{"id": 5, "type": other, "mode": 0}], "links": [], "inputs": [], "outputs": []});
    let workflow = json!({
        "nodes": [{"id": 1, "type": "one", "mode": 0}],
        "links": [],
        "definitions": {"subgraphs": [holds("one", "two"), holds("two", "one")]},
    });
    assert_eq!(convert(&workflow, &data::object_info()).unwrap().prompt.len(), 0);
}

#[test]
fn workflows_made_to_exhaust_the_machine_are_refused_or_cut_short() {
    let info = data::object_info();
    let doubling = |level: usize| {
        let inner = if level == 0 { "EmptyImage".to_owned() } else { format!("level {}", level - 1) };
        let node = |id: i64| json!({"id": id, "type": inner, "mode": 0});
        json!({"id": format!("level {level}"), "nodes": [node(1), node(2)], "links": [], "inputs": [], "outputs": []})
    };
    let laughs = json!({
        "nodes": [{"id": 1, "type": "level 30", "mode": 0}], "links": [],
        "definitions": {"subgraphs": (0..=30).map(doubling).collect::<Vec<_>>()},
    });
    assert!(convert(&laughs, &info).unwrap_err().faults[0].problem.contains("more than 20000 nodes"));

    let links: Vec<[i64; 5]> = (1..20_000).map(|id| [id, id, 0, id + 1, 0]).collect();
    let mut chain = inverters(&[], &(1..=20_000).collect::<Vec<_>>());
    for (id, node) in (1..).zip(chain["nodes"].as_array_mut().unwrap()) {
        node["mode"] = json!(if id == 20_000 { 0 } else { 4 });
        node["inputs"][0]["link"] = json!(id - 1);
    }
    chain["links"] = json!(links);
    assert!(convert(&chain, &info).unwrap_err().faults[0].problem.contains("thousand stops"));

    let braces = json!({"nodes": [{"id": 1, "type": "CLIPTextEncode", "mode": 0, "widgets_values": ["{".repeat(100_000)]}], "links": []});
    assert_eq!(convert(&braces, &info).unwrap().prompt.len(), 1);
}

#[test]
fn nonsense_in_a_workflow_is_passed_over() {
    let workflow = json!({
        "nodes": [7, {"id": {}, "type": "KSampler"}, {"id": 1}, {"id": 2, "type": "EmptyImage", "mode": "x",
            "inputs": 5, "outputs": [3], "widgets_values": "text", "properties": []}],
        "links": [null, [1], {"id": 3}, [4, 2, -1, 2, 99999999999_i64, "IMAGE"], "x"],
        "definitions": {"subgraphs": [{}, 4, {"id": "s", "inputs": [{}], "nodes": [{"id": 2, "type": "s"}]}]},
        "extra": {"groupNodes": {"g": 5}},
        "last_node_id": "many",
    });
    let prompt = convert(&workflow, &data::object_info()).unwrap().prompt;
    assert_eq!(prompt.keys().collect::<Vec<_>>(), ["2"]);
    assert_eq!(prompt["2"]["inputs"]["width"], 512);
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
