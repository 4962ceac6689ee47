//! Workflows that rely on scripts of the page: nodes, values and links that ComfyUI itself never sees.

use std::collections::BTreeSet;

use comfy_client::graph::{Converted, convert};
use comfy_client::requirements::{FolderLists, requirements};
use comfy_client::{ObjectInfo, graph};
use serde_json::{Value, json};

use crate::data;

fn input(name: &str, kind: &str, link: Option<i64>) -> Value {
    json!({"name": name, "type": kind, "link": link})
}

fn node(id: i64, kind: &str, inputs: &[Value], outputs: &[&str], values: &Value) -> Value {
    let outputs: Vec<Value> = outputs.iter().map(|kind| json!({"name": kind, "type": kind})).collect();
    json!({"id": id, "type": kind, "mode": 0, "inputs": inputs, "outputs": outputs, "widgets_values": values})
}

fn loader(id: i64) -> Value {
    node(id, "CheckpointLoaderSimple", &[], &["MODEL", "CLIP", "VAE"], &json!(["base.safetensors"]))
}

fn sampling(id: i64, link: Option<i64>) -> Value {
    node(id, "ModelSamplingDiscrete", &[input("model", "MODEL", link)], &["MODEL"], &json!(["eps", false]))
}

fn workflow(nodes: &[Value], links: Value) -> Value {
    json!({"nodes": nodes, "links": links, "last_node_id": 99})
}

fn converted(workflow: &Value, info: &ObjectInfo) -> Converted {
    convert(workflow, info).unwrap_or_else(|refused| panic!("{refused}"))
}

fn model_of(workflow: &Value, node: &str) -> Value {
    let converted = converted(workflow, &data::object_info());
    assert_eq!(converted.warnings, Vec::<String>::new());
    converted.prompt[node]["inputs"]["model"].clone()
}

#[test]
fn getter_is_linked_to_what_its_setter_is_linked_to() {
    for (set, get) in [("SetNode", "GetNode"), ("easy setNode", "easy getNode")] {
        let nodes = [
            loader(1),
            node(2, set, &[input("MODEL", "MODEL", Some(1))], &["*"], &json!(["m"])),
            node(3, get, &[], &["MODEL"], &json!(["m"])),
            sampling(4, Some(3)),
        ];
        let drawn = workflow(&nodes, json!([[1, 1, 0, 2, 0, "MODEL"], [3, 3, 0, 4, 0, "MODEL"]]));
        assert_eq!(model_of(&drawn, "4"), json!(["1", 0]), "{set}");
    }
}

#[test]
fn setter_behind_a_bypassed_node_is_followed_through_it() {
    let mut bypassed = sampling(5, Some(1));
    bypassed["mode"] = json!(4);
    let nodes = [
        loader(1),
        bypassed,
        node(2, "SetNode", &[input("MODEL", "MODEL", Some(2))], &["*"], &json!(["m"])),
        node(3, "GetNode", &[], &["MODEL"], &json!(["m"])),
        sampling(4, Some(3)),
    ];
    let links = json!([[1, 1, 0, 5, 0, "MODEL"], [2, 5, 0, 2, 0, "MODEL"], [3, 3, 0, 4, 0, "MODEL"]]);
    assert_eq!(model_of(&workflow(&nodes, links), "4"), json!(["1", 0]));
}

#[test]
fn getter_in_a_subgraph_finds_a_setter_outside() {
    let inner = json!({"id": "inner", "inputs": [], "outputs": [],
        "nodes": [node(3, "GetNode", &[], &["MODEL"], &json!(["m"])), sampling(4, Some(3))],
        "links": [{"id": 3, "origin_id": 3, "origin_slot": 0, "target_id": 4, "target_slot": 0}]});
    let set = node(2, "SetNode", &[input("MODEL", "MODEL", Some(1))], &["*"], &json!(["m"]));
    let mut drawn =
        workflow(&[loader(1), set, node(7, "inner", &[], &[], &json!([]))], json!([[1, 1, 0, 2, 0, "MODEL"]]));
    drawn["definitions"] = json!({"subgraphs": [inner]});
    assert_eq!(model_of(&drawn, "7:4"), json!(["1", 0]));
}

#[test]
fn getter_without_setter_is_named() {
    let nodes = [node(3, "GetNode", &[], &["MODEL"], &json!(["gone"])), sampling(4, Some(3))];
    let drawn = workflow(&nodes, json!([[3, 3, 0, 4, 0, "MODEL"]]));
    let warnings = converted(&drawn, &data::object_info()).warnings;
    assert!(matches!(&*warnings, [one] if one.contains("node 3 (GetNode)") && one.contains("gone")), "{warnings:?}");
}

#[test]
fn rings_of_setters_end() {
    let nodes = [
        node(2, "SetNode", &[input("MODEL", "MODEL", Some(1))], &["*"], &json!(["m"])),
        node(3, "GetNode", &[], &["MODEL"], &json!(["m"])),
        sampling(4, Some(3)),
    ];
    let drawn = workflow(&nodes, json!([[1, 3, 0, 2, 0, "MODEL"], [3, 3, 0, 4, 0, "MODEL"]]));
    assert!(convert(&drawn, &data::object_info()).unwrap_err().faults[0].problem.contains("ring"));
}

#[test]
fn wires_switches_and_labels_leave_no_trace() {
    let any = |link| input("", "*", link);
    let nodes = [
        loader(1),
        node(2, "Reroute (rgthree)", &[any(Some(1))], &["*"], &Value::Null),
        sampling(4, Some(3)),
        node(6, "Label (rgthree)", &[], &[], &Value::Null),
        node(7, "Bookmark (rgthree)", &[], &[], &json!(["1", 1])),
        node(8, "Fast Groups Bypasser (rgthree)", &[], &["*"], &Value::Null),
        node(9, "Fast Bypasser (rgthree)", &[any(Some(4))], &["*"], &json!([true])),
    ];
    let links = json!([[1, 1, 0, 2, 0, "*"], [3, 2, 0, 4, 0, "*"], [4, 4, 0, 9, 0, "*"]]);
    let converted = converted(&workflow(&nodes, links), &data::object_info());
    assert_eq!(converted.prompt.keys().collect::<Vec<_>>(), ["1", "4"]);
    assert_eq!(converted.prompt["4"]["inputs"]["model"], json!(["1", 0]));
    assert_eq!(converted.warnings, Vec::<String>::new());
}

fn power_lora_loader() -> ObjectInfo {
    ObjectInfo::from_json(&json!({
        "CheckpointLoaderSimple": {"output": ["MODEL", "CLIP", "VAE"], "input": {"required": {"ckpt_name": [["base.safetensors"]]}}},
        "Power Lora Loader (rgthree)": {"output": ["MODEL", "CLIP"], "input": {"required": {}, "optional": {
            "model": ["MODEL"], "clip": ["CLIP"],
        }}},
    }))
}

#[test]
fn rows_of_a_lora_loader_become_its_inputs() {
    let on = json!({"on": true, "lora": "style/detail.safetensors", "strength": 0.8, "strengthTwo": null});
    let off = json!({"on": false, "lora": "off.safetensors", "strength": 1, "strengthTwo": null});
    let values = json!([{}, {"type": "PowerLoraLoaderHeaderWidget"}, on, off, {}, ""]);
    let rows = node(2, "Power Lora Loader (rgthree)", &[input("model", "MODEL", Some(1))], &["MODEL", "CLIP"], &values);
    let drawn = workflow(&[loader(1), rows], json!([[1, 1, 0, 2, 0, "MODEL"]]));
    let converted = converted(&drawn, &power_lora_loader());
    assert_eq!(converted.prompt["2"]["inputs"], json!({"lora_1": on, "lora_2": off, "model": ["1", 0]}));
    assert_eq!(converted.warnings, Vec::<String>::new());
    let needs = requirements(&drawn, &power_lora_loader(), &FolderLists::new());
    let files: Vec<_> = needs.models.iter().map(|model| (model.folder.as_deref(), model.name.as_str())).collect();
    assert_eq!(files, [(Some("checkpoints"), "base.safetensors"), (Some("loras"), "style/detail.safetensors")]);
}

#[test]
fn values_saved_by_name_are_found_by_name() {
    let formats = json!({"video/h264-mp4": [["pix_fmt", ["yuv420p", "yuv420p10le"]], ["crf", "INT", {"default": 19}]]});
    let info = ObjectInfo::from_json(&json!({"VHS_VideoCombine": {"output": [], "output_node": true,
    "input_order": {"required": ["frame_rate", "loop_count", "format", "save_output"]},
    "input": {"required": {
        "frame_rate": ["FLOAT", {"default": 8}], "loop_count": ["INT", {"default": 0}],
        "format": [["image/gif", "video/h264-mp4"], {"formats": formats}], "save_output": ["BOOLEAN", {"default": true}],
    }}}}));
    let values = json!({
        "save_output": false, "crf": 23, "frame_rate": 24, "format": "video/h264-mp4", "trim": 7,
        "videopreview": {"hidden": false},
    });
    let converted = converted(&workflow(&[node(2, "VHS_VideoCombine", &[], &[], &values)], json!([])), &info);
    assert_eq!(
        converted.prompt["2"]["inputs"],
        json!({"frame_rate": 24, "loop_count": 0, "format": "video/h264-mp4", "save_output": false,
            "pix_fmt": "yuv420p", "crf": 23})
    );
    assert!(matches!(&*converted.warnings, [one] if one.contains("of trim")), "{:?}", converted.warnings);
}

#[test]
fn links_that_are_made_when_queued_are_taken_or_named() {
    let everywhere = node(9, "Anything Everywhere", &[input("anything", "*", Some(1))], &[], &json!([]));
    let nodes = [loader(1), everywhere, sampling(4, None)];
    let mut drawn = workflow(&nodes, json!([[1, 1, 0, 9, 0, "MODEL"]]));
    let warnings = converted(&drawn, &data::object_info()).warnings;
    assert!(matches!(&*warnings, [one] if one.contains("node 9 (Anything Everywhere)")), "{warnings:?}");
    let link =
        |downstream: i64| json!({"upstream": "1", "upstream_slot": 0, "downstream": downstream, "downstream_slot": 0});
    drawn["extra"] = json!({"ue_links": [link(4), link(77)]});
    let converted = converted(&drawn, &data::object_info());
    assert_eq!(converted.prompt["4"]["inputs"]["model"], json!(["1", 0]));
    assert!(matches!(&*converted.warnings, [one] if one.contains("77")), "{:?}", converted.warnings);
}

/// A group of a generator and an inverter, as pages saved it: its nodes have an index and no id.
fn group_workflow(first: &Value, values: &Value) -> Value {
    let inner = [
        first.clone(),
        json!({"type": "ImageInvert", "mode": 0, "index": 1,
        "inputs": [input("image", "IMAGE", None)], "outputs": [{"name": "IMAGE", "type": "IMAGE"}]}),
    ];
    let mut drawn = workflow(
        &[
            node(3, "workflow>two", &[], &["IMAGE"], values),
            node(4, "SaveImage", &[input("images", "IMAGE", Some(1))], &[], &json!(["o"])),
        ],
        json!([[1, 3, 0, 4, 0, "IMAGE"]]),
    );
    drawn["extra"] =
        json!({"groupNodes": {"two": {"nodes": inner, "links": [[0, 0, 1, 0, 9, "IMAGE"]], "external": []}}});
    drawn
}

#[test]
fn inner_nodes_of_a_group_need_no_id() {
    let image = json!({"type": "EmptyImage", "mode": 0, "index": 0, "inputs": [], "outputs": [{"name": "IMAGE", "type": "IMAGE"}]});
    let converted = converted(&group_workflow(&image, &json!([64, 32, 1, 7])), &data::object_info());
    assert_eq!(converted.prompt.len(), 3);
    let image = converted.prompt.values().find(|node| node["class_type"] == "EmptyImage").unwrap();
    assert_eq!((&image["inputs"]["width"], &image["inputs"]["height"]), (&json!(64), &json!(32)));
    assert!(converted.prompt["4"]["inputs"]["images"].is_array());
}

#[test]
fn values_do_not_shift_behind_an_unknown_node_of_a_group() {
    let unknown = json!({"type": "PackLoader", "mode": 0, "index": 0, "inputs": [],
        "outputs": [{"name": "IMAGE", "type": "IMAGE"}], "widgets_values": ["a.safetensors", "bf16"]});
    let mut drawn = group_workflow(&unknown, &json!(["b.safetensors", "fp8", 64, 32, 1, 7]));
    let image = json!({"type": "EmptyImage", "mode": 0, "index": 2, "inputs": [], "outputs": [{"name": "IMAGE", "type": "IMAGE"}]});
    drawn["extra"]["groupNodes"]["two"]["nodes"].as_array_mut().unwrap().push(image);
    let needs = requirements(&drawn, &data::object_info(), &FolderLists::new());
    assert_eq!(needs.models.iter().map(|model| model.name.as_str()).collect::<Vec<_>>(), ["b.safetensors"]);
    assert_eq!(needs.unknown_nodes[0].node_type, "PackLoader");
}

#[test]
fn promoted_values_do_not_shift_behind_an_unknown_inner_node() {
    let with_widget =
        |name: &str, link: i64| json!({"name": name, "type": "COMBO", "link": link, "widget": {"name": name}});
    let inner = json!({"id": "inner", "outputs": [],
    "inputs": [
        {"name": "strange_name", "type": "COMBO", "linkIds": [1]}, {"name": "ckpt_name", "type": "COMBO", "linkIds": [2]},
    ],
    "nodes": [
        node(3, "PackLoader", &[with_widget("strange_name", 1)], &["THING"], &json!(["inner.safetensors"])),
        node(4, "CheckpointLoaderSimple", &[with_widget("ckpt_name", 2)], &["MODEL", "CLIP", "VAE"], &json!(["inner2.safetensors"])),
    ],
    "links": [
        {"id": 1, "origin_id": -10, "origin_slot": 0, "target_id": 3, "target_slot": 0},
        {"id": 2, "origin_id": -10, "origin_slot": 1, "target_id": 4, "target_slot": 0},
    ]});
    let inputs = [with_widget("strange_name", 0), with_widget("ckpt_name", 0)].map(|mut input| {
        input["link"] = Value::Null;
        input
    });
    let mut drawn =
        workflow(&[node(7, "inner", &inputs, &[], &json!(["strange.safetensors", "base.safetensors"]))], json!([]));
    drawn["definitions"] = json!({"subgraphs": [inner]});
    let needs = requirements(&drawn, &data::object_info(), &FolderLists::new());
    let used: Vec<_> =
        needs.models.iter().map(|model| (model.name.as_str(), model.used_by[0].node_type.as_str())).collect();
    assert!(used.contains(&("base.safetensors", "CheckpointLoaderSimple")), "{used:?}");
    assert!(
        used.iter().all(|(name, node_type)| *name != "strange.safetensors" || *node_type == "PackLoader"),
        "{used:?}"
    );
}

#[test]
fn files_in_the_values_of_an_unknown_node_are_found() {
    let nodes = [
        node(1, "WanVideoModelLoader", &[], &["WANVIDEOMODEL"], &json!(["wan\\14B_fp8.safetensors", "bf16"])),
        node(2, "UnetLoaderGGUF", &[], &["MODEL"], &json!({"unet_name": "q4.gguf"})),
        node(3, "DualCLIPLoaderGGUF", &[], &["CLIP"], &json!(["l.gguf", "t5.gguf", "flux"])),
    ];
    let needs = requirements(&workflow(&nodes, json!([])), &data::object_info(), &FolderLists::new());
    let files: Vec<_> = needs.models.iter().map(|model| (model.folder.as_deref(), model.name.as_str())).collect();
    assert_eq!(
        files,
        [
            (None, "wan/14B_fp8.safetensors"),
            (Some("diffusion_models"), "q4.gguf"),
            (Some("text_encoders"), "l.gguf"),
            (Some("text_encoders"), "t5.gguf"),
        ]
    );
}

#[test]
fn files_that_a_text_mentions_are_found() {
    let text = "a <lora:detail tweaker:0.8:1> picture, (embedding:easynegative:1.2), embedding:sub/bad.pt <lora:broken";
    let prompt = json!({"1": {"class_type": "CLIPTextEncode", "inputs": {"text": text}}});
    let folders = FolderLists::from([("loras".to_owned(), vec!["sd/detail tweaker.pt".to_owned()])]);
    let needs = requirements(&prompt, &data::object_info(), &folders);
    let files: Vec<_> =
        needs.models.iter().map(|model| (model.folder.as_deref().unwrap(), &*model.name, model.listed)).collect();
    assert_eq!(
        files,
        [
            ("loras", "sd/detail tweaker.pt", Some(true)),
            ("embeddings", "easynegative.safetensors", None),
            ("embeddings", "sub/bad.pt", None),
        ]
    );
    assert!(!graph::is_ui_format(&prompt));
}

/// These three were saved by a newer ComfyUI than the recorded one, whose nodes have an input more.
#[test]
fn only_values_that_this_comfyui_has_no_input_for_are_lost_of_official_templates() {
    let mut lost = BTreeSet::new();
    for entry in std::fs::read_dir(data::folder("workflows")).unwrap() {
        let warnings = converted(&data::json(entry.unwrap().path()), &data::object_info()).warnings;
        let types = warnings.iter().filter(|warning| !warning.contains("choice was taken"));
        lost.extend(types.map(|warning| warning.split(['(', ')']).nth(1).unwrap().to_owned()));
    }
    assert_eq!(lost.iter().collect::<Vec<_>>(), ["CFGNorm", "GetImageSize", "ImageScaleToTotalPixels"]);
}
