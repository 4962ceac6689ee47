//! What workflows need, and what they make.

use comfy_client::graph::convert;
use comfy_client::requirements::{FolderLists, MediaKind, fix_paths, media_kind, requirements};
use comfy_client::{ObjectInfo, graph};
use serde_json::{Value, json};

use crate::data;

/// ComfyUI that has these files for the checkpoint and the LoRA loader.
fn with_files(checkpoints: &[&str], loras: &[&str]) -> ObjectInfo {
    ObjectInfo::from_json(&json!({
        "CheckpointLoaderSimple": {"output": ["MODEL", "CLIP", "VAE"], "input": {"required": {"ckpt_name": [checkpoints]}}},
        "LoraLoader": {"output": ["MODEL", "CLIP"], "input": {"required": {
            "model": ["MODEL"], "clip": ["CLIP"], "lora_name": [loras],
        }}},
        "Save": {"output": [], "output_node": true, "input": {"required": {"model": ["MODEL"]}}},
    }))
}

fn prompt(checkpoint: &str, lora: &str) -> Value {
    json!({
        "1": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": checkpoint}},
        "2": {"class_type": "LoraLoader", "inputs": {"model": ["1", 0], "clip": ["1", 1], "lora_name": lora}},
        "3": {"class_type": "Save", "inputs": {"model": ["2", 0]}},
    })
}

#[test]
fn files_are_read_off_loaders_with_folder_and_presence() {
    let info = with_files(&["sd/base.safetensors"], &["style.safetensors"]);
    let found = requirements(&prompt("base.safetensors", "style.safetensors"), &info, &FolderLists::new());
    let models: Vec<_> = found
        .models
        .iter()
        .map(|model| (model.name.as_str(), model.folder.as_deref(), model.listed, model.listed_as.as_deref()))
        .collect();
    assert_eq!(
        models,
        [
            ("base.safetensors", Some("checkpoints"), Some(false), Some("sd/base.safetensors")),
            ("style.safetensors", Some("loras"), Some(true), None),
        ]
    );
    assert_eq!(found.models[0].used_by[0].input.as_deref(), Some("ckpt_name"));
    assert_eq!(found.unknown_nodes, []);
}

#[test]
fn a_folder_is_known_by_the_list_that_an_input_offers() {
    let info = ObjectInfo::from_json(&json!({
        "Strange": {"output": ["THING"], "input": {"required": {"file": [["a.pth", "b.pth"]]}}},
    }));
    let folders = FolderLists::from([
        ("ultralytics".to_owned(), vec!["b.pth".to_owned(), "a.pth".to_owned()]),
        ("loras".to_owned(), vec![]),
    ]);
    let graph = json!({"1": {"class_type": "Strange", "inputs": {"file": "a.pth"}}});
    assert_eq!(requirements(&graph, &info, &folders).models[0].folder.as_deref(), Some("ultralytics"));
}

#[test]
fn paths_are_put_right_where_one_file_of_that_name_is_listed() {
    let info = with_files(&["sd\\base.safetensors"], &["a/style.safetensors", "b/style.safetensors"]);
    let Value::Object(mut graph) = prompt("base.safetensors", "style.safetensors") else { panic!("it is an object") };
    let fixed = fix_paths(&mut graph, &info);
    assert_eq!(fixed.len(), 1, "two files of one name are no answer: {fixed:?}");
    assert_eq!(graph["1"]["inputs"]["ckpt_name"], "sd\\base.safetensors");
    assert_eq!(graph["2"]["inputs"]["lora_name"], "style.safetensors");
}

#[test]
fn every_model_that_a_template_notes_is_found_with_its_folder_and_address() {
    let info = data::object_info();
    let mut missed = Vec::new();
    let mut found = 0;
    for entry in std::fs::read_dir(data::folder("workflows")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.contains(".m1.") || name.contains(".m2.") {
            continue;
        }
        let workflow = data::json(&path);
        let prompt = Value::Object(convert(&workflow, &info).unwrap().prompt).to_string();
        let needs = requirements(&workflow, &info, &FolderLists::new());
        let mut noted = Vec::new();
        notes(&workflow, &mut noted);
        for note in noted.iter().filter(|note| prompt.contains(note["name"].as_str().unwrap())) {
            let is_it = |need: &&comfy_client::requirements::ModelNeed| note["name"] == need.name;
            match needs.models.iter().find(is_it) {
                Some(need)
                    if note["url"] == need.url.as_deref().unwrap()
                        && note["directory"] == need.folder.as_deref().unwrap() =>
                {
                    found += 1
                }
                other => missed.push(format!("{name}: {} {other:?}", note["name"])),
            }
        }
    }
    assert_eq!(missed, Vec::<String>::new());
    assert!(found > 50, "{found}");
}

fn notes(graph: &Value, found: &mut Vec<Value>) {
    for node in graph["nodes"].as_array().unwrap().iter().filter(|node| node["mode"] == 0) {
        found.extend(node["properties"]["models"].as_array().into_iter().flatten().cloned());
    }
    graph["definitions"]["subgraphs"].as_array().into_iter().flatten().for_each(|inner| notes(inner, found));
}

#[test]
fn loaders_tell_the_folder_of_every_model_even_where_the_notes_are_stripped() {
    let info = data::object_info();
    let mut wrong = Vec::new();
    for name in ["flux_depth_lora_example", "hidream_e1_1", "flux_redux_model_example", "video_wan2_2_14B_fun_camera"] {
        let mut workflow = data::json(data::folder("workflows").join(name).with_extension("json"));
        let noted = requirements(&workflow, &info, &FolderLists::new()).models;
        strip(&mut workflow);
        let stripped = requirements(&workflow, &info, &FolderLists::new()).models;
        for need in noted {
            let same = stripped.iter().find(|other| other.name == need.name);
            if same.and_then(|other| other.folder.as_ref()) != need.folder.as_ref() {
                wrong.push(format!("{name}: {} {:?}", need.name, same));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

fn strip(graph: &mut Value) {
    for node in graph["nodes"].as_array_mut().unwrap() {
        node["properties"].as_object_mut().unwrap().remove("models");
    }
    if let Some(inner) = graph.pointer_mut("/definitions/subgraphs").and_then(Value::as_array_mut) {
        inner.iter_mut().for_each(strip);
    }
}

#[test]
fn a_noted_file_that_no_node_names_any_more_is_not_needed() {
    let info = with_files(&[], &[]);
    let note = |name: &str| json!({"name": name, "url": "https://host/file", "directory": "checkpoints", "hash": "AB".repeat(32)});
    let workflow = json!({"nodes": [
        {"id": 1, "type": "CheckpointLoaderSimple", "mode": 0, "widgets_values": ["now.safetensors"],
         "properties": {"models": [note("before.safetensors"), note("now.safetensors")]}},
        {"id": 2, "type": "CheckpointLoaderSimple", "mode": 4, "widgets_values": ["off.safetensors"],
         "properties": {"models": [note("off.safetensors")]}},
    ], "links": []});
    let models = requirements(&workflow, &info, &FolderLists::new()).models;
    assert_eq!(models.len(), 1, "{models:?}");
    assert_eq!((models[0].name.as_str(), models[0].url.as_deref()), ("now.safetensors", Some("https://host/file")));
    assert_eq!(models[0].sha256, Some("ab".repeat(32)));
}

#[test]
fn unknown_nodes_are_named_once_with_the_package_that_brings_them() {
    let workflow = json!({"nodes": [
        {"id": 1, "type": "Mystery", "mode": 0, "widgets_values": ["m.gguf"],
         "properties": {"cnr_id": "mystery-pack", "models": [{"name": "m.gguf", "url": "https://host/m", "directory": "unet"}]}},
        {"id": 2, "type": "Mystery", "mode": 0},
    ], "links": []});
    let found = requirements(&workflow, &data::object_info(), &FolderLists::new());
    assert_eq!(found.unknown_nodes.len(), 1);
    assert_eq!(found.unknown_nodes[0].nodes, ["1", "2"]);
    assert_eq!(found.unknown_nodes[0].package.as_deref(), Some("mystery-pack"));
    assert_eq!((found.models[0].name.as_str(), found.models[0].folder.as_deref()), ("m.gguf", Some("unet")));
}

#[test]
fn the_kind_of_a_workflow_is_that_of_its_output_nodes() {
    let info = data::object_info();
    let kind = |name: &str| {
        let workflow = data::json(data::folder("workflows").join(name).with_extension("json"));
        media_kind(&graph::convert(&workflow, &info).unwrap().prompt, &info)
    };
    assert_eq!(kind("flux1_krea_dev"), MediaKind::Image);
    assert_eq!(kind("video_wan2_2_5B_ti2v"), MediaKind::Video);
    assert_eq!(kind("hunyuan_video_text_to_video"), MediaKind::Video);
    let sound = ObjectInfo::from_json(&json!({
        "SaveSound": {"output": [], "output_node": true, "input": {"required": {"audio": ["AUDIO", {}]}}},
    }));
    let Value::Object(prompt) = json!({"1": {"class_type": "SaveSound", "inputs": {}}}) else {
        panic!("it is an object")
    };
    assert_eq!(media_kind(&prompt, &sound).as_str(), "audio_generation");
    assert_eq!(media_kind(&prompt, &info), MediaKind::Other);
}
