//! Files that a text speaks of: `<lora:NAME:1>` and `embedding:NAME`, as ComfyUI's text encoder and the prompt nodes of packs read
//! them.
//!
//! Source: `escape_important` and `load_embed` of ComfyUI's `comfy/sd1_clip.py`; the LoRA syntax is that of the Stable Diffusion
//! web UI, which Impact Pack, Inspire Pack and others share.

use super::{FolderLists, file_name, is_model_file};

/// What ends the name of an embedding within a text.
const ENDS_OF_NAME: [char; 8] = [' ', '\n', '\t', ',', '(', ')', ':', '"'];

/// Each file that a text mentions: its folder and its name, as far as the text says it.
pub(super) fn files_in(text: &str) -> Vec<(&'static str, &str)> {
    let loras = text.split("<lora:").skip(1).filter_map(|rest| {
        let inside = &rest[..rest.find('>')?];
        Some(("loras", inside.split(':').next()?.trim()))
    });
    let embeddings =
        text.split("embedding:").skip(1).map(|rest| ("embeddings", rest.split(ENDS_OF_NAME).next().unwrap_or(rest)));
    loras.chain(embeddings).filter(|(_, name)| !name.is_empty()).collect()
}

/// The name of the file: a text mostly leaves its extension out.
pub(super) fn with_extension(folder: &str, name: &str, folders: &FolderLists) -> String {
    if is_model_file(name) {
        return name.to_owned();
    }
    let stem = |path: &str| file_name(path).rsplit_once('.').map(|(stem, _)| stem.to_owned());
    let listed = folders.get(folder).into_iter().flatten();
    let mut fitting = listed.filter(|file| stem(file).as_deref() == Some(file_name(name)));
    fitting.next().cloned().unwrap_or_else(|| format!("{name}.safetensors"))
}
