//! Which files are models and which belong to one, by their names. Owns the table of extensions; does not look at the disk.

/// Extensions of files with weights, by which format is preferred: ComfyUI's own (folder_paths.py of 0.3.64), then those that custom
/// nodes load.
const WEIGHTS: [&str; 21] = [
    "safetensors",
    "sft",
    "gguf",
    "ckpt",
    "pt",
    "pt2",
    "pth",
    "bin",
    "pkl",
    "onnx",
    "engine",
    "plan",
    "trt",
    "pickle",
    "th",
    "joblib",
    "npy",
    "npz",
    "h5",
    "pb",
    "tflite",
];

/// Extensions of descriptions, checksums and previews.
const SIDECARS: [&str; 24] = [
    "avif", "csv", "gif", "html", "info", "jpeg", "jpg", "json", "md", "md5", "mov", "mp4", "png", "sha1", "sha256",
    "sha512", "svg", "toml", "txt", "url", "webm", "webp", "yaml", "yml",
];

/// Folders of which ComfyUI lists files with its own extensions alone. In any other folder every file is a model.
const WITH_EXTENSIONS: [&str; 20] = [
    "audio_encoders",
    "checkpoints",
    "clip",
    "clip_vision",
    "configs",
    "controlnet",
    "diffusion_models",
    "embeddings",
    "gligen",
    "hypernetworks",
    "latent_upscale_models",
    "loras",
    "model_patches",
    "photomaker",
    "style_models",
    "text_encoders",
    "unet",
    "upscale_models",
    "vae",
    "vae_approx",
];

/// Whether a file has the extension of weights.
pub(super) fn has_weights(path: &str) -> bool {
    extension_of(path).is_some_and(|extension| WEIGHTS.iter().any(|known| known.eq_ignore_ascii_case(extension)))
}

/// Whether a folder counts a file that has no extension of weights: one without a list of extensions counts every file, and
/// `configs` its YAML.
pub(super) fn counts_any(kind: &str, path: &str) -> bool {
    match kind {
        "" => false,
        "configs" => extension_of(path).is_some_and(|extension| matches!(extension, "yaml" | "yml")),
        kind => !WITH_EXTENSIONS.contains(&kind),
    }
}

/// Whether a file may describe another one.
pub(super) fn may_be_sidecar(path: &str) -> bool {
    extension_of(path).is_some_and(|extension| SIDECARS.iter().any(|known| known.eq_ignore_ascii_case(extension)))
}

/// The model that a sidecar belongs to: the one of the longest name that begins the sidecar's, with its extension or without.
pub(super) fn owner_of(path: &str, is_model: impl Fn(&str) -> bool) -> Option<String> {
    let start = path.rfind('/').map_or(0, |slash| slash + 1);
    let dots = path.match_indices('.').map(|(dot, _)| dot).filter(|dot| *dot > start).rev();
    let of_stem = |stem: &str| {
        let with_extension = WEIGHTS.iter().map(|extension| format!("{stem}.{extension}"));
        let whole = has_weights(stem).then(|| stem.to_owned());
        whole.into_iter().chain(with_extension).find(|candidate| is_model(candidate))
    };
    if may_be_sidecar(path) { dots.filter_map(|dot| of_stem(&path[..dot])).next() } else { None }
}

fn extension_of(path: &str) -> Option<&str> {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').map(|(_, extension)| extension)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sidecar_belongs_to_the_longest_name_that_begins_its_own() {
        let models = ["l/a.safetensors", "l/a.b.gguf", "l/UP.PTH", "l/c.safetensors", "l/c.gguf", "l/v1.5"];
        let is_model = |path: &str| models.contains(&path);
        for (sidecar, owner) in [
            ("l/a.json", Some("l/a.safetensors")),
            ("l/a.safetensors.sha256", Some("l/a.safetensors")),
            ("l/a.civitai.info", Some("l/a.safetensors")),
            ("l/a.preview.PNG", Some("l/a.safetensors")),
            ("l/a.b.metadata.json", Some("l/a.b.gguf")),
            ("l/UP.PTH.txt", Some("l/UP.PTH")),
            ("l/c.cm-info.json", Some("l/c.safetensors")),
            ("l/c.gguf.txt", Some("l/c.gguf")),
            ("l/v1.5.txt", None),
            ("l/ab.json", None),
            ("other/a.json", None),
            ("l/a.dat", None),
            ("l/a", None),
        ] {
            assert_eq!(owner_of(sidecar, is_model).as_deref(), owner, "{sidecar}");
        }
    }

    #[test]
    fn folders_without_a_list_of_extensions_count_every_file() {
        assert!(
            has_weights("loras/A.SafeTensors") && has_weights("tensorrt/x.engine") && !has_weights("loras/safetensors")
        );
        for (kind, path, counts) in [
            ("loras", "loras/x.npz.txt", false),
            ("loras", "loras/plain", false),
            ("dlib", "dlib/shape.dat", true),
            ("diffusers", "diffusers/a/model_index.json", true),
            ("classifiers", "classifiers/plain", true),
            ("configs", "configs/v1.yaml", true),
            ("", "readme.md", false),
        ] {
            assert_eq!(counts_any(kind, path), counts, "{path}");
        }
    }
}
