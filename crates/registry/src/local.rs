//! A registry from files on this machine (`PRESET_CONFIG_PATH`).
//!
//! Blocking. Must not reach outside the folder that the registry file lies in.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::catalog::Catalog;
use crate::document::Document;
use crate::error::RegistryError;
use crate::limits;

/// The catalogue of a registry file, in any of the three formats. Blocking.
///
/// # Errors
/// `RegistryError` when the file cannot be read, is no registry, or has no usable preset. A single unusable preset is
/// no error: see [`Catalog::skipped`].
pub fn load(path: &Path) -> Result<Catalog, RegistryError> {
    let origin = path.display().to_string();
    let text = read_text(path, limits::DOCUMENT)
        .map_err(|source| RegistryError::ReadFile { path: path.to_owned(), source })?;
    let mut document = Document::parse(&text, &origin)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    for file in document.preset_files() {
        match read_text(&folder.join(file.path.as_str()), limits::PRESET_FILE) {
            Ok(text) => document.add_preset_file(&file, &text),
            Err(error) => {
                document.refuse_preset_file(&file.preset, format!("{} could not be read: {error}", file.path))
            }
        }
    }
    document.catalog()
}

/// The text of a file, which must not be longer than `limit` bytes.
pub(crate) fn read_text(path: &Path, limit: u64) -> io::Result<String> {
    let mut text = String::new();
    let length = File::open(path)?.take(limit + 1).read_to_string(&mut text)?;
    if length as u64 > limit {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is longer than {limit} bytes")));
    }
    Ok(text)
}
