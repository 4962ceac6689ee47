//! Which folder of models an input reads from. ComfyUI does not say, so it is read off: from the list that the input
//! offers, else from what the node gives and how the input is called.

use std::collections::BTreeSet;

use serde_json::Value;

use super::FolderLists;
use crate::object_info::{InputSpec, NodeType};

/// Words in the name of an input, and the folder that they speak of.
const BY_INPUT_NAME: &[(&str, &str)] = &[
    ("ckpt", "checkpoints"),
    ("checkpoint", "checkpoints"),
    ("lora", "loras"),
    ("unet", "diffusion_models"),
    ("diffusion_model", "diffusion_models"),
    ("vae", "vae"),
    ("control_net", "controlnet"),
    ("controlnet", "controlnet"),
    ("hypernetwork", "hypernetworks"),
    ("text_encoder", "text_encoders"),
    ("style_model", "style_models"),
    ("gligen", "gligen"),
    ("photomaker", "photomaker"),
    ("upscale_model", "upscale_models"),
    ("embedding", "embeddings"),
];

/// What a loader gives, and the folder that it then reads.
const BY_OUTPUT: &[(&str, &str)] = &[
    ("CLIP_VISION", "clip_vision"),
    ("CONTROL_NET", "controlnet"),
    ("STYLE_MODEL", "style_models"),
    ("GLIGEN", "gligen"),
    ("UPSCALE_MODEL", "upscale_models"),
    ("LATENT_UPSCALE_MODEL", "latent_upscale_models"),
    ("PHOTOMAKER", "photomaker"),
    ("MODEL_PATCH", "model_patches"),
    ("AUDIO_ENCODER", "audio_encoders"),
    ("CLIP", "text_encoders"),
    ("VAE", "vae"),
    ("MODEL", "diffusion_models"),
];

/// The folder that an input reads from, as far as can be told.
pub(super) fn folder_of(
    node_type: Option<&NodeType>,
    spec: Option<&InputSpec>,
    input: &str,
    folders: &FolderLists,
) -> Option<String> {
    let outputs = node_type.map(|node_type| node_type.outputs.as_slice()).unwrap_or_default();
    by_list(spec, folders).or_else(|| by_meaning(input, outputs).map(str::to_owned))
}

/// The one folder whose files are the choices of the input.
fn by_list(spec: Option<&InputSpec>, folders: &FolderLists) -> Option<String> {
    let choices = spec?.choices.as_ref()?;
    let offered: BTreeSet<&str> = choices.iter().filter_map(Value::as_str).collect();
    if offered.is_empty() {
        return None;
    }
    let mut fitting = folders.iter().filter(|(_, files)| offered == files.iter().map(String::as_str).collect());
    let (folder, _) = fitting.next()?;
    fitting.next().is_none().then(|| folder.clone())
}

/// By the name of an input, or of a node type whose inputs are not known, else by what the node gives.
pub(super) fn by_meaning(name: &str, outputs: &[String]) -> Option<&'static str> {
    let name = name.to_ascii_lowercase();
    let named = BY_INPUT_NAME.iter().find(|(word, _)| name.contains(word)).map(|(_, folder)| *folder);
    let given =
        BY_OUTPUT.iter().find(|(kind, _)| outputs.iter().any(|output| output == kind)).map(|(_, folder)| *folder);
    named.or(given)
}
