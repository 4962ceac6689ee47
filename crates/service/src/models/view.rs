//! What a model file looks like to those who ask.

use std::path::PathBuf;

use jiff::Timestamp;
use registry::PresetId;

use super::{Integrity, Safety, Sidecar};
use crate::page::{Order, Page, PageRequest};

/// A file below the models folder.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelView {
    /// Below the models folder, `/` between the parts; of a file in another folder, the whole path.
    pub path: String,
    /// The types that find it, its own first: `checkpoints`, `loras`, …; empty for a file that lies in no folder.
    pub kinds: Vec<String>,
    /// Its size.
    pub size_bytes: u64,
    /// When it was last written.
    pub modified: Timestamp,
    /// The presets that it belongs to: installed ones first, then by id.
    pub presets: Vec<PresetId>,
    /// Its SHA-256 where we computed it and the file has not changed since.
    pub sha256: Option<String>,
    /// Whether it is what it should be.
    pub integrity: Integrity,
    /// Whether loading it runs code; `None`: it is no pickle, or nobody has looked.
    pub safety: Option<Safety>,
    /// The files that describe it.
    pub sidecars: Vec<Sidecar>,
    /// The other folder that it lies in, of `extra_model_paths.yaml`; its path is whole then.
    pub extra_root: Option<PathBuf>,
}

impl ModelView {
    /// Its own type.
    pub fn kind(&self) -> &str {
        self.kinds.first().map_or("", String::as_str)
    }

    /// The preset that it belongs to, an installed one where there is one.
    pub fn preset(&self) -> Option<&PresetId> {
        self.presets.first()
    }
}

/// A list of models, and what all that match weigh.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelList {
    /// The page.
    pub page: Page<ModelView>,
    /// Bytes of all that match, on every page.
    pub total_size_bytes: u64,
}

/// A folder of models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelType {
    /// The folder's name.
    pub id: String,
    /// A readable name.
    pub name: String,
    /// How many files it has.
    pub count: u64,
    /// Their bytes.
    pub size_bytes: u64,
}

/// What a list of models is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ModelSort {
    /// By path.
    #[default]
    Path,
    /// By size.
    Size,
    /// By when it was last written.
    Modified,
    /// By folder, then path.
    Kind,
}

/// Which models are wanted.
#[derive(Debug, Clone, Default)]
pub struct ModelQuery {
    /// Exactly this folder.
    pub kind: Option<String>,
    /// In the path, case aside.
    pub search: Option<String>,
    /// What to sort by.
    pub sort: ModelSort,
    /// Which way.
    pub order: Order,
    /// Which part.
    pub page: PageRequest,
}

/// A path that was not deleted, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotDeleted {
    /// As given.
    pub path: String,
    /// `MODEL_NOT_FOUND`, `INVALID_REQUEST`, `CONFLICT`, `FORBIDDEN` or `INTERNAL_ERROR`.
    pub code: &'static str,
    /// Why, as a sentence.
    pub error: String,
}

/// What a deletion did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelsDeleted {
    /// How many files are gone.
    pub deleted: u64,
    /// Bytes that are free again.
    pub freed_bytes: u64,
    /// Those that stayed.
    pub errors: Vec<NotDeleted>,
}

/// What a scan of the models folder found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rescanned {
    /// Files in all.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that were not known before.
    pub added: u64,
    /// Known files that are gone.
    pub removed: u64,
}
