//! Builders of file bytes, by hand and to the letter of each format.

pub(crate) mod gguf;
pub(crate) mod pickle;
pub(crate) mod safetensors;
pub(crate) mod zip;
