//! The core: one facade over catalogue, downloads, models and state, with SQLite beneath it.
