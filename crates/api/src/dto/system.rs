//! The machine as JSON: what runs, and what is used of it. What nobody could read is `null`.

pub use api_types::system::ServiceState;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use service::system as view;
use service::system::storage::Filesystem;
use utoipa::ToSchema;

use super::units::{gigabytes, percent};

/// The services of the machine.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Services {
    /// This server.
    pub dashboard: ServiceState,
    /// ComfyUI.
    pub comfyui: ServiceState,
    /// The catalogue and the transfers.
    pub preset_manager: ServiceState,
}

/// How much of the machine is used.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ResourceSummary {
    /// Of the processors that may be used.
    pub cpu_percent: Option<f64>,
    /// Of the memory that may be used.
    pub memory_percent: Option<f64>,
    /// The mean of all GPUs.
    pub gpu_percent: Option<f64>,
    /// Of the file system of the workspace, in units of 2^30 bytes.
    pub disk_used_gb: Option<f64>,
    /// The file system of the workspace, in units of 2^30 bytes.
    pub disk_total_gb: Option<f64>,
    /// Of the file system of the workspace.
    pub disk_used_bytes: Option<u64>,
    /// The file system of the workspace.
    pub disk_total_bytes: Option<u64>,
}

/// How everything is.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SystemStatus {
    /// How this server is.
    pub status: ServiceState,
    /// Seconds since it started.
    pub uptime: u64,
    /// How each service is.
    pub services: Services,
    /// How much of the machine is used.
    pub resources: ResourceSummary,
    /// When it started.
    #[schema(value_type = String, format = DateTime)]
    #[serde(serialize_with = "super::units::milliseconds")]
    pub started_at: Timestamp,
    /// When the figures were read.
    #[schema(value_type = String, format = DateTime)]
    #[serde(serialize_with = "super::units::milliseconds")]
    pub sampled_at: Timestamp,
}

impl SystemStatus {
    /// The status by a sample, of a server that started then.
    pub fn new(sample: &view::Sample, started_at: Timestamp, uptime: Duration) -> Self {
        Self {
            status: sample.dashboard(),
            uptime: uptime.as_secs(),
            services: Services {
                dashboard: sample.dashboard(),
                comfyui: sample.comfyui,
                preset_manager: sample.preset_manager,
            },
            resources: ResourceSummary {
                cpu_percent: sample.cpu.percent.map(percent),
                memory_percent: share(sample.memory.used_bytes, sample.memory.total_bytes),
                gpu_percent: sample.gpu_percent().map(percent),
                disk_used_gb: sample.disk.map(|disk| gigabytes(disk.used_bytes)),
                disk_total_gb: sample.disk.map(|disk| gigabytes(disk.total_bytes)),
                disk_used_bytes: sample.disk.map(|disk| disk.used_bytes),
                disk_total_bytes: sample.disk.map(|disk| disk.total_bytes),
            },
            started_at,
            sampled_at: sample.at,
        }
    }
}

/// Percent with one decimal; `None` of nothing.
pub(crate) fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| percent(part as f64 / whole as f64 * 100.0))
}

/// Of a file system, as far as it answers.
pub(super) fn share_of(disk: Option<Filesystem>) -> Option<f64> {
    disk.and_then(|disk| share(disk.used_bytes, disk.total_bytes))
}
