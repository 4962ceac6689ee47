//! What a weight file is, from its own bytes: safetensors, GGUF, pickle and zip structure.
