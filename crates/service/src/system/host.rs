//! Readings of the machine: processors and memory, as far as this process may use them. Blocks for a moment.

use std::{fs, time::Instant};

use sysinfo::{CpuRefreshKind, MemoryRefreshKind, System};

use super::cgroup::Cgroup;
use crate::Error;

/// Processors as this process may use them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CpuReading {
    /// 0 to 100 of what may be used; `None` before the second reading.
    pub percent: Option<f64>,
    /// How many may be used, a part of one counted as one.
    pub count: usize,
    /// MHz now.
    pub current_mhz: Option<f64>,
    /// MHz at least.
    pub min_mhz: Option<f64>,
    /// MHz at most.
    pub max_mhz: Option<f64>,
}

/// Memory as this process may use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryReading {
    /// Bytes in all.
    pub total_bytes: u64,
    /// Bytes that are free or can be made free.
    pub available_bytes: u64,
    /// Bytes in use.
    pub used_bytes: u64,
}

/// Reads the machine again and again: rates need two readings.
pub(crate) struct Host {
    system: System,
    group: Cgroup,
    last: Option<(Instant, u64)>,
    readings: u32,
}

impl Host {
    /// Fails where the system does not show its figures at all.
    pub(crate) fn new() -> Result<Self, Error> {
        let system = System::new().map_err(Error::internal)?;
        Ok(Self { system, group: Cgroup::at("/sys/fs/cgroup"), last: None, readings: 0 })
    }

    /// Processors and memory now.
    pub(crate) fn read(&mut self) -> (CpuReading, MemoryReading) {
        self.system.refresh_cpu_specifics(CpuRefreshKind::nothing().with_usage().with_frequency());
        self.system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
        self.readings = self.readings.saturating_add(1);
        (self.cpu(), self.memory())
    }

    fn cpu(&mut self) -> CpuReading {
        let cpus = self.system.cpus();
        let frequency = cpus.first().map(|cpu| cpu.frequency() as f64).filter(|mhz| *mhz > 0.0);
        let limit = self.group.cpus().filter(|limit| *limit < cpus.len() as f64);
        let count = limit.map_or(cpus.len(), |limit| limit.ceil() as usize).max(1);
        let percent = match limit {
            Some(limit) => self.group_percent(limit),
            None => (self.readings > 1).then(|| f64::from(self.system.global_cpu_usage())),
        };
        CpuReading {
            percent: percent.map(|percent| percent.clamp(0.0, 100.0)),
            count,
            current_mhz: frequency,
            min_mhz: frequency_limit("cpuinfo_min_freq"),
            max_mhz: frequency_limit("cpuinfo_max_freq"),
        }
    }

    fn group_percent(&mut self, limit: f64) -> Option<f64> {
        let now = (Instant::now(), self.group.cpu_time_ns()?);
        let (then, used_then) = self.last.replace(now)?;
        let elapsed = now.0.duration_since(then).as_nanos() as f64;
        (elapsed > 0.0).then(|| now.1.saturating_sub(used_then) as f64 / elapsed / limit * 100.0)
    }

    fn memory(&self) -> MemoryReading {
        let total_bytes = self.system.total_memory();
        match self.group.memory(total_bytes) {
            Some(group) => MemoryReading {
                total_bytes: group.limit_bytes,
                available_bytes: group.limit_bytes.saturating_sub(group.used_bytes),
                used_bytes: group.used_bytes,
            },
            None => MemoryReading {
                total_bytes,
                available_bytes: self.system.available_memory(),
                used_bytes: total_bytes.saturating_sub(self.system.available_memory()),
            },
        }
    }
}

/// A limit of the first processor, in MHz, where the kernel tells it.
fn frequency_limit(name: &str) -> Option<f64> {
    let text = fs::read_to_string(format!("/sys/devices/system/cpu/cpu0/cpufreq/{name}")).ok()?;
    text.trim().parse::<f64>().ok().map(|khz| khz / 1000.0)
}
