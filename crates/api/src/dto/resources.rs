//! Processors, memory, GPUs and disk as JSON, in detail.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use service::{Gpu, GpuSource, system as view};
use utoipa::ToSchema;

use super::system::{share, share_of};
use super::units::{gigabytes, percent};

/// Clock rates in MHz.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Frequency {
    /// Now.
    pub current: Option<f64>,
    /// The lowest.
    pub min: Option<f64>,
    /// The highest.
    pub max: Option<f64>,
}

/// The processors that may be used; a container may be allowed fewer than the machine has.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Cpu {
    /// How much of them is used.
    pub percent: Option<f64>,
    /// How many there are; a part of one counts as one.
    pub count: usize,
    /// Their clock rates.
    pub freq: Frequency,
}

/// The memory that may be used; a container may be allowed less than the machine has.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Memory {
    /// All of it, in units of 2^30 bytes.
    pub total_gb: f64,
    /// What is free or can be made free, in units of 2^30 bytes.
    pub available_gb: f64,
    /// How much of it is used.
    pub percent: Option<f64>,
    /// What is used, in units of 2^30 bytes.
    pub used_gb: f64,
    /// All of it.
    pub total_bytes: u64,
    /// What is free or can be made free.
    pub available_bytes: u64,
    /// What is used.
    pub used_bytes: u64,
}

/// A GPU, or a slice of one that is cut into several.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct GpuDevice {
    /// Its place in the list.
    pub id: u32,
    /// The maker's name for it.
    pub name: String,
    /// All its memory, in units of 2^30 bytes.
    pub memory_total_gb: Option<f64>,
    /// Memory in use by all processes, in units of 2^30 bytes.
    pub memory_used_gb: Option<f64>,
    /// Memory that is free, in units of 2^30 bytes.
    pub memory_free_gb: Option<f64>,
    /// How busy it is.
    pub utilization_percent: Option<f64>,
    /// Degrees Celsius.
    pub temperature_c: Option<f64>,
    /// All its memory.
    pub memory_total_bytes: Option<u64>,
    /// Memory in use by all processes.
    pub memory_used_bytes: Option<u64>,
    /// Memory that is free.
    pub memory_free_bytes: Option<u64>,
    /// An identity that outlives restarts.
    pub uuid: Option<String>,
    /// The version of the driver.
    pub driver_version: Option<String>,
    /// Who says that it is there: `driver`, `comfyui` where only it can say, or `setting` for `GPU_VRAM_GB`.
    #[schema(example = "driver")]
    pub source: String,
}

impl From<&Gpu> for GpuDevice {
    fn from(gpu: &Gpu) -> Self {
        Self {
            id: gpu.index,
            name: gpu.name.clone(),
            memory_total_gb: gpu.memory_total_bytes.map(gigabytes),
            memory_used_gb: gpu.memory_used_bytes.map(gigabytes),
            memory_free_gb: gpu.memory_free_bytes.map(gigabytes),
            utilization_percent: gpu.utilization_percent.map(percent),
            temperature_c: gpu.temperature_c,
            memory_total_bytes: gpu.memory_total_bytes,
            memory_used_bytes: gpu.memory_used_bytes,
            memory_free_bytes: gpu.memory_free_bytes,
            uuid: gpu.uuid.clone(),
            driver_version: gpu.driver_version.clone(),
            source: match gpu.source {
                GpuSource::Driver => "driver",
                GpuSource::Comfyui => "comfyui",
                GpuSource::Setting => "setting",
            }
            .to_owned(),
        }
    }
}

/// The GPUs of the machine. None is an ordinary state.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Gpus {
    /// How many there are.
    pub count: usize,
    /// Each of them.
    pub devices: Vec<GpuDevice>,
    /// Why none is known.
    pub reason: Option<String>,
}

/// The file system of the workspace.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Disk {
    /// All of it, in units of 2^30 bytes.
    pub total_gb: Option<f64>,
    /// What is used, in units of 2^30 bytes.
    pub used_gb: Option<f64>,
    /// What may be written, in units of 2^30 bytes.
    pub free_gb: Option<f64>,
    /// How much of it is used.
    pub percent: Option<f64>,
    /// All of it.
    pub total_bytes: Option<u64>,
    /// What is used.
    pub used_bytes: Option<u64>,
    /// What may be written.
    pub free_bytes: Option<u64>,
}

/// What the machine has and how much of it is used.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Resources {
    /// Processors.
    pub cpu: Cpu,
    /// Memory.
    pub memory: Memory,
    /// GPUs.
    pub gpu: Gpus,
    /// The file system of the workspace.
    pub disk: Disk,
    /// When the figures were read.
    #[schema(value_type = String, format = DateTime)]
    #[serde(serialize_with = "super::units::milliseconds")]
    pub sampled_at: Timestamp,
}

impl From<&view::Sample> for Resources {
    fn from(sample: &view::Sample) -> Self {
        let (cpu, memory, disk) = (sample.cpu, sample.memory, sample.disk);
        let freq = Frequency { current: cpu.current_mhz, min: cpu.min_mhz, max: cpu.max_mhz };
        Self {
            cpu: Cpu { percent: cpu.percent.map(percent), count: cpu.count, freq },
            memory: Memory {
                total_gb: gigabytes(memory.total_bytes),
                available_gb: gigabytes(memory.available_bytes),
                percent: share(memory.used_bytes, memory.total_bytes),
                used_gb: gigabytes(memory.used_bytes),
                total_bytes: memory.total_bytes,
                available_bytes: memory.available_bytes,
                used_bytes: memory.used_bytes,
            },
            gpu: Gpus {
                count: sample.gpus.len(),
                devices: sample.gpus.iter().map(GpuDevice::from).collect(),
                reason: sample.no_gpu_because.clone(),
            },
            disk: Disk {
                total_gb: disk.map(|disk| gigabytes(disk.total_bytes)),
                used_gb: disk.map(|disk| gigabytes(disk.used_bytes)),
                free_gb: disk.map(|disk| gigabytes(disk.available_bytes)),
                percent: share_of(disk),
                total_bytes: disk.map(|disk| disk.total_bytes),
                used_bytes: disk.map(|disk| disk.used_bytes),
                free_bytes: disk.map(|disk| disk.available_bytes),
            },
            sampled_at: sample.at,
        }
    }
}
