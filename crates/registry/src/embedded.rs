//! The catalogue that the binary brings along.

use std::sync::{Arc, LazyLock};

use crate::catalog::Catalog;
use crate::document::Document;

static EMBEDDED: LazyLock<Arc<Catalog>> = LazyLock::new(|| {
    let text = include_str!("../data/presets.json");
    let document = Document::parse(text, "the embedded registry");
    let catalog = document.and_then(|document| document.our_catalog());
    Arc::new(catalog.expect("the file is part of the binary, and the tests load it"))
});

/// The catalogue that the binary brings along, parsed at the first call.
#[must_use]
pub fn embedded() -> Arc<Catalog> {
    Arc::clone(&EMBEDDED)
}
