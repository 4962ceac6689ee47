//! How much video memory a set of weights is likely to need. An estimate: it names its basis and is never a declared figure.
//!
//! The rule, in GiB of weights as they lie in memory:
//! - conditioning runs first and leaves again: the text encoders together, or the largest image or audio encoder if that is more;
//! - then the largest diffusion model or checkpoint stays, with the largest control net and the largest VAE beside it, and for the
//!   numbers in flight 1.5 GiB plus a tenth of that model;
//! - what is needed is the larger of the two moments, rounded up to half a GiB. Several diffusion models of one set take turns.
//!
//! Files of 32 and 64-bit numbers are halved and quartered by ComfyUI as it loads them; all others stay as they are.

mod precision;
mod role;

use std::collections::BTreeMap;

use crate::header::Header;

pub use precision::Precision;
pub use role::Role;

const GIB: f64 = 1_073_741_824.0;
const IN_FLIGHT_GIB: f64 = 1.5;
const IN_FLIGHT_SHARE: f64 = 0.1;

/// How the size of a part is known, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BytesKnownFrom {
    /// From the head of the file on disk.
    Header,
    /// From the size of a file, here or on its server.
    FileSize,
    /// From a registry's own words.
    Statement,
}

/// One weight file of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WeightPart<'a> {
    /// The path beneath the models folder, as `vae/ae.safetensors`; its first folder says what the file does.
    pub path: &'a str,
    /// The bytes of the tensors, else of the file.
    pub bytes: u64,
    /// How `bytes` is known.
    pub known_from: BytesKnownFrom,
    /// The element type, where a head tells it; else the file name is asked.
    pub precision: Option<Precision>,
}

/// What the head of a file says of its tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weights {
    /// Their bytes, without head and padding.
    pub bytes: u64,
    /// The element type of most of these bytes; `None` for a head without tensors or of unknown types.
    pub precision: Option<Precision>,
}

impl Weights {
    pub(crate) fn of_header(header: &Header) -> Self {
        Self { bytes: header.data_bytes, precision: Precision::of_header(header) }
    }
}

impl<'a> WeightPart<'a> {
    /// A file by the best that is known of it: its head, the size of a file, a registry's word. `None` where nothing is.
    #[must_use]
    pub fn by_the_best(path: &'a str, head: Option<Weights>, file: Option<u64>, stated: Option<u64>) -> Option<Self> {
        let (bytes, known_from) = match (head, file, stated) {
            (Some(weights), ..) => (weights.bytes, BytesKnownFrom::Header),
            (_, Some(bytes), _) => (bytes, BytesKnownFrom::FileSize),
            (.., stated) => (stated?, BytesKnownFrom::Statement),
        };
        Some(Self { path, bytes, known_from, precision: head.and_then(|weights| weights.precision) })
    }
}

/// The answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// GiB of video memory, a multiple of 0.5.
    pub vram_gb: f64,
    /// What the figure rests on: how the worst known part is known.
    pub known_from: BytesKnownFrom,
    /// What the figure was computed from, as a sentence for people.
    pub basis: String,
}

/// Estimates a set; `None` when it holds nothing that runs by itself (no files, or only LoRAs).
#[must_use]
pub fn estimate_vram(parts: &[WeightPart<'_>]) -> Option<Estimate> {
    let models = whole_models(parts);
    let of = |roles: &[Role]| models.iter().filter(|model| roles.contains(&model.role)).collect::<Vec<_>>();
    let largest = |roles: &[Role]| of(roles).into_iter().max_by(|a, b| a.gib.total_cmp(&b.gib));
    let weight = |model: Option<&Model>| model.map_or(0.0, |model| model.gib);

    let main = largest(&[Role::Diffusion, Role::Checkpoint]).or_else(|| largest(&[Role::Upscaler, Role::Other]));
    // An empty sum of floats is -0.0, which shows in the sentence.
    let encoders = of(&[Role::TextEncoder]).iter().fold(0.0, |sum, model| sum + model.gib);
    let conditioning = encoders.max(weight(largest(&[Role::Conditioner])));
    let vae = largest(&[Role::Vae]);
    let in_flight = IN_FLIGHT_GIB + IN_FLIGHT_SHARE * weight(main);
    let sampling = weight(main) + weight(largest(&[Role::ControlNet])) + weight(vae) + in_flight;
    if main.is_none() && conditioning == 0.0 && vae.is_none() {
        return None;
    }
    let needed = sampling.max(conditioning + IN_FLIGHT_GIB);
    let known_from = parts.iter().map(|part| part.known_from).max().unwrap_or(BytesKnownFrom::Header);
    Some(Estimate {
        vram_gb: (needed * 2.0).ceil() / 2.0,
        known_from,
        basis: basis(main, vae, conditioning, in_flight, known_from),
    })
}

fn basis(
    main: Option<&Model>,
    vae: Option<&Model>,
    conditioning: f64,
    in_flight: f64,
    known_from: BytesKnownFrom,
) -> String {
    let mut terms = Vec::new();
    if let Some(main) = main {
        let precision = main.precision.map_or(String::new(), |precision| format!(", {precision}"));
        terms.push(format!("{} {:.1} GiB{precision}", main.name, main.gib));
    }
    if let Some(vae) = vae {
        terms.push(format!("VAE {:.1} GiB", vae.gib));
    }
    terms.push(format!("{in_flight:.1} GiB for the numbers in flight"));
    let source = match known_from {
        BytesKnownFrom::Header => "headers of the installed files",
        BytesKnownFrom::FileSize => "file sizes and names",
        BytesKnownFrom::Statement => "sizes that the registry states and file names",
    };
    format!("{}; encoders before that {conditioning:.1} GiB; from {source}", terms.join(" + "))
}

/// One model: a file, or the numbered parts of one.
struct Model {
    name: String,
    role: Role,
    gib: f64,
    precision: Option<Precision>,
}

/// Adds up the parts of models that come in several files.
fn whole_models(parts: &[WeightPart<'_>]) -> Vec<Model> {
    let mut models = BTreeMap::<&str, Model>::new();
    for part in parts {
        let path = without_part_number(part.path);
        let file_name = path.rsplit('/').next().unwrap_or(path);
        let precision = part.precision.or_else(|| Precision::of_file_name(file_name));
        let in_memory = part.bytes as f64 * precision.map_or(1.0, Precision::share_kept_in_memory);
        let model = models.entry(path).or_insert_with(|| Model {
            name: file_name.to_owned(),
            role: Role::of_path(part.path),
            gib: 0.0,
            precision,
        });
        model.gib += in_memory / GIB;
    }
    models.into_values().collect()
}

/// `a/model-00001-of-00002.safetensors` and its siblings all give `a/model`; other paths stay.
fn without_part_number(path: &str) -> &str {
    let Some((front, back)) = path.rsplit_once("-of-") else { return path };
    let count = back.split('.').next().unwrap_or_default();
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match front.rsplit_once('-') {
        Some((name, number)) if digits(number) && digits(count) => name,
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::without_part_number;

    #[test]
    fn numbered_parts_share_a_name_and_others_keep_theirs() {
        assert_eq!(without_part_number("t/model-00001-of-00002.safetensors"), "t/model");
        assert_eq!(without_part_number("t/model-00002-of-00002.safetensors"), "t/model");
        assert_eq!(without_part_number("t/best-of-breed.safetensors"), "t/best-of-breed.safetensors");
    }
}
