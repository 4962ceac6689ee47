//! The questions that a catalogue answers: filters, updates, the order of an install, who claims a file.

use registry::{Catalog, ConfinedPath, Filter, PresetId, embedded, load};
use semver::Version;
use serde_json::{Value, json};

use crate::texts::{document, preset};

#[test]
fn filters_narrow_the_list_and_unknown_values_empty_it() {
    let catalog = embedded();
    let count = |filter: Filter<'_>| catalog.filter(&filter).len();
    assert_eq!(count(Filter::default()), 56);
    assert_eq!(count(Filter { category: Some("Audio Generation"), ..Filter::default() }), 5);
    assert_eq!(count(Filter { kind: Some("video"), ..Filter::default() }), 26);
    assert_eq!(count(Filter { kind: Some("VIDEO"), ..Filter::default() }), 26);
    assert_eq!(count(Filter { category: Some("Audio Generation"), kind: Some("video"), search: None }), 0);
    assert_eq!(count(Filter { category: Some("Smell Generation"), ..Filter::default() }), 0);
    assert_eq!(count(Filter { kind: Some(""), ..Filter::default() }), 0);
}

#[test]
fn search_looks_into_name_description_tags_and_id_whatever_the_case() {
    let found = |search: &str| -> Vec<String> {
        let filter = Filter { search: Some(search), ..Filter::default() };
        embedded().filter(&filter).into_iter().map(|preset| preset.id.to_string()).collect()
    };
    assert_eq!(found("juggernaut xl V8"), ["JUGGERNAUT_XL_V8"]);
    assert_eq!(found("LIGHTRICKS"), ["LTX_VIDEO_T2V", "LTX_VIDEO_I2V", "LTX_VIDEO_MULTI_FRAME"]);
    assert_eq!(found("multi-track"), ["ACE_STEP_MULTI_TRACK"]);
    assert_eq!(found("wan_22_5b"), ["WAN_22_5B_TIV2"]);
    assert_eq!(found("nothing has this word").len(), 0);
    assert_eq!(found("  ").len(), 56);
}

#[test]
fn an_update_is_a_newer_version_by_semantic_versioning() {
    let table = [
        ("1.0.0", "1.1.0", true),
        ("1.9.0", "1.10.0", true),
        ("1.0.0-rc.1", "1.0.0", true),
        ("1.0.0", "1.0.0", false),
        ("1.0.0+build1", "1.0.0+build2", false),
        ("2.0.0", "1.9.9", false),
        ("1.0.0", "1.0.1-rc.1", true),
    ];
    for (installed, available, is_update) in table {
        let mut newer = preset("A");
        newer["version"] = json!(available);
        let catalog = catalog(json!({"A": newer, "B": preset("B")}));
        let (id, installed) = (id("A"), Version::parse(installed).unwrap());
        let updates = catalog.updates([(&id, &installed)]);
        assert_eq!(updates.len(), usize::from(is_update), "{installed} to {available}");
        if let [update] = updates.as_slice() {
            assert_eq!((&update.preset.id, &update.installed), (&id, &installed));
        }
    }
}

#[test]
fn an_installed_preset_that_the_catalogue_does_not_have_is_no_update() {
    let (gone, version) = (id("GONE"), Version::new(0, 1, 0));
    assert!(embedded().updates([(&gone, &version)]).is_empty());
}

#[test]
fn dependencies_come_first_each_once_and_the_preset_itself_last() {
    let needing = |id: &str, needs: &[&str]| {
        let mut preset = preset(id);
        preset["dependencies"] = json!(needs);
        preset
    };
    let catalog = catalog(json!({
        "TOP": needing("TOP", &["LEFT", "RIGHT"]), "LEFT": needing("LEFT", &["BASE"]),
        "RIGHT": needing("RIGHT", &["BASE", "BASE"]), "BASE": preset("BASE"), "OTHER": preset("OTHER"),
    }));
    let order: Vec<&str> = catalog.install_order(&id("TOP")).into_iter().map(|preset| preset.id.as_str()).collect();
    assert_eq!((order[0], order[3], order.len()), ("BASE", "TOP", 4));
    assert_eq!(catalog.install_order(&id("OTHER")).len(), 1);
    assert!(catalog.install_order(&id("UNKNOWN")).is_empty());
}

#[test]
fn a_chain_of_ten_thousand_dependencies_is_ordered_without_deep_recursion() {
    let presets = (0..10_000).map(|n| {
        let mut preset = preset(&format!("P{n}"));
        preset["dependencies"] = if n == 0 { json!([]) } else { json!([format!("P{}", n - 1)]) };
        preset["files"].as_array_mut().unwrap().truncate(1);
        for key in ["description", "use_case", "tags", "workflows", "requirements", "download_size"] {
            preset.as_object_mut().unwrap().remove(key);
        }
        (format!("P{n}"), preset)
    });
    let catalog = catalog(Value::Object(presets.collect()));
    let order = catalog.install_order(&id("P9999"));
    assert_eq!((order.len(), order[0].id.as_str()), (10_000, "P0"));
}

#[test]
fn every_preset_that_claims_a_path_is_found() {
    let catalog = embedded();
    let path = ConfinedPath::parse("vae/ae.safetensors").unwrap();
    let owners: Vec<&str> = catalog.presets_claiming(&path).into_iter().map(|preset| preset.id.as_str()).collect();
    assert_eq!(owners, ["FLUX_SCHNELL_BASIC", "FLUX_DEV_BASIC", "COMPLETE_PROFESSIONAL_SUITE"]);
    assert!(catalog.presets_claiming(&ConfinedPath::parse("vae/none.safetensors").unwrap()).is_empty());
}

fn catalog(presets: Value) -> Catalog {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.json");
    std::fs::write(&path, document(presets).to_string()).unwrap();
    let catalog = load(&path).unwrap();
    assert_eq!(catalog.skipped(), []);
    catalog
}

fn id(text: &str) -> PresetId {
    PresetId::parse(text).unwrap()
}
