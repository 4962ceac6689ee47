//! What the fuzz targets (`crates/fuzz-targets`) call of this crate: a document as text. No interface for anybody else.

use serde_json::Value;

use crate::catalog::Catalog;
use crate::document::Document;
use crate::error::RegistryError;

/// The catalogue of a document whose presets are all in it, and the document as it is kept for the next start.
///
/// # Errors
/// `RegistryError` when the text is no registry, or has no usable preset.
pub fn read_document(text: &str) -> Result<(Catalog, Value), RegistryError> {
    let mut document = Document::parse(text, "fuzzed")?;
    document.preset_files();
    Ok((document.catalog()?, document.into_value()))
}

/// The catalogue of a document that was kept.
///
/// # Errors
/// As [`read_document`].
pub fn read_kept(value: Value) -> Result<Catalog, RegistryError> {
    let mut document = Document::from_value(value, "fuzzed")?;
    document.preset_files();
    document.catalog()
}
