//! The three formats of a registry, from files.

use std::fs;
use std::path::Path;

use registry::{Catalog, License, PresetId, RegistryError, VramFrom, load};
use semver::Version;
use serde_json::json;

use crate::texts::{document, document_of, preset};

#[test]
fn format_1_carries_every_field() {
    let mut full = preset("FULL");
    full["dependencies"] = json!(["BASE"]);
    full["workflows"] = json!(["a.json"]);
    full["some_future_key"] = json!({"ignored": true});
    let catalog =
        load_text("registry.json", &document(json!({"FULL": full, "BASE": preset("BASE")})).to_string()).unwrap();
    assert_eq!(catalog.skipped(), []);
    assert_eq!((catalog.version(), catalog.schema_version()), (Some("2.0.0"), Some("1.0")));
    let full = catalog.get(&id("FULL")).unwrap();
    assert_eq!(
        (full.name.as_str(), full.category.as_str(), full.kind.as_str()),
        ("The FULL", "Image Generation", "image")
    );
    assert_eq!((full.description.as_str(), full.use_case.as_str()), ("A model.", "Pictures."));
    assert_eq!((full.version.clone(), full.vram_gb()), (Version::new(1, 0, 0), Some(8.0)));
    assert_eq!((full.tags.clone(), full.workflows.clone()), (vec!["fast".to_owned()], vec!["a.json".to_owned()]));
    assert_eq!((full.dependencies.clone(), full.stated_size), (vec![id("BASE")], Some(2_000_000_000)));
    let file = &full.files[0];
    assert_eq!((file.path.as_str(), file.url.as_str()), ("checkpoints/FULL.safetensors", "https://example.com/FULL"));
    assert_eq!((file.path.folder(), file.path.file_name()), (Some("checkpoints"), "FULL.safetensors"));
    assert_eq!((file.stated_size, file.sha256), (Some(2_000_000_000), Some([0xab; 32])));
}

#[test]
fn our_own_figures_stand_where_the_registry_has_none() {
    let with = |id: &str, vram: serde_json::Value| {
        let mut preset = preset(id);
        preset["requirements"] = json!({"vram_gb": vram});
        preset
    };
    let presets = json!({
        "flux-dev-basic": with("flux-dev-basic", json!(0)), "ltx-video-t2v": with("ltx-video-t2v", json!(11)),
        "sdxl-base-v1": with("sdxl-base-v1", json!(null)), "unheard-of": with("unheard-of", json!(0)),
    });
    let catalog = load_text("registry.json", &document(presets).to_string()).unwrap();
    let vram = |id_: &str| catalog.get(&id(id_)).unwrap().vram.map(|vram| (vram.gb, vram.from));
    let ours = |id_: &str| registry::embedded().get(&id(id_)).unwrap().vram_gb().map(|gb| (gb, VramFrom::Dashboard));
    assert_eq!(vram("FLUX_DEV_BASIC"), ours("FLUX_DEV_BASIC"));
    assert_eq!(vram("SDXL_BASE_V1"), ours("SDXL_BASE_V1"));
    assert_eq!(vram("LTX_VIDEO_T2V"), Some((11.0, VramFrom::Registry)));
    assert_eq!(vram("UNHEARD_OF"), None);
}

#[test]
fn license_family_and_gate_are_read_where_they_are_stated() {
    let mut full = preset("FULL");
    full["license"] = json!({"name": "Apache 2.0", "url": "https://example.com/license"});
    (full["gated"], full["family"]) = (json!(true), json!("flux"));
    let mut odd = preset("ODD");
    odd["license"] = json!({"name": "Mine", "url": "javascript:alert(1)"});
    (odd["gated"], odd["family"]) = (json!("auto"), json!([]));
    let text = document(json!({"FULL": full, "ODD": odd})).to_string();
    let catalog = load_text("registry.json", &text).unwrap();
    let license = |name: &str, url: Option<&str>| Some(License { name: name.into(), url: url.map(str::to_owned) });
    let (full, odd) = (catalog.get(&id("FULL")).unwrap(), catalog.get(&id("ODD")).unwrap());
    assert_eq!(full.license, license("Apache 2.0", Some("https://example.com/license")));
    assert_eq!((full.gated, full.family.as_deref()), (Some(true), Some("flux")));
    assert_eq!((odd.license.clone(), odd.gated, odd.family.clone()), (license("Mine", None), None, None));
}

const INDEX: &str = r#"{
    "version": "3.1.0", "generated_at": "2026-05-01T00:00:00Z", "categories": {"Video Generation": "video"},
    "stats": {"total": 3, "by_category": {"Video Generation": 3}},
    "presets": {
        "WAN": {"path": "presets/wan/preset.yaml", "version": "1.1.0"},
        "GONE": {"path": "presets/gone.yaml", "version": "1.0.0"},
        "OUT": {"path": "../outside.yaml", "version": "1.0.0"}
    }
}"#;

const WAN_YAML: &str = "
id: WAN
name: Wan
category: Video Generation
type: video
description: |
  Two lines
  of text.
tags: [wan, 2.2]
requirements: {vram_gb: 16}
files:
  - path: diffusion_models/wan.safetensors
    url: https://example.com/wan.safetensors
    size: ~9.31GB (9536MB)
    size_bytes: null
";

#[test]
fn format_2_reads_the_files_that_its_index_names_and_skips_those_that_are_missing_or_outside() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("registry/presets/wan")).unwrap();
    fs::write(folder.path().join("outside.yaml"), WAN_YAML).unwrap();
    fs::write(folder.path().join("registry/presets/wan/preset.yaml"), WAN_YAML).unwrap();
    fs::write(folder.path().join("registry/index.json"), INDEX).unwrap();
    let catalog = load(&folder.path().join("registry/index.json")).unwrap();
    assert_eq!((catalog.version(), catalog.len()), (Some("3.1.0"), 1));
    let wan = catalog.get(&id("WAN")).unwrap();
    assert_eq!((wan.version.clone(), wan.vram_gb()), (Version::new(1, 1, 0), Some(16.0)));
    assert_eq!(
        (wan.tags.clone(), wan.files[0].stated_size),
        (vec!["wan".to_owned(), "2.2".to_owned()], Some(9_310_000_000))
    );
    let faults: Vec<_> = catalog.skipped().iter().map(ToString::to_string).collect();
    assert!(faults[0].starts_with(r#"preset "GONE", field path: presets/gone.yaml could not be read"#), "{faults:?}");
    assert!(faults[1].starts_with(r#"preset "OUT", field path: the path "../outside.yaml" is refused"#), "{faults:?}");
}

#[test]
fn format_3_takes_type_from_the_category_and_versions_from_metadata() {
    let text = "
metadata: {version: 1.0, last_updated: 2025-10-25, schema_version: '1.0'}
categories:
  Audio Generation: {description: Sound, type: audio}
presets:
  MUSIC:
    name: Music
    category: Audio Generation
    description: Makes music.
    download_size: 7.2GB
    files:
      - {path: checkpoints/music.safetensors, url: 'https://example.com/m', size: 7.17GB}
";
    let catalog = load_text("presets.yaml", text).unwrap();
    assert_eq!(catalog.version(), Some("1.0"));
    assert_eq!(catalog.generated_at().unwrap().to_string(), "2025-10-25T00:00:00Z");
    let music = catalog.get(&id("MUSIC")).unwrap();
    assert_eq!((music.kind.as_str(), music.version.clone()), ("audio", Version::new(1, 0, 0)));
    assert_eq!((music.stated_size, music.files[0].stated_size), (Some(7_200_000_000), Some(7_170_000_000)));
}

#[test]
fn the_format_shows_in_the_content_and_not_in_the_name() {
    let catalog = load_text("presets.yaml", &document_of(&["A"])).unwrap();
    assert_eq!(catalog.len(), 1);
}

#[test]
fn a_document_that_is_no_registry_is_refused_with_its_reason() {
    let table = [
        ("", "must be an object"),
        ("<!DOCTYPE html><html><body>Not found</body></html>", "must be an object"),
        ("404: Not Found", "presets is missing"),
        ("{\"presets\": {\"A\": {", "neither JSON nor YAML"),
        ("{\"presets\": []}", "presets must be an object"),
        ("{\"version\": \"1\"}", "presets is missing"),
        ("{\"presets\": {}}", "has no usable preset: it lists none"),
        ("{\"presets\": {\"A\": {\"name\": \"x\"}, \"B\": 7}}", "has no usable preset: preset \"A\", field category"),
        ("[1, 2, 3]", "must be an object"),
        ("a: [", "neither JSON nor YAML"),
        ("\u{0}\u{1}\u{2}", "neither JSON nor YAML"),
    ];
    for (text, reason) in table {
        let error = load_text("registry.json", text).unwrap_err().to_string();
        assert!(error.contains(reason), "{text:?}: {error}");
    }
}

#[test]
fn texts_that_cost_more_than_their_length_are_refused_at_once() {
    let deep_json = format!("{{\"presets\": {}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let deep_yaml = format!("presets: {}", "[".repeat(1_000_000));
    let deep_list = "- ".repeat(10_000);
    let crowded_json = format!("{{\"presets\": {{\"A\": [{}0]}}}}", "0,".repeat(1_000_000));
    let crowded_yaml = format!("presets: [{}0]", "0,".repeat(1_000_000));
    let mut laughs = "a: &a [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (name, earlier) in ["b", "c", "d", "e", "f", "g", "h", "i"].iter().zip(["a", "b", "c", "d", "e", "f", "g", "h"])
    {
        let aliases = vec![format!("*{earlier}"); 9].join(", ");
        laughs.push_str(&format!("{name}: &{name} [{aliases}]\n"));
    }
    // One level of aliases is no bomb for the parser, which counts the aliases alone.
    let multiplied = format!("a: &a [{}0]\nb: [{}0]\n", "0,".repeat(5_000), "*a,".repeat(5_000));
    let long_text = format!("a: &a {}\nb: [{}0]\n", "x".repeat(100_000), "*a,".repeat(5_000));
    for text in [deep_json, deep_yaml, deep_list, crowded_json, crowded_yaml, laughs, multiplied, long_text] {
        let outcome = load_text("registry", &text);
        assert!(matches!(outcome, Err(RegistryError::Syntax { .. })), "{}", &text[..30]);
    }
}

#[test]
fn a_missing_or_oversized_file_is_named() {
    let error = load(Path::new("/nonexistent/registry.json")).unwrap_err();
    assert_eq!(error.to_string(), "the registry file /nonexistent/registry.json could not be read");
    let error = load_text("registry.json", &" ".repeat(5 * 1024 * 1024)).unwrap_err();
    assert!(matches!(error, RegistryError::ReadFile { .. }), "{error}");
}

fn load_text(name: &str, text: &str) -> Result<Catalog, RegistryError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    load(&path)
}

fn id(text: &str) -> PresetId {
    PresetId::parse(text).unwrap()
}
