//! What the fuzz targets (`crates/fuzz-targets`) call of this crate: a document as text. No interface for anybody else.

use serde_json::Value;

use crate::catalog::Catalog;
use crate::document::Document;
use crate::error::RegistryError;

/// The catalog of a document that contains all its presets, and the document as it is stored for the next start.
///
/// # Errors
/// `RegistryError` when the text is no registry, or has no usable preset.
pub fn read_document(text: &str) -> Result<(Catalog, Value), RegistryError> {
    let mut document = Document::parse(text, "fuzzed")?;
    document.preset_files();
    Ok((document.catalog()?, document.into_value()))
}

/// The catalog of a stored document.
///
/// # Errors
/// As [`read_document`].
pub fn read_kept(value: Value) -> Result<Catalog, RegistryError> {
    let mut document = Document::from_value(value, "fuzzed")?;
    document.preset_files();
    document.catalog()
}
