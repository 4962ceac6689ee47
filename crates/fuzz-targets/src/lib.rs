//! Fuzz targets: one function for each reader of bytes that somebody else wrote. Each asserts more than the absence of a panic:
//! bounded memory, agreement with a second, naive reader, round trips.
//!
//! `tests/it` replays `corpus/TARGET/*` over them, with the ordinary toolchain and in every test run. `cargo xtask fuzz` searches
//! for new inputs with libFuzzer. Nothing here is linked into the product.

mod content_range;
mod extra_model_paths;
mod input;
mod journal;
mod memory;
mod page_graph;
mod pickle;
mod registry_document;
mod second_reader;
mod socket_messages;
mod weights;
mod zip_directory;

use peak_alloc::PeakAlloc;

/// Counts the bytes in use, for [`memory::bounded`].
#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// A reader under test.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name on the command line, and that of its folder under `corpus`.
    pub name: &'static str,
    /// Panics where the reader breaks one of its invariants for this input.
    pub check: fn(&[u8]),
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target { name: "content_range", check: content_range::check },
    Target { name: "extra_model_paths", check: extra_model_paths::check },
    Target { name: "gguf", check: weights::check_gguf },
    Target { name: "journal", check: journal::check },
    Target { name: "page_graph", check: page_graph::check },
    Target { name: "pickle", check: pickle::check },
    Target { name: "registry_document", check: registry_document::check },
    Target { name: "safetensors", check: weights::check_safetensors },
    Target { name: "socket_messages", check: socket_messages::check },
    Target { name: "zip_directory", check: zip_directory::check },
];

/// The target of this name.
#[must_use]
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}
