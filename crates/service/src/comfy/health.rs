//! How ComfyUI is: asked on request, and every few seconds in the background.

use std::sync::Arc;

use comfy_client::{Device, SystemStats};
use gpu_probe::{Gpu, Source};
use tokio_util::sync::CancellationToken;

use super::{Comfy, Socket};
use crate::{Error, system::ServiceState};

/// How ComfyUI is.
#[derive(Debug, Clone, PartialEq)]
pub struct ComfyHealth {
    /// Whether it answers.
    pub state: ServiceState,
    /// Its version.
    pub version: Option<String>,
    /// Prompts that wait, of all clients.
    pub pending: u64,
    /// Prompts that run.
    pub running: u64,
    /// What it computes on; a processor is no GPU.
    pub gpus: Vec<Gpu>,
    /// Its socket.
    pub socket: Socket,
    /// Why it counts as stuck; `None` where it does not.
    pub stuck: Option<String>,
}

impl ComfyHealth {
    pub(super) fn unknown() -> Self {
        Self {
            state: ServiceState::Unknown,
            version: None,
            pending: 0,
            running: 0,
            gpus: Vec::new(),
            socket: Socket::Untried,
            stuck: None,
        }
    }
}

impl Comfy {
    /// Asks it now.
    pub async fn health(&self) -> Result<ComfyHealth, Error> {
        let asked = async {
            let (stats, queue) = (self.client.system_stats().await?, self.client.queue().await?);
            Ok(ComfyHealth {
                state: ServiceState::Running,
                version: stats.comfyui_version.clone(),
                pending: queue.pending.len() as u64,
                running: queue.running.len() as u64,
                gpus: gpus_of(&stats),
                socket: self.link().socket(),
                stuck: self.link().stuck(),
            })
        };
        let found: Result<ComfyHealth, Error> = asked.await;
        let remembered = match &found {
            Ok(health) => health.clone(),
            Err(_) => ComfyHealth { state: ServiceState::Stopped, ..ComfyHealth::unknown() },
        };
        self.health.send_if_modified(|last| {
            let changed = **last != remembered;
            *last = Arc::new(remembered);
            changed
        });
        found
    }

    /// Asks it every few seconds until the token is cancelled.
    pub(crate) async fn look_after(self, stop: CancellationToken) -> Result<(), Error> {
        let mut ticks = tokio::time::interval(self.settings.probe_interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = ticks.tick() => {}
            }
            let before = self.last_seen().state;
            let asked = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                asked = self.health() => asked,
            };
            match asked {
                Ok(_) if before != ServiceState::Running => {
                    tracing::info!(url = %comfy_client::without_credentials(self.client.base()), "ComfyUI answers")
                }
                Err(cause) if before != ServiceState::Stopped => {
                    tracing::warn!(error = %cause, "ComfyUI does not answer")
                }
                _ => {}
            }
        }
    }
}

fn gpus_of(stats: &SystemStats) -> Vec<Gpu> {
    let real = stats.devices.iter().filter(|device| device.kind != "cpu");
    real.enumerate().map(|(at, device)| gpu_of(at, device)).collect()
}

fn gpu_of(at: usize, device: &Device) -> Gpu {
    Gpu {
        index: u32::try_from(at).unwrap_or(0),
        name: readable_name(&device.name),
        uuid: None,
        memory_total_bytes: Some(device.vram_total),
        memory_used_bytes: Some(device.vram_total.saturating_sub(device.vram_free)),
        memory_free_bytes: Some(device.vram_free),
        utilization_percent: None,
        temperature_c: None,
        mig: false,
        driver_version: None,
        source: Source::Comfyui,
    }
}

/// ComfyUI puts the device before the name and the allocator behind it: `cuda:0 NVIDIA GeForce RTX 4090 : cudaMallocAsync`.
fn readable_name(name: &str) -> String {
    let name = name.split(" : ").next().unwrap_or(name);
    let is_device = |word: &str| word.split_once(':').is_some_and(|(_, number)| number.parse::<u32>().is_ok());
    match name.split_once(' ') {
        Some((device, rest)) if is_device(device) => rest.to_owned(),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_card_is_freed_of_device_and_allocator() {
        assert_eq!(readable_name("cuda:0 NVIDIA GeForce RTX 4090 : cudaMallocAsync"), "NVIDIA GeForce RTX 4090");
        assert_eq!(readable_name("mps"), "mps");
        assert_eq!(readable_name("cuda:1 AMD Instinct MI300X"), "AMD Instinct MI300X");
    }
}
