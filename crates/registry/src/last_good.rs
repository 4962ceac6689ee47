//! The copy of the last good registry on disk: what a start without network works with.
//!
//! Blocking. The file is replaced whole or not at all. Must not fetch anything.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::catalog::Catalog;
use crate::document::Document;
use crate::error::RegistryError;
use crate::limits;
use crate::local::read_text;

/// The registry that an earlier fetch brought.
#[derive(Clone, Debug)]
pub struct LastGood {
    /// Its catalogue.
    pub catalog: Arc<Catalog>,
    /// When it was fetched.
    pub fetched_at: Timestamp,
    /// What the server called this version of the document, if it did.
    pub(crate) etag: Option<String>,
}

/// The file: a registry with all its presets inside, and where and when it came from.
#[derive(Serialize, Deserialize)]
pub(crate) struct Copy {
    /// Address without credentials and query. A copy of another registry is not ours to use.
    pub(crate) source: String,
    pub(crate) etag: Option<String>,
    pub(crate) fetched_at: Timestamp,
    pub(crate) document: Value,
}

/// The copy at `path`, if there is one from `source` that can be used. A damaged one is logged and passed over.
pub(crate) fn read(path: &Path, source: &str) -> Option<LastGood> {
    let text = match read_text(path, 2 * limits::DOCUMENT) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "the copy of the last registry cannot be read");
            return None;
        }
    };
    let copy: Copy = match serde_json::from_str(&text) {
        Ok(copy) => copy,
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "the copy of the last registry is damaged");
            return None;
        }
    };
    if copy.source != source {
        return None;
    }
    let document = Document::from_value(copy.document, &path.display().to_string());
    match document.and_then(|document| document.catalog()) {
        Ok(catalog) => Some(LastGood { catalog: Arc::new(catalog), fetched_at: copy.fetched_at, etag: copy.etag }),
        Err(error) => {
            tracing::warn!(%error, "the copy of the last registry is of no use");
            None
        }
    }
}

/// Replaces the copy at `path`. After an error the earlier copy is still whole.
pub(crate) fn write(path: &Path, copy: &Copy) -> Result<(), RegistryError> {
    replace(path, copy).map_err(|source| RegistryError::KeepCopy { path: path.to_owned(), source })
}

fn replace(path: &Path, copy: &Copy) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let unfinished = path.with_extension("tmp");
    let mut file = File::create(&unfinished)?;
    file.write_all(&serde_json::to_vec(copy)?)?;
    file.sync_all()?;
    fs::rename(&unfinished, path)?;
    File::open(folder)?.sync_all()
}
