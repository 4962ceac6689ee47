//! `extra_model_paths.yaml`: each folder once, below the place that the document says, and of a type that has models.

use std::collections::BTreeSet;
use std::path::Path;

use service::fuzzing::extra_model_folders;

use crate::memory::{self, Limit};

/// Keys and older names that `folder_paths.py` of ComfyUI knows: none of them is a type of models.
const NO_TYPES: [&str; 5] = ["base_path", "is_default", "custom_nodes", "unet", "clip"];

pub(crate) fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let beside = Path::new("/configuration");
    let read = || extra_model_folders(text, beside);
    let Ok(folders) = memory::bounded(bytes.len(), Limit::per_byte(512), read) else { return };
    assert_eq!(read().as_ref(), Ok(&folders), "one text, one list");
    assert_eq!(folders.iter().collect::<BTreeSet<_>>().len(), folders.len(), "each folder once");
    for (kind, folder) in &folders {
        assert!(!NO_TYPES.contains(&kind.as_str()), "{kind} has no models");
        assert!(folder.is_absolute(), "{} depends on where the program was started", folder.display());
    }
    // Every key is a scalar of the document, and YAML spells none with fewer bytes than it has lines.
    assert!(folders.len() <= bytes.len());
}
