//! How large a registry may be. The shipped one has 80 KB, so these bound memory and hinder nobody.

/// Most bytes of a registry document; also of all preset files of an index together.
pub(crate) const DOCUMENT: u64 = 4 * 1024 * 1024;

/// Most bytes of one preset file of an index.
pub(crate) const PRESET_FILE: u64 = 256 * 1024;
