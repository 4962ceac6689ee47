//! Which presets fit which card, and which have a newer version, as JSON.

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};
use service::{Gpu, presets as view};
use utoipa::{IntoParams, ToSchema};

use super::units::{gigabytes, size_text};

const MIB: u64 = 1 << 20;

/// The card that is meant.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RecommendationQuery {
    /// Video memory in GB of another card than the one that is here.
    #[param(value_type = Option<f64>, exclusive_minimum = 0, example = 24.0)]
    vram_gb: Option<VramSize>,
}

impl RecommendationQuery {
    /// GB of the card that is asked for.
    pub fn vram_gb(&self) -> Option<f64> {
        self.vram_gb.map(|size| size.0)
    }
}

#[derive(Debug, Clone, Copy)]
struct VramSize(f64);

impl<'de> Deserialize<'de> for VramSize {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = String::deserialize(input)?;
        match text.parse::<f64>() {
            Ok(size) if size > 0.0 && size.is_finite() => Ok(Self(size)),
            _ => Err(D::Error::custom(format!("{text:?} is not a number of GB above 0"))),
        }
    }
}

/// The GPU with the most memory.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LargestGpu {
    /// The maker's name for it.
    pub name: String,
    /// Its memory in units of 2^20 bytes.
    pub vram_mb: u64,
    /// Its memory in units of 2^30 bytes.
    pub vram_gb: f64,
    /// Its memory.
    pub vram_bytes: u64,
}

impl LargestGpu {
    /// The GPU, if it says how much memory it has.
    pub fn of(gpu: &Gpu) -> Option<Self> {
        let bytes = gpu.memory_total_bytes?;
        Some(Self { name: gpu.name.clone(), vram_mb: bytes / MIB, vram_gb: gigabytes(bytes), vram_bytes: bytes })
    }
}

/// What an estimate of video memory rests on.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EstimateSource {
    /// What the installed files say of their own weights.
    Headers,
    /// Sizes of files, here or on their servers, and number types in their names.
    FileSizes,
    /// Sizes that the registry states, and number types in the names of its files.
    StatedSizes,
}

impl From<view::BytesKnownFrom> for EstimateSource {
    fn from(known_from: view::BytesKnownFrom) -> Self {
        match known_from {
            view::BytesKnownFrom::Header => Self::Headers,
            view::BytesKnownFrom::FileSize => Self::FileSizes,
            view::BytesKnownFrom::Statement => Self::StatedSizes,
        }
    }
}

/// A preset held against a card.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Recommendation {
    /// Which preset.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it declares to need, in GB as cards are sold.
    pub vram_gb: Option<f64>,
    /// Whether it fits.
    pub compatible: Option<bool>,
    /// Whether it is installed.
    pub installed: bool,
    /// Its category.
    pub category: String,
    /// Its type.
    pub r#type: String,
    /// What its weights suggest, in GB; never mixed up with what it declares.
    pub estimated_vram_gb: Option<f64>,
    /// What the estimate rests on: where its files are known differently well, how the worst known one is.
    pub estimate_from: Option<EstimateSource>,
    /// How the estimate was computed, as a sentence.
    pub estimate_basis: Option<String>,
    /// The size of its files.
    pub download_size: Option<String>,
    /// The size of its files.
    pub size_bytes: Option<u64>,
}

impl Recommendation {
    fn of(found: view::Recommendation, compatible: Option<bool>) -> Self {
        let estimate = found.estimated.as_ref();
        Self {
            id: found.id.to_string(),
            name: found.name,
            vram_gb: found.vram_gb,
            compatible,
            installed: found.installed,
            category: found.category,
            r#type: found.kind,
            estimated_vram_gb: estimate.map(|estimate| estimate.vram_gb),
            estimate_from: estimate.map(|estimate| estimate.known_from.into()),
            estimate_basis: found.estimated.map(|estimate| estimate.basis),
            download_size: found.size_bytes.map(size_text),
            size_bytes: found.size_bytes,
        }
    }
}

/// Every preset of the registry, by whether it fits.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Recommendations {
    /// The largest GPU of this machine.
    pub gpu: Option<LargestGpu>,
    /// GB of the card that the lists are about: asked for, else the largest GPU's.
    pub vram_gb: Option<f64>,
    /// They fit, the most demanding first.
    pub compatible: Vec<Recommendation>,
    /// They do not, the least demanding first.
    pub incompatible: Vec<Recommendation>,
    /// It is not known: there is no GPU, or they declare nothing.
    pub unknown: Vec<Recommendation>,
}

impl Recommendations {
    /// The lists for a card of so many GB, on a machine with this GPU.
    pub fn new(gpu: Option<&Gpu>, vram_gb: Option<f64>, lists: view::Recommendations) -> Self {
        let all = |list: Vec<view::Recommendation>, compatible| {
            list.into_iter().map(|found| Recommendation::of(found, compatible)).collect()
        };
        Self {
            gpu: gpu.and_then(LargestGpu::of),
            vram_gb: vram_gb.map(|gb| (gb * 10.0).round() / 10.0),
            compatible: all(lists.compatible, Some(true)),
            incompatible: all(lists.incompatible, Some(false)),
            unknown: all(lists.unknown, None),
        }
    }
}

/// A newer version of an installed preset.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PresetUpdate {
    /// Which preset.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The version that is installed.
    pub local_version: String,
    /// The version that the registry has.
    pub remote_version: String,
    /// Its category.
    pub category: String,
    /// Its type.
    pub r#type: String,
    /// Files that are new or have another content.
    pub changed_files: Vec<String>,
    /// How much is to be fetched.
    pub download_size: Option<String>,
    /// How much is to be fetched.
    pub download_bytes: Option<u64>,
}

/// Every installed preset that has a newer version.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PresetUpdates {
    /// How many there are.
    pub total: usize,
    /// Each of them.
    pub updates: Vec<PresetUpdate>,
}

impl From<Vec<view::PresetUpdate>> for PresetUpdates {
    fn from(updates: Vec<view::PresetUpdate>) -> Self {
        let convert = |update: view::PresetUpdate| PresetUpdate {
            id: update.id.to_string(),
            name: update.name,
            local_version: update.installed.to_string(),
            remote_version: update.available.to_string(),
            category: update.category,
            r#type: update.kind,
            changed_files: update.changed_files,
            download_size: update.download_bytes.map(size_text),
            download_bytes: update.download_bytes,
        };
        Self { total: updates.len(), updates: updates.into_iter().map(convert).collect() }
    }
}
