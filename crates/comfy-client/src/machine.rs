//! What ComfyUI says of itself and its machine: memory, devices, log lines, folders, workflows that its page saved.

use std::collections::BTreeMap;
use std::path::PathBuf;

/// `/system_stats`. Sizes are bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemStats {
    /// ComfyUI's own version, such as `0.3.64`.
    pub comfyui_version: Option<String>,
    /// Python's version, the first word of what it says of itself.
    pub python_version: Option<String>,
    /// PyTorch's version.
    pub pytorch_version: Option<String>,
    /// `posix` or `nt`.
    pub os: Option<String>,
    /// Memory of the machine.
    pub ram_total: Option<u64>,
    /// Memory that is free.
    pub ram_free: Option<u64>,
    /// How ComfyUI was started.
    pub argv: Vec<String>,
    /// What it computes on.
    pub devices: Vec<Device>,
}

/// One device that ComfyUI computes on. Sizes are bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its name, as PyTorch gives it.
    pub name: String,
    /// `cuda`, `mps`, `cpu` and so on; `cpu` is no GPU.
    pub kind: String,
    /// Its number among devices of its kind.
    pub index: Option<u32>,
    /// Its memory.
    pub vram_total: u64,
    /// What of it is free.
    pub vram_free: u64,
}

/// One line of ComfyUI's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When, in ComfyUI's local time: `2026-11-23T21:15:32.082023`.
    pub at: String,
    /// The text, its line ends included.
    pub text: String,
}

/// A workflow that ComfyUI's own page saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedWorkflow {
    /// Path under the user's `workflows` folder.
    pub path: String,
    /// Bytes, where ComfyUI says.
    pub size: Option<u64>,
    /// When it was last written, in milliseconds since 1970, where ComfyUI says.
    pub modified_at_ms: Option<i64>,
}

/// Folder name (`checkpoints`) to the places where ComfyUI looks, first the one that it writes to.
pub type FolderPaths = BTreeMap<String, Vec<PathBuf>>;
