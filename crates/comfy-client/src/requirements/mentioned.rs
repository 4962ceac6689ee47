//! Files that a text speaks of: `<lora:NAME:1>` and `embedding:NAME`, as ComfyUI's text encoder and the prompt nodes of packs read
//! them.
//!
//! Source: `escape_important` and `load_embed` of ComfyUI's `comfy/sd1_clip.py`; the LoRA syntax is that of the Stable Diffusion
//! web UI, which Impact Pack, Inspire Pack and others share.

use std::collections::HashMap;

use super::file_name;

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

/// Files of one folder by their name without folder and extension, the first of each: a text mostly leaves those out.
pub(super) fn by_stem(files: &[String]) -> HashMap<&str, &str> {
    let mut stems = HashMap::new();
    for file in files {
        let name = file_name(file);
        stems.entry(name.rsplit_once('.').map_or(name, |(stem, _)| stem)).or_insert(file.as_str());
    }
    stems
}
