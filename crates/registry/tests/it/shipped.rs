//! The catalogue inside the binary: what is odd in it does not trip anything, and it is complete.

use std::collections::{BTreeSet, HashMap};

use registry::{PresetId, embedded};

#[test]
fn the_shipped_catalogue_has_56_presets_and_leaves_none_out() {
    let catalog = embedded();
    assert_eq!(catalog.skipped(), []);
    assert_eq!(catalog.len(), 56);
    assert_eq!(catalog.version(), Some("1.5.0"));
    assert_eq!(catalog.generated_at().unwrap().to_string(), "2025-10-25T16:00:00Z");
    let categories: Vec<_> = catalog.categories().into_iter().map(|c| (c.name, c.kind.unwrap(), c.count)).collect();
    let expected =
        [("Video Generation", "video", 26), ("Image Generation", "image", 25), ("Audio Generation", "audio", 5)];
    assert_eq!(categories, expected.map(|(name, kind, count)| (name.to_owned(), kind.to_owned(), count)));
}

#[test]
fn every_shipped_preset_says_what_it_is_what_for_and_on_which_card() {
    let cards = [4.0, 6.0, 8.0, 10.0, 12.0, 16.0, 24.0, 32.0, 48.0, 80.0];
    let mut sentences = BTreeSet::new();
    for preset in embedded().iter() {
        assert!(preset.description.len() > 40 && preset.description.ends_with('.'), "{}", preset.id);
        assert!(preset.use_case.len() > 25 && preset.use_case.ends_with('.'), "{}", preset.id);
        assert!(sentences.insert(preset.description.clone()), "{} repeats another's words", preset.id);
        assert!(cards.contains(&preset.vram_gb().unwrap()), "{}", preset.id);
        assert!(preset.stated_size.is_some() && !preset.tags.is_empty(), "{}", preset.id);
    }
}

#[test]
fn the_document_on_video_memory_has_the_figure_of_every_shipped_preset() {
    let table = include_str!("../../../../docs/vram.md");
    for preset in embedded().iter() {
        let row = table.lines().find(|line| line.starts_with(&format!("| `{}` |", preset.id))).unwrap();
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        assert_eq!(cells[9], format!("**{}**", preset.vram_gb().unwrap()), "{}", preset.id);
        let sum: f64 = cells[8].parse().unwrap();
        assert!(sum <= preset.vram_gb().unwrap(), "{}", preset.id);
    }
    assert_eq!(table.lines().filter(|line| line.starts_with("| `")).count(), 56);
}

#[test]
fn page_links_of_hugging_face_are_kept_as_they_are() {
    let catalog = embedded();
    let pages = catalog.iter().flat_map(|preset| &preset.files).filter(|file| file.url.contains("/blob/"));
    assert_eq!(pages.count(), 13);
}

#[test]
fn five_paths_are_claimed_with_different_urls_and_each_claim_is_kept() {
    let catalog = embedded();
    let mut sources: HashMap<_, BTreeSet<_>> = HashMap::new();
    for file in catalog.iter().flat_map(|preset| &preset.files) {
        sources.entry(&file.path).or_default().insert(file.url.as_str());
    }
    assert_eq!(sources.len(), 72);
    let shared: Vec<_> = sources.iter().filter(|(_, urls)| urls.len() > 1).collect();
    assert_eq!(shared.len(), 5);
    let (clip, urls) = shared.iter().max_by_key(|(_, urls)| urls.len()).unwrap();
    assert_eq!((clip.as_str(), urls.len()), ("text_encoders/clip_l.safetensors", 6));
    assert!(catalog.presets_claiming(clip).len() >= 6);
}

#[test]
fn a_file_without_a_size_in_bytes_takes_the_size_in_words() {
    let preset = preset("WAN2_2_TI2V_5B_FP16");
    assert_eq!(preset.files[0].stated_size, Some(9_310_000_000));
    assert_eq!(preset.stated_size, Some(15_000_000_000));
    let catalog = embedded();
    let files: Vec<_> = catalog.iter().flat_map(|preset| &preset.files).collect();
    assert_eq!(files.len(), 183);
    assert!(files.iter().all(|file| file.stated_size.is_some()));
}

#[test]
fn each_template_is_named_by_the_preset_whose_files_it_loads() {
    let named: Vec<_> = embedded()
        .iter()
        .flat_map(|preset| preset.workflows.iter().map(|name| (preset.id.to_string(), name.clone())))
        .collect();
    let expected = [
        ("FLUX_SCHNELL_BASIC", "flux_schnell_text_to_image.json"),
        ("SDXL_BASE_V1", "sdxl_text_to_image.json"),
        ("ACE_STEP_V1_3_5B", "ace_step_text_to_music.json"),
        ("WAN2_2_TI2V_5B_FP16", "wan22_5b_text_to_video.json"),
    ];
    assert_eq!(named, expected.map(|(id, name)| (id.to_owned(), name.to_owned())));
}

fn preset(id: &str) -> registry::Preset {
    embedded().get(&PresetId::parse(id).unwrap()).unwrap().clone()
}
