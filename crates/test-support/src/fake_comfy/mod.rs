//! A ComfyUI that answers as the recordings do.
