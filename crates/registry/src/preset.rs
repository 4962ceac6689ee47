//! What a preset is: its identity, its words, the files it needs. Plain values, checked before they are built.
//!
//! Must not know how a registry document spells them (`document`, `reading`) or what is installed.

use std::fmt;

use semver::Version;

use crate::confined_path::ConfinedPath;

/// One entry of the catalogue: a named set of model files that belong together.
#[derive(Clone, Debug, PartialEq)]
pub struct Preset {
    /// Unique in its catalogue; what users type.
    pub id: PresetId,
    /// Readable name.
    pub name: String,
    /// Readable group, such as `Video Generation`.
    pub category: String,
    /// Medium: `video`, `image`, `audio` in the shipped catalogue (`type` in the documents).
    pub kind: String,
    /// Grows when the files change; a newer one than the installed is an update.
    pub version: Version,
    /// What the model is; empty where the registry says nothing.
    pub description: String,
    /// What it is good for; empty where the registry says nothing.
    pub use_case: String,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// Video memory that it asks for, and who says so.
    pub vram: Option<Vram>,
    /// Whether a file of it lies in a repository that is open only to those who accepted its terms; `None`: not said.
    pub gated: Option<bool>,
    /// The license of its weights.
    pub license: Option<License>,
    /// The family of models that it belongs to, such as `flux` or `wan`.
    pub family: Option<String>,
    /// Presets whose files this one needs too; all of them stand in the same catalogue.
    pub dependencies: Vec<PresetId>,
    /// File names of the workflow templates that run on it.
    pub workflows: Vec<String>,
    /// Its files, each path once, in the order of the registry.
    pub files: Vec<ModelFile>,
    /// Total that the registry states, in bytes: an estimate that may differ from the sum of the files.
    pub stated_size: Option<u64>,
}

impl Preset {
    /// Video memory that it asks for, in GB as cards are sold.
    #[must_use]
    pub fn vram_gb(&self) -> Option<f64> {
        self.vram.map(|vram| vram.gb)
    }

    /// Takes over what this one does not say and `ours`, the embedded preset of the same id, does.
    pub(crate) fn fill_from(&mut self, ours: &Self) {
        self.vram = self.vram.or(ours.vram);
        self.gated = self.gated.or(ours.gated);
        self.license = self.license.take().or_else(|| ours.license.clone());
        self.family = self.family.take().or_else(|| ours.family.clone());
    }
}

/// Video memory that a preset asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Vram {
    /// In GB as cards are sold: 24.0 is a 24 GB card.
    pub gb: f64,
    /// Whose figure it is.
    pub from: VramFrom,
}

/// Who says how much video memory a preset asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VramFrom {
    /// The registry that the preset comes from.
    Registry,
    /// The embedded registry: an estimate of this project.
    Dashboard,
}

impl VramFrom {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Registry => "registry",
            Self::Dashboard => "dashboard",
        }
    }
}

/// The license of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct License {
    /// What it is called.
    pub name: String,
    /// Where its text is: http or https.
    pub url: Option<String>,
}

/// One file of a preset: where it goes and where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFile {
    /// Destination below the models folder.
    pub path: ConfinedPath,
    /// Source as the registry gives it: http or https, with a host, without credentials. May be a page link.
    pub url: String,
    /// Size that the registry states, in bytes: an estimate, off by up to 2x. Decides nothing.
    pub stated_size: Option<u64>,
    /// SHA-256 of the whole file, where the registry has it.
    pub sha256: Option<[u8; 32]>,
}

/// Name of a preset: a letter or digit, then up to 127 letters, digits, `_`, `.` or `-`. It is kept in one form, upper case
/// with `_`: registries spell one preset `LTX_VIDEO_T2V` and `ltx-video-t2v`, and these are equal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PresetId(String);

/// The text is no preset id; the message says what one is made of.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{given:?} is no preset id: it takes a letter or digit, then up to 127 letters, digits, '_', '.' or '-'")]
pub struct InvalidPresetId {
    given: String,
}

impl PresetId {
    /// Most bytes that an id may have.
    pub const MAX_LENGTH: usize = 128;

    /// The id that `text` spells, whatever its case and with `-` or `_`.
    ///
    /// # Errors
    /// `InvalidPresetId` when it is empty, too long or has another character than an id takes.
    pub fn parse(text: &str) -> Result<Self, InvalidPresetId> {
        let fits = text.len() <= Self::MAX_LENGTH
            && text.starts_with(|first: char| first.is_ascii_alphanumeric())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
        if fits {
            Ok(Self(text.to_ascii_uppercase().replace('-', "_")))
        } else {
            Err(InvalidPresetId { given: text.chars().take(Self::MAX_LENGTH).collect() })
        }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PresetId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl AsRef<str> for PresetId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}
