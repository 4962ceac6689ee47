//! Which presets exist: the catalogue, its file formats, and the fetch that keeps it fresh.
