//! Registry documents: every preset that comes out of one is confined, complete and installable, and is kept as it was read.

use std::collections::BTreeSet;

use registry::fuzzing::{read_document, read_kept};
use registry::{Catalog, ConfinedPath, Preset, PresetId};

use crate::memory::{self, Limit};

/// A value of one character costs about a hundred bytes, and aliases of YAML may repeat values up to a number.
const MEMORY: Limit = Limit { fixed: 96 << 20, per_byte: 256 };

pub(crate) fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok((catalog, kept)) = memory::bounded(bytes.len(), MEMORY, || read_document(text)) else { return };
    assert!(!catalog.is_empty());
    for preset in catalog.iter() {
        check_preset(preset, &catalog);
    }
    let presets = |catalog: &Catalog| catalog.iter().cloned().collect::<Vec<Preset>>();
    let (again, _) = read_document(text).expect("it was read before");
    assert_eq!(presets(&again), presets(&catalog), "parsing is deterministic");

    let file = serde_json::to_vec(&kept).expect("a value is JSON");
    let kept = read_kept(serde_json::from_slice(&file).expect("it was written as JSON")).expect("it was usable");
    assert_eq!(presets(&kept), presets(&catalog), "what is kept for the next start is what was read");
    assert_eq!(kept.skipped(), catalog.skipped());
}

fn check_preset(preset: &Preset, catalog: &Catalog) {
    PresetId::parse(preset.id.as_ref()).expect("a catalog has valid ids only");
    assert!(preset.vram_gb().is_none_or(f64::is_finite));
    assert!(!preset.files.is_empty(), "{} installs nothing", preset.id);
    let paths: BTreeSet<&str> = preset.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths.len(), preset.files.len(), "each path once");
    for file in &preset.files {
        let path = file.path.as_str();
        ConfinedPath::parse(path).expect("a path stays confined");
        assert!(!path.starts_with('/') && path.split('/').all(|part| !matches!(part, "" | "." | "..")), "{path:?}");
        assert!(file.url.to_ascii_lowercase().starts_with("http"), "{:?}", file.url);
    }
    let order = catalog.install_order(&preset.id);
    let mut installed = BTreeSet::new();
    for step in order {
        assert!(step.dependencies.iter().all(|needed| installed.contains(needed)), "{} comes too early", step.id);
        assert!(installed.insert(&step.id), "{} is installed twice", step.id);
    }
    assert!(installed.contains(&preset.id));
}
