//! Reads the machine every few seconds, and tells those who watch when a figure moved, at least every five seconds.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use gpu_probe::{Gpu, Source};
use tokio_util::sync::CancellationToken;

use crate::tasks::blocking;
use crate::{
    Clock, Error,
    comfy::Comfy,
    database::Store,
    events::{Bus, Event},
    system::storage::filesystem_of,
    system::{Host, Sample, ServiceState, Sources, System},
};

const LONGEST_SILENCE: Duration = Duration::from_secs(5);

/// What the sampler works with.
pub(crate) struct Sampler {
    pub(crate) system: System,
    pub(crate) sources: Sources,
    pub(crate) comfy: Comfy,
    pub(crate) store: Store,
    pub(crate) bus: Bus,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) interval: Duration,
}

/// Samples until the token is cancelled.
pub(crate) async fn run(sampler: Sampler, stop: CancellationToken) -> Result<(), Error> {
    let mut host = Host::new()?;
    let mut told: Option<(Instant, [Option<i64>; 4])> = None;
    let mut ticks = tokio::time::interval(sampler.interval);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            _ = ticks.tick() => {}
        }
        let (sample, host_again) = sampler.take(host).await?;
        host = host_again;
        let (sample, figures) = (Arc::new(sample), told.map(|(_, figures)| figures));
        sampler.system.publish(Arc::clone(&sample));
        let silent_for = told.map_or(LONGEST_SILENCE, |(since, _)| since.elapsed() + sampler.interval);
        if figures != Some(sample.figures()) || silent_for > LONGEST_SILENCE {
            told = Some((Instant::now(), sample.figures()));
            sampler.bus.publish(Event::SystemStatus(sample));
        }
    }
}

impl Sampler {
    async fn take(&self, mut host: Host) -> Result<(Sample, Host), Error> {
        let (probe, workspace) = (Arc::clone(&self.sources.probe), self.sources.workspace.clone());
        let comfy = self.comfy.last_seen();
        let read = move || {
            let (cpu, memory) = host.read();
            let gpus = gpus_of_machine(probe.read(Instant::now()), &comfy.gpus);
            let no_gpu_because = probe.reason().filter(|_| gpus.is_empty());
            (host, cpu, memory, gpus, no_gpu_because, filesystem_of(&workspace).ok())
        };
        let (host, cpu, memory, gpus, no_gpu_because, disk) = blocking(read).await?;
        let database_bytes = self.store.size_bytes().await.ok();
        let database = if database_bytes.is_some() { ServiceState::Running } else { ServiceState::Stopped };
        // The supervisor ends the process when the transfers end: while this runs, they run, and only the database can fail.
        let preset_manager = if database == ServiceState::Running { database } else { ServiceState::Degraded };
        let (at, comfyui) = (self.clock.now(), self.comfy.last_seen().state);
        let sample =
            Sample { at, cpu, memory, gpus, no_gpu_because, disk, database, database_bytes, preset_manager, comfyui };
        Ok((sample, host))
    }
}

/// What the driver names, else what ComfyUI computes on, else what the owner stated.
fn gpus_of_machine(named: Vec<Gpu>, of_comfyui: &[Gpu]) -> Vec<Gpu> {
    let is_measured = named.iter().any(|gpu| gpu.source == Source::Driver);
    if is_measured || of_comfyui.is_empty() { named } else { of_comfyui.to_vec() }
}
