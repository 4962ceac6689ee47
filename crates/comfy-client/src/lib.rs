//! How ComfyUI is spoken to: prompts, queue, history, its socket, and its page's graphs.
