//! The files by which other download programs mark what they have not finished. Owns their endings; what a mark means for a model is
//! the index's to say.

use registry::ConfinedPath;

use crate::model_dir::ModelDir;

/// Endings of aria2, `huggingface_hub`, browsers, ComfyUI-Manager and qBittorrent. The marker lies beside the file, or in its place.
const ENDINGS: [&str; 5] = [".aria2", ".incomplete", ".crdownload", ".downloading", ".!qB"];

/// The file that a marker speaks of, and the marker's ending; `None` of a path that is no marker.
pub(crate) fn marked(path: &str) -> Option<(&str, &'static str)> {
    ENDINGS.into_iter().find_map(|ending| Some((path.strip_suffix(ending)?, ending)))
}

/// The ending of the marker that lies beside a file or in its place. Blocks.
pub(crate) fn beside(folder: &ModelDir, path: &ConfinedPath) -> Option<&'static str> {
    let is_there = |ending: &&str| {
        let marker = ConfinedPath::parse(&format!("{}{ending}", path.as_str()));
        marker.is_ok_and(|marker| folder.stamp(&marker).is_some())
    };
    ENDINGS.into_iter().find(is_there)
}
