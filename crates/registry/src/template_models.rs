//! The model files that ComfyUI's official workflow templates note, with their addresses. They are many more than the presets have,
//! and are known without any network.
//!
//! `data/template_models.json` is written by `cargo xtask model-index` from the package `comfyui-workflow-templates-json` (MIT).

use std::{collections::HashMap, sync::LazyLock};

use serde::Deserialize;

/// A model file of the templates.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TemplateModel {
    /// Its folder under the models: `checkpoints`.
    pub folder: String,
    /// Its name, without a folder.
    pub name: String,
    /// Where it is fetched from; of several addresses the one that most templates note.
    pub url: String,
    /// Its SHA-256 in lower-case hex, where a template notes it.
    pub sha256: Option<String>,
}

/// Every model file of the templates, by name.
#[derive(Debug)]
pub struct TemplateModels(HashMap<String, Vec<TemplateModel>>);

#[derive(Deserialize)]
struct Document {
    files: Vec<TemplateModel>,
}

impl TemplateModels {
    /// Those that this build carries.
    ///
    /// # Panics
    /// Never: a test reads them.
    pub fn embedded() -> &'static Self {
        static EMBEDDED: LazyLock<TemplateModels> = LazyLock::new(|| {
            TemplateModels::parse(include_str!("../data/template_models.json"))
                .unwrap_or(TemplateModels(HashMap::new()))
        });
        &EMBEDDED
    }

    fn parse(text: &str) -> Result<Self, serde_json::Error> {
        let Document { files } = serde_json::from_str(text)?;
        let mut by_name: HashMap<String, Vec<TemplateModel>> = HashMap::new();
        for file in files {
            by_name.entry(file.name.clone()).or_default().push(file);
        }
        Ok(Self(by_name))
    }

    /// The files of that name, one for each folder.
    pub fn named(&self, name: &str) -> &[TemplateModel] {
        self.0.get(name).map(Vec::as_slice).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

    use std::collections::HashSet;

    use super::*;
    use crate::ConfinedPath;

    #[test]
    fn every_file_has_a_place_and_an_address_of_its_own() {
        let files = TemplateModels::parse(include_str!("../data/template_models.json")).unwrap().0;
        let files: Vec<&TemplateModel> = files.values().flatten().collect();
        assert!(files.len() > 300, "{}", files.len());
        let places: HashSet<String> = files.iter().map(|file| format!("{}/{}", file.folder, file.name)).collect();
        assert_eq!(places.len(), files.len());
        for (place, file) in places.iter().zip(&files) {
            assert!(ConfinedPath::parse(place).is_ok(), "{place}");
            assert!(file.url.starts_with("https://") && !file.url.contains('?'), "{}", file.url);
            assert!(file.sha256.as_ref().is_none_or(|hash| hex::decode(hash).is_ok_and(|hash| hash.len() == 32)));
        }
    }
}
