//! The probe: which source is asked, and when a driver that failed is tried again.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::gpu::{Gpu, Source};
use crate::nvml::Driver;

const BYTES_PER_GIB: f64 = 1_073_741_824.0;

/// What the owner of the machine says about it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Options {
    /// The driver's library; else it is looked up under its usual names where the system keeps libraries.
    pub nvml_library: Option<PathBuf>,
    /// GiB of memory of a GPU that no driver here can name; used only while the driver names none.
    pub fixed_vram_gb: Option<f64>,
}

/// Asks for the GPUs of this machine. Shared between threads; one call at a time reaches the driver.
#[derive(Debug)]
pub struct Probe {
    driver: Option<Mutex<Driver>>,
    stated: Option<Gpu>,
}

impl Probe {
    /// Asks the NVIDIA driver first, and falls back to the stated size. Nothing is opened before the first [`Probe::read`].
    #[must_use]
    pub fn detect(options: Options) -> Self {
        Self {
            driver: Some(Mutex::new(Driver::new(options.nvml_library))),
            stated: options.fixed_vram_gb.and_then(stated_gpu),
        }
    }

    /// Asks the NVIDIA driver alone.
    #[must_use]
    pub fn nvml(library: Option<PathBuf>) -> Self {
        Self::detect(Options { nvml_library: library, fixed_vram_gb: None })
    }

    /// Answers with one GPU of so many GiB, and with none where that is not a positive number.
    #[must_use]
    pub fn fixed(vram_gb: f64) -> Self {
        Self { driver: None, stated: stated_gpu(vram_gb) }
    }

    /// Answers with no GPU.
    #[must_use]
    pub fn absent() -> Self {
        Self { driver: None, stated: None }
    }

    /// The GPUs as they are now; empty where none is known. A driver that is missing or fails is tried again when 30 seconds have
    /// passed by `now`. Blocks for as long as the driver takes.
    pub fn read(&self, now: Instant) -> Vec<Gpu> {
        let found = self.driver().map(|mut driver| driver.read(now)).unwrap_or_default();
        if found.is_empty() { self.stated.iter().cloned().collect() } else { found }
    }

    /// Why the driver named no GPU at the last [`Probe::read`], as a sentence for people; `None` while it names some.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        match self.driver() {
            Some(driver) => driver.reason(),
            None => Some("no driver is asked on this machine".to_owned()),
        }
    }

    fn driver(&self) -> Option<MutexGuard<'_, Driver>> {
        // A panic inside the driver leaves nothing half-written here: the next call starts afresh.
        Some(self.driver.as_ref()?.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn stated_gpu(vram_gb: f64) -> Option<Gpu> {
    let possible = vram_gb.is_finite() && vram_gb > 0.0;
    possible.then(|| Gpu {
        index: 0,
        name: "GPU of stated size".to_owned(),
        uuid: None,
        memory_total_bytes: Some((vram_gb * BYTES_PER_GIB) as u64),
        memory_used_bytes: None,
        memory_free_bytes: None,
        utilization_percent: None,
        temperature_c: None,
        mig: false,
        driver_version: None,
        source: Source::Setting,
    })
}
