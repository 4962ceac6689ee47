//! A stand-in for the NVIDIA management library: a real shared library that a real loader opens, on a machine of the test's choice.
//!
//! Each [`FakeNvml`] is a copy in a folder of its own under the name that loaders ask for, so that a program under test finds it
//! by `LD_LIBRARY_PATH`, and several can be open in one process. Its calls stand in `data/fake_nvml.rs`.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// The call is not available on this device.
pub const NOT_SUPPORTED: u32 = 3;
/// The driver is not running.
pub const DRIVER_NOT_LOADED: u32 = 9;
/// The library and the kernel's driver are of different versions: an update without a restart.
pub const VERSION_MISMATCH: u32 = 18;

const COMPLETE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/fake_nvml_complete.so"));
const SPARSE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/fake_nvml_sparse.so"));

/// The machine that the library describes. Codes are NVML's; 0 is success.
///
/// Card `i` (from 0) uses `i + 1` sixteenths of its memory, is `10 * (i + 1)` percent busy and `40 + i` degrees warm.
#[derive(Debug, Clone)]
pub struct Machine {
    /// How many cards.
    pub gpus: u32,
    /// Memory of a card.
    pub memory_bytes: u64,
    /// Set for cards that can be cut into slices: how many each is cut into. `Some(0)` is a card in that mode without slices.
    pub slices: Option<u32>,
    /// Memory of a slice.
    pub slice_memory_bytes: u64,
    /// The card that fell off the bus.
    pub lost: Option<u32>,
    /// The answer to starting.
    pub init_code: u32,
    /// The answer to counting the cards.
    pub count_code: u32,
    /// The answer to asking for a temperature.
    pub temperature_code: u32,
}

impl Default for Machine {
    /// One card of 24,564 MiB, all calls answered.
    fn default() -> Self {
        Self {
            gpus: 1,
            memory_bytes: 24_564 << 20,
            slices: None,
            slice_memory_bytes: 4_864 << 20,
            lost: None,
            init_code: 0,
            count_code: 0,
            temperature_code: 0,
        }
    }
}

/// The library in its folder, which goes away with this value.
#[derive(Debug)]
pub struct FakeNvml {
    folder: TempDir,
}

impl FakeNvml {
    /// A library with every call that a monitor makes.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn new(machine: &Machine) -> io::Result<Self> {
        Self::with_library(COMPLETE, machine)
    }

    /// A library that can only be started, count and name: no memory, no temperature, not even a way to shut it down.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn sparse(machine: &Machine) -> io::Result<Self> {
        Self::with_library(SPARSE, machine)
    }

    fn with_library(library: &[u8], machine: &Machine) -> io::Result<Self> {
        let fake = Self { folder: TempDir::new()? };
        fs::write(fake.path(), library)?;
        fake.set(machine)?;
        Ok(fake)
    }

    /// Changes the machine; every call from now on answers for the new one.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn set(&self, machine: &Machine) -> io::Result<()> {
        let mut lines = String::new();
        let mut line = |name: &str, number: u64| {
            // Writing to a String cannot fail.
            let _ = writeln!(lines, "{name}={number}");
        };
        line("gpus", machine.gpus.into());
        line("memory_bytes", machine.memory_bytes);
        line("slice_memory_bytes", machine.slice_memory_bytes);
        line("init", machine.init_code.into());
        line("count", machine.count_code.into());
        line("temperature", machine.temperature_code.into());
        if let Some(slices) = machine.slices {
            line("mig", 1);
            line("slices", slices.into());
        }
        if let Some(lost) = machine.lost {
            line("lost", lost.into());
        }
        let new = self.folder().join("fake_nvml.conf.new");
        fs::write(&new, lines)?;
        fs::rename(new, self.folder().join("fake_nvml.conf"))
    }

    /// The library itself.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder().join("libnvidia-ml.so.1")
    }

    /// The folder to put into `LD_LIBRARY_PATH`.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}
