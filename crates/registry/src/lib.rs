//! Which presets exist: the catalogue, its file formats, and the fetch that keeps it fresh.
//!
//! Knows nothing of installs, downloads, the database or our own HTTP interface.

mod catalog;
mod client;
mod confined_path;
mod dependencies;
mod document;
mod embedded;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod last_good;
mod limits;
mod local;
mod parsing;
mod preset;
mod reading;
mod remote;
mod stated;
mod template_models;

pub use catalog::{Catalog, Category, Fault, Filter, PreparedFilter, SearchText, Update};
pub use client::{Client, ClientSettings, Fetched};
pub use confined_path::{ConfinedPath, PathRefusal, PathRefused};
pub use embedded::embedded;
pub use error::RegistryError;
pub use last_good::LastGood;
pub use local::load;
pub use preset::{InvalidPresetId, License, ModelFile, Preset, PresetId, Vram, VramFrom};
pub use remote::HttpClient;
pub use template_models::{TemplateModel, TemplateModels};
