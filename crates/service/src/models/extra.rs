//! Folders of models beside the models folder: those that ComfyUI's `extra_model_paths.yaml` names. They are listed, and
//! deleted from only where the operator allows it. Variables in paths are not expanded: nothing here reads the environment.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::Deserialize;

use crate::{
    Error,
    fits::Structure,
    model_dir::{ModelDir, Stamp},
    models::{marker::marked, names, sidecars::Sidecars},
};

/// Keys of a section that name no folder of models.
const NO_MODELS: [&str; 3] = ["base_path", "is_default", "custom_nodes"];
/// Names of folders that ComfyUI still knows by an older one (folder_paths.py of ComfyUI 0.3.64).
const OLDER_NAMES: [(&str, &str); 2] = [("unet", "diffusion_models"), ("clip", "text_encoders")];

/// Which further folders there are.
#[derive(Debug, Clone, Default)]
pub struct ExtraModelPaths {
    /// ComfyUI's `extra_model_paths.yaml`.
    pub config: Option<PathBuf>,
    /// Whether models in those folders may be deleted.
    pub may_delete: bool,
    /// What `~` in that document stands for.
    pub home: Option<PathBuf>,
}

impl ExtraModelPaths {
    /// The folders that the document names, each with its type. Blocks.
    pub fn folders(&self) -> Result<Vec<(String, PathBuf)>, Error> {
        Ok(named(self)?.into_iter().map(|root| (root.kind.to_string(), root.folder.to_path_buf())).collect())
    }
}

/// A folder of models of one type.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ExtraRoot {
    pub(crate) kind: Arc<str>,
    pub(crate) folder: Arc<Path>,
}

/// A model in such a folder.
#[derive(Debug, Clone)]
pub(crate) struct ExtraFile {
    /// The innermost of the folders that it lies in.
    pub(crate) root: ExtraRoot,
    /// Below that folder.
    pub(crate) path: String,
    /// Every type that finds it, and its path there: one folder may serve several types, or lie in the folder of another.
    pub(crate) places: Vec<ExtraPlace>,
    pub(crate) stamp: Stamp,
    /// What its own bytes say of it, once somebody looked.
    pub(crate) structure: Option<Structure>,
    /// It lies below the models folder, and is listed there.
    pub(crate) is_inside: bool,
}

/// A file as ComfyUI finds it by one type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExtraPlace {
    pub(crate) kind: Arc<str>,
    /// Below a folder of that type.
    pub(crate) path: String,
}

impl ExtraPlace {
    /// Where it would lie below the models folder.
    pub(crate) fn as_path(&self) -> String {
        format!("{}/{}", self.kind, self.path)
    }
}

/// What lies in the other folders.
#[derive(Debug, Default)]
pub(crate) struct ExtraFiles {
    /// Each by its whole path.
    pub(crate) files: BTreeMap<String, ExtraFile>,
    /// The whole path of each by where it would lie below the models folder. Of several, ComfyUI takes the first.
    pub(crate) places: HashMap<String, String>,
    pub(crate) sidecars: Sidecars,
}

/// A section of the document, as ComfyUI reads it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Section {
    Keys(BTreeMap<String, Setting>),
    /// ComfyUI passes over a section without keys.
    Empty(()),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Setting {
    Text(String),
    Other(serde::de::IgnoredAny),
}

/// The folders that a document names, with a warning for each that does not exist; blocks.
pub(crate) fn read(settings: &ExtraModelPaths) -> Result<Vec<ExtraRoot>, Error> {
    let roots = named(settings)?;
    for root in roots.iter().filter(|root| !root.folder.is_dir()) {
        tracing::warn!(kind = %root.kind, folder = %root.folder.display(), "a folder of extra_model_paths.yaml does not exist");
    }
    Ok(roots)
}

/// The folders that a document names. One that cannot be read is a setting that cannot be used.
fn named(settings: &ExtraModelPaths) -> Result<Vec<ExtraRoot>, Error> {
    let Some(config) = &settings.config else { return Ok(Vec::new()) };
    let refused = |cause: String| {
        let message =
            format!("{} cannot be used: {cause}; it takes ComfyUI's extra_model_paths.yaml", config.display());
        Error::invalid("EXTRA_MODEL_PATHS_CONFIG", message)
    };
    let text = fs::read_to_string(config).map_err(|cause| refused(cause.to_string()))?;
    let beside = config.parent().unwrap_or(Path::new("."));
    roots(&text, beside, settings.home.as_deref()).map_err(|cause| refused(cause.to_string()))
}

/// The name by which ComfyUI knows a folder today.
pub(crate) fn present_name(kind: &str) -> &str {
    OLDER_NAMES.iter().find(|(old, _)| *old == kind).map_or(kind, |(_, name)| name)
}

/// A folder as a document names it, `~` resolved.
fn at_home(folder: &str, home: Option<&Path>) -> PathBuf {
    let below = folder.strip_prefix('~').filter(|below| below.is_empty() || below.starts_with('/'));
    match (below, home) {
        (Some(below), Some(home)) => home.join(below.trim_start_matches('/')),
        _ => PathBuf::from(folder),
    }
}

/// The folders that this text names; relative ones lie in the folder `beside`, and `~` is `home`.
pub(crate) fn roots(text: &str, beside: &Path, home: Option<&Path>) -> Result<Vec<ExtraRoot>, serde_norway::Error> {
    let sections: Option<BTreeMap<String, Section>> = serde_norway::from_str(text)?;
    let (mut found, mut seen) = (Vec::new(), HashSet::new());
    for section in sections.unwrap_or_default().into_values() {
        let Section::Keys(keys) = section else { continue };
        let base = match keys.get("base_path") {
            Some(Setting::Text(base)) => beside.join(at_home(base.trim(), home)),
            _ => beside.to_owned(),
        };
        for (kind, setting) in &keys {
            let Setting::Text(folders) = setting else { continue };
            if NO_MODELS.contains(&kind.as_str()) {
                continue;
            }
            let kind = present_name(kind);
            for folder in folders.lines().map(str::trim).filter(|folder| !folder.is_empty()) {
                let root = ExtraRoot { kind: kind.into(), folder: base.join(at_home(folder, home)).into() };
                if seen.insert(root.clone()) {
                    found.push(root);
                }
            }
        }
    }
    Ok(found)
}

/// Every model in these folders; blocks. Left out is what another program has not finished. A folder that is not there has none.
/// `is_claimed` says whether a preset names a file at a place below the models folder.
pub(crate) fn walk(roots: &[ExtraRoot], models: &Path, is_claimed: impl Fn(&str) -> bool) -> ExtraFiles {
    let mut walked: HashMap<PathBuf, Vec<(String, Stamp)>> = HashMap::new();
    let mut found = ExtraFiles::default();
    let mut others = Vec::new();
    for root in roots {
        let Ok(folder) = ModelDir::existing(&root.folder) else { continue };
        let files = walked.entry(folder.root().to_owned()).or_insert_with(|| finished(folder.walk()));
        for (path, stamp) in files.iter() {
            let Some(whole) = folder.root().join(path).to_str().map(str::to_owned) else { continue };
            let place = ExtraPlace { kind: Arc::clone(&root.kind), path: path.clone() };
            if names::has_weights(path) || is_claimed(&place.as_path()) {
                found.add(whole, root, place, *stamp, models);
            } else {
                others.push((whole, root, place, *stamp));
            }
        }
    }
    for (whole, root, place, stamp) in others {
        match names::owner_of(&whole, |owner| found.files.contains_key(owner)) {
            Some(owner) => found.sidecars.add(owner, whole, stamp.size),
            None if names::counts_any(&place.kind, &place.path) => found.add(whole, root, place, stamp, models),
            None => {}
        }
    }
    found
}

/// The files that no other program marks as unfinished.
fn finished(mut files: Vec<(String, Stamp)>) -> Vec<(String, Stamp)> {
    let unfinished: HashSet<String> = files.iter().filter_map(|(path, _)| Some(marked(path)?.0.to_owned())).collect();
    files.retain(|(path, _)| marked(path).is_none() && !unfinished.contains(path));
    files
}

impl ExtraFiles {
    fn add(&mut self, whole: String, root: &ExtraRoot, place: ExtraPlace, stamp: Stamp, models: &Path) {
        self.places.entry(place.as_path()).or_insert_with(|| whole.clone());
        let is_inside = Path::new(&whole).starts_with(models);
        let file =
            self.files.entry(whole).or_insert_with(|| ExtraFile::new(root, place.path.clone(), stamp, is_inside));
        file.add_place(root, place);
    }
}

impl ExtraFile {
    /// A file that no type finds yet.
    pub(crate) fn new(root: &ExtraRoot, path: String, stamp: Stamp, is_inside: bool) -> Self {
        Self { root: root.clone(), path, places: Vec::new(), stamp, structure: None, is_inside }
    }

    /// Takes in that a folder holds it.
    pub(crate) fn add_place(&mut self, root: &ExtraRoot, place: ExtraPlace) {
        if place.path.len() < self.path.len() {
            self.root = root.clone();
            self.path.clone_from(&place.path);
        }
        if !self.places.contains(&place) {
            self.places.push(place);
        }
    }

    /// The types that find it, that of the innermost folder first.
    pub(crate) fn kinds(&self) -> Vec<&str> {
        let mut kinds = vec![&*self.root.kind];
        for place in &self.places {
            if !kinds.contains(&&*place.kind) {
                kinds.push(&place.kind);
            }
        }
        kinds
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

    use super::*;

    fn named(text: &str) -> Vec<(String, String)> {
        let roots = roots(text, Path::new("/conf"), Some(Path::new("/home/me"))).unwrap();
        roots.iter().map(|root| (root.kind.to_string(), root.folder.display().to_string())).collect()
    }

    #[test]
    fn folders_are_found_as_comfyui_finds_them() {
        let text = "\
comfyui:
    base_path: /data/
    is_default: true
    checkpoints: models/checkpoints/
    loras: |
        models/Lora
        models/LyCORIS
    unet: models/unet
    custom_nodes: nodes/
relative:
    vae: shared/vae
home:
    base_path: ~/comfy
    clip_vision: vision
    embeddings: ~/words
empty:
";
        let pair = |kind: &str, folder: &str| (kind.to_owned(), folder.to_owned());
        let mut found = named(text);
        found.sort();
        let mut wanted = vec![
            pair("checkpoints", "/data/models/checkpoints/"),
            pair("clip_vision", "/home/me/comfy/vision"),
            pair("embeddings", "/home/me/words"),
            pair("diffusion_models", "/data/models/unet"),
            pair("loras", "/data/models/Lora"),
            pair("loras", "/data/models/LyCORIS"),
            pair("vae", "/conf/shared/vae"),
        ];
        wanted.sort();
        assert_eq!(found, wanted);
        assert!(named("").is_empty());
        assert!(roots("- a\n- b\n", Path::new("/"), None).is_err());
    }
}
