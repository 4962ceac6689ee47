//! The machine and the services on it, as they were a moment ago. Readings are taken in the background, never in a request.

mod cgroup;
mod host;
pub(crate) mod readiness;
pub(crate) mod sampler;
pub(crate) mod space;
pub mod storage;

pub use api_types::system::ServiceState;
use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use gpu_probe::{Gpu, Probe};
use jiff::Timestamp;
use tokio::sync::watch;

pub(crate) use host::Host;
pub use host::{CpuReading, MemoryReading};

use crate::system::storage::Filesystem;

/// The machine at one moment.
#[derive(Debug, Clone)]
pub struct Sample {
    /// When.
    pub at: Timestamp,
    /// Processors.
    pub cpu: CpuReading,
    /// Memory.
    pub memory: MemoryReading,
    /// GPUs; none is an ordinary state.
    pub gpus: Vec<Gpu>,
    /// Why no GPU is known, as a sentence; `None` while one is.
    pub no_gpu_because: Option<String>,
    /// The file system of the workspace; `None` where it does not answer.
    pub disk: Option<Filesystem>,
    /// Whether the database answers.
    pub database: ServiceState,
    /// Bytes of its file; `None` where it does not answer.
    pub database_bytes: Option<u64>,
    /// Whether the catalogue is loaded and the transfers are taken in.
    pub preset_manager: ServiceState,
    /// Whether ComfyUI answers.
    pub comfyui: ServiceState,
}

impl Sample {
    /// How this server is: it answers, and it needs its database and the file system of its workspace.
    pub fn dashboard(&self) -> ServiceState {
        let is_well = self.database == ServiceState::Running && self.disk.is_some();
        if is_well { ServiceState::Running } else { ServiceState::Degraded }
    }

    /// The GPU with the most memory, and that memory in GiB.
    pub fn largest_gpu(&self) -> Option<(&Gpu, f64)> {
        let sized = self.gpus.iter().filter_map(|gpu| Some((gpu, gpu.memory_total_bytes?)));
        sized.max_by_key(|(_, bytes)| *bytes).map(|(gpu, bytes)| (gpu, bytes as f64 / 1_073_741_824.0))
    }

    /// How busy the GPUs are in the mean, 0 to 100.
    pub fn gpu_percent(&self) -> Option<f64> {
        let busy: Vec<f64> = self.gpus.iter().filter_map(|gpu| gpu.utilization_percent).collect();
        (!busy.is_empty()).then(|| busy.iter().sum::<f64>() / busy.len() as f64)
    }

    /// Whole percents that a watcher sees: where they are the same, there is nothing to tell.
    pub(crate) fn figures(&self) -> [Option<i64>; 4] {
        let rounded = |percent: Option<f64>| percent.map(|percent| percent.round() as i64);
        let disk = self.disk.map(|disk| share(disk.used_bytes, disk.total_bytes));
        let memory = share(self.memory.used_bytes, self.memory.total_bytes);
        [rounded(self.cpu.percent), rounded(Some(memory)), rounded(self.gpu_percent()), rounded(disk)]
    }
}

/// Percent, 0 to 100.
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 * 100.0 }
}

/// The machine. Cheap to clone.
#[derive(Debug, Clone)]
pub struct System {
    samples: watch::Sender<Option<Arc<Sample>>>,
    revision: Arc<AtomicU64>,
}

/// What the sampler asks.
pub(crate) struct Sources {
    pub(crate) probe: Arc<Probe>,
    pub(crate) workspace: PathBuf,
}

impl System {
    pub(crate) fn new() -> Self {
        Self { samples: watch::Sender::new(None), revision: Arc::default() }
    }

    /// The last sample; waits for the first one after a start.
    pub async fn sample(&self) -> Arc<Sample> {
        if let Some(sample) = self.samples.borrow().clone() {
            return sample;
        }
        let mut samples = self.samples.subscribe();
        loop {
            if let Some(sample) = samples.borrow_and_update().clone() {
                return sample;
            }
            // The sender lives as long as `self`: this only ends with a new value.
            let _ = samples.changed().await;
        }
    }

    /// Another number for each sample.
    pub(crate) fn revision(&self) -> u64 {
        self.revision.load(Ordering::SeqCst)
    }

    pub(crate) fn publish(&self, sample: Arc<Sample>) {
        self.samples.send_replace(Some(sample));
        // Behind the sample: what is made of the one before belongs to the number before.
        self.revision.fetch_add(1, Ordering::SeqCst);
    }
}
