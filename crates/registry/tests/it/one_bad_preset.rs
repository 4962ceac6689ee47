//! One bad preset is left out with the field named, and the others stay.

use registry::load;
use serde_json::{Value, json};

use crate::texts::{document, preset};

/// What is done to a valid preset, the field that is then named, and a piece of the reason.
fn bad_presets() -> Vec<(&'static str, Value, &'static str, &'static str)> {
    vec![
        ("", json!(7), "the entry", "must be an object"),
        ("", json!(["BAD", "Bad"]), "the entry", "must be an object"),
        ("/name", json!(null), "name", "missing or empty"),
        ("/name", json!({"en": "x"}), "name", "expected a string"),
        ("/category", json!("  "), "category", "missing or empty"),
        ("/id", json!("OTHER"), "id", "stands under"),
        ("/version", json!("one"), "version", "no semantic version"),
        ("/tags", json!("fast"), "tags", "expected a sequence"),
        ("/requirements/vram_gb", json!("lots"), "requirements.vram_gb", "expected f64"),
        ("/requirements/vram_gb", json!(-1), "requirements.vram_gb", "0 or more"),
        ("/dependencies", json!(["../X"]), "dependencies[0]", "no preset id"),
        ("/dependencies", json!(["MISSING"]), "dependencies", "BAD -> MISSING"),
        ("/files", json!([]), "files", "missing or empty"),
        ("/files", json!({}), "files", "expected a sequence"),
        ("/files/0/path", json!(null), "files[0].path", "missing or empty"),
        ("/files/0/path", json!("../../etc/passwd"), "files[0].path", "'..'"),
        ("/files/0/path", json!("/etc/passwd"), "files[0].path", "absolute"),
        ("/files/0/url", json!("ftp://example.com/m"), "files[0].url", "accepted is an http or https URL"),
        ("/files/0/url", json!("file:///etc/passwd"), "files[0].url", "another scheme"),
        ("/files/0/url", json!("example.com/m"), "files[0].url", "is no URL"),
        ("/files/0/url", json!("https://u:p@example.com/m"), "files[0].url", "credentials"),
        ("/files/0/url", json!("https://example.com/m\r\nHost: x"), "files[0].url", "control character"),
        ("/files/0/checksum", json!("md5:abc"), "files[0].checksum", "64 hex digits"),
        ("/files/0/checksum", json!("sha256:zz"), "files[0].checksum", "64 hex digits"),
    ]
}

#[test]
fn a_bad_preset_is_left_out_with_the_field_named_and_the_good_one_stays() {
    for (pointer, value, field, reason) in bad_presets() {
        let mut bad = preset("BAD");
        *bad.pointer_mut(pointer).unwrap() = value;
        let (kept, faults) = load_presets(json!({"BAD": bad, "GOOD": preset("GOOD")}));
        assert_eq!(kept, ["GOOD"], "{pointer}");
        assert_eq!((faults[0].preset.as_str(), faults[0].field.as_str()), ("BAD", field));
        assert!(faults[0].reason.contains(reason), "{pointer}: {}", faults[0]);
    }
}

#[test]
fn a_credential_in_a_url_is_not_repeated_in_the_reason() {
    for url in ["https://user:hunter2@example.com/m", "ftp://user:hunter2@example.com/m", "https://user:hunter2@/ m"] {
        let mut bad = preset("BAD");
        bad["files"][0]["url"] = json!(url);
        let (_, faults) = load_presets(json!({"BAD": bad, "GOOD": preset("GOOD")}));
        assert!(!faults[0].to_string().contains("hunter2"), "{}", faults[0]);
    }
}

#[test]
fn keys_that_are_no_ids_are_left_out() {
    let long = "A".repeat(129);
    for key in ["", "_A", "-A", ".A", "A B", "A/B", "../A", "Ä", long.as_str()] {
        let (kept, faults) = load_presets(json!({key: preset("X"), "GOOD": preset("GOOD")}));
        assert_eq!((kept, faults[0].field.as_str()), (vec!["GOOD".to_owned()], "id"), "{key:?}");
    }
    let longest = "A".repeat(128);
    let (kept, faults) =
        load_presets(json!({longest.as_str(): preset(&longest), "4x-NMKD_v1.5": preset("4x-NMKD_v1.5")}));
    assert_eq!((kept.len(), faults.len()), (2, 0));
}

#[test]
fn wrong_sizes_fail_nothing() {
    for size in [json!(null), json!(-5), json!("huge"), json!(4.8e9), json!([1]), json!(0)] {
        let mut odd = preset("ODD");
        odd["download_size"] = size.clone();
        odd["files"][0]["size"] = size.clone();
        odd["files"][0]["size_bytes"] = size.clone();
        let (kept, _) = load_presets(json!({"ODD": odd}));
        assert_eq!(kept, ["ODD"], "{size}");
    }
}

#[test]
fn a_file_that_stands_twice_is_one_file_unless_its_urls_differ() {
    let mut doubled = preset("DOUBLED");
    let mut file = doubled["files"][0].clone();
    doubled["files"].as_array_mut().unwrap().push(file.clone());
    file["url"] = json!("https://example.com/other");
    let mut torn = preset("TORN");
    torn["files"][0]["path"] = file["path"].clone();
    torn["files"].as_array_mut().unwrap().push(file);
    let (kept, faults) = load_presets(json!({"DOUBLED": doubled, "TORN": torn}));
    assert_eq!(kept, ["DOUBLED"]);
    assert_eq!(faults[0].field, "files[1].path");
}

#[test]
fn presets_in_a_circle_and_those_that_need_them_are_left_out() {
    let needing = |id: &str, needs: &[&str]| {
        let mut preset = preset(id);
        preset["dependencies"] = json!(needs);
        preset
    };
    let (kept, faults) = load_presets(json!({
        "A": needing("A", &["B"]), "B": needing("B", &["C"]), "C": needing("C", &["A"]),
        "SELF": needing("SELF", &["SELF"]), "USER": needing("USER", &["GOOD", "A"]),
        "ORPHAN": needing("ORPHAN", &["LOST"]), "GRANDCHILD": needing("GRANDCHILD", &["ORPHAN"]),
        "GOOD": needing("GOOD", &["BASE"]), "BASE": preset("BASE"),
    }));
    assert_eq!(kept, ["GOOD", "BASE"]);
    let reasons: Vec<_> = faults.iter().map(|fault| (fault.preset.as_str(), fault.reason.as_str())).collect();
    let circle = "the dependencies lead in a circle: ";
    let lost = "the dependencies end at a preset that this registry does not have: ";
    let expected = [
        ("A", format!("{circle}A -> B -> C -> A")),
        ("B", format!("{circle}B -> C -> A -> B")),
        ("C", format!("{circle}C -> A -> B -> C")),
        ("SELF", format!("{circle}SELF -> SELF")),
        ("USER", format!("{circle}USER -> A -> B -> C -> A")),
        ("ORPHAN", format!("{lost}ORPHAN -> LOST")),
        ("GRANDCHILD", format!("{lost}GRANDCHILD -> ORPHAN -> LOST")),
    ];
    assert_eq!(reasons, expected.iter().map(|(id, reason)| (*id, reason.as_str())).collect::<Vec<_>>());
}

#[test]
fn ids_that_differ_in_case_and_hyphens_are_one_preset() {
    let mut needing = preset("user");
    needing["dependencies"] = json!(["LTX_video-T2V"]);
    let (kept, faults) = load_presets(json!({
        "ltx-video-t2v": preset("ltx-video-t2v"), "LTX_VIDEO_T2V": preset("LTX_VIDEO_T2V"), "user": needing,
    }));
    assert_eq!(kept, ["LTX_VIDEO_T2V", "USER"]);
    assert_eq!((faults.len(), faults[0].preset.as_str(), faults[0].field.as_str()), (1, "LTX_VIDEO_T2V", "id"));
    assert!(faults[0].reason.contains("ltx-video-t2v"), "{}", faults[0]);
}

fn load_presets(presets: Value) -> (Vec<String>, Vec<registry::Fault>) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("registry.json");
    std::fs::write(&path, document(presets).to_string()).unwrap();
    let catalog = load(&path).unwrap();
    (catalog.iter().map(|preset| preset.id.to_string()).collect(), catalog.skipped().to_vec())
}
