//! What the fuzz targets (`crates/fuzz-targets`) call of this crate. No interface for anybody else: it changes with them.

use std::path::{Path, PathBuf};

use crate::models::extra;

/// The type and folder of each root that an `extra_model_paths.yaml` names, which lies in the folder `beside`.
///
/// # Errors
/// The parser's message when the text is no such document.
pub fn extra_model_folders(text: &str, beside: &Path) -> Result<Vec<(String, PathBuf)>, String> {
    let roots = extra::roots(text, beside, None).map_err(|refused| refused.to_string())?;
    Ok(roots.into_iter().map(|root| (root.kind.to_string(), root.folder.to_path_buf())).collect())
}
