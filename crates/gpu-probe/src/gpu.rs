//! One GPU. Every reading may be missing: drivers, virtual machines and slices refuse different ones.

/// Who says that a GPU is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The NVIDIA driver, asked just now.
    Driver,
    /// ComfyUI, which computes on it.
    Comfyui,
    /// The owner's setting; nothing was measured.
    Setting,
}

/// A GPU, or one slice of a GPU that is cut into several (MIG).
#[derive(Debug, Clone, PartialEq)]
pub struct Gpu {
    /// The place in the list, from 0; with slices it is not the number of the card.
    pub index: u32,
    /// The maker's name for it.
    pub name: String,
    /// An identity that outlives restarts.
    pub uuid: Option<String>,
    /// All memory, in bytes.
    pub memory_total_bytes: Option<u64>,
    /// Memory in use by all processes, in bytes.
    pub memory_used_bytes: Option<u64>,
    /// Memory that is free, in bytes.
    pub memory_free_bytes: Option<u64>,
    /// The share of the last moment in which it worked, 0 to 100; a slice has none.
    pub utilization_percent: Option<f64>,
    /// Degrees Celsius; a slice has that of its card.
    pub temperature_c: Option<f64>,
    /// True for a slice, and for a card in that mode which has no slice.
    pub mig: bool,
    /// The version of the driver, as `580.95.05`.
    pub driver_version: Option<String>,
    /// Who says so.
    pub source: Source,
}
