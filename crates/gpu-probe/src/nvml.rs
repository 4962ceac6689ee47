//! The NVIDIA driver, through its management library: opened when asked, dropped when it fails, tried again later.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nvml_wrapper::enum_wrappers::device::TemperatureSensor;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Device, Nvml};

use crate::gpu::{Gpu, Source};

/// Where the library is looked for: the name that comes with the driver, then the one of its development package.
const USUAL_NAMES: [&str; 2] = ["libnvidia-ml.so.1", "libnvidia-ml.so"];
/// Opening a library that is not there costs little, a driver that is broken may take a second.
const RETRY_AFTER: Duration = Duration::from_secs(30);
/// NVIDIA cuts a card into seven at most.
const SLICE_LIMIT: u32 = 16;

/// The driver and how it is.
#[derive(Debug)]
pub(crate) struct Driver {
    names: Vec<OsString>,
    state: State,
}

#[derive(Debug)]
enum State {
    NeverAsked,
    Open(Arc<Nvml>),
    Failed { at: Instant, reason: String },
}

impl Driver {
    /// Nothing is opened yet.
    pub(crate) fn new(library: Option<PathBuf>) -> Self {
        let names = library.map_or_else(|| USUAL_NAMES.map(OsString::from).to_vec(), |path| vec![path.into()]);
        Self { names, state: State::NeverAsked }
    }

    /// The cards as they are now; empty while the driver does not answer.
    pub(crate) fn read(&mut self, now: Instant) -> Vec<Gpu> {
        if self.is_due(now) {
            self.state = self.open(now);
        }
        let State::Open(nvml) = &self.state else { return Vec::new() };
        match gpus(nvml) {
            Ok(gpus) if !gpus.is_empty() => gpus,
            Ok(_) => self.fail(now, "the NVIDIA driver names no GPU".to_owned()),
            Err(error) => self.fail(now, format!("the NVIDIA driver stopped answering: {error}")),
        }
    }

    /// Why the last read was empty.
    pub(crate) fn reason(&self) -> Option<String> {
        match &self.state {
            State::NeverAsked => Some("the NVIDIA driver has not been asked yet".to_owned()),
            State::Open(_) => None,
            State::Failed { reason, .. } => Some(reason.clone()),
        }
    }

    fn is_due(&self, now: Instant) -> bool {
        match &self.state {
            State::NeverAsked => true,
            State::Open(_) => false,
            State::Failed { at, .. } => now.saturating_duration_since(*at) >= RETRY_AFTER,
        }
    }

    fn open(&self, now: Instant) -> State {
        let mut reasons = Vec::new();
        for name in &self.names {
            match open_library(name) {
                Ok(nvml) => {
                    tracing::info!(library = %name.display(), "the NVIDIA driver answers");
                    return State::Open(nvml);
                }
                Err(error) => reasons.push(format!("{}: {error}", name.display())),
            }
        }
        State::Failed { at: now, reason: format!("no NVIDIA driver answers ({})", reasons.join("; ")) }
    }

    fn fail(&mut self, now: Instant, reason: String) -> Vec<Gpu> {
        tracing::warn!(reason, "no GPU is known until the NVIDIA driver is asked again");
        self.state = State::Failed { at: now, reason };
        Vec::new()
    }
}

/// Opens a library under a name or a path, and starts it.
fn open_library(name: &OsStr) -> Result<Arc<Nvml>, NvmlError> {
    let nvml = Arc::new(Nvml::builder().lib_path(name).init()?);
    // The wrapper panics when it closes a library that has no call for closing: one more reference leaves it open for good.
    if nvml.lib().nvmlShutdown.is_err() {
        std::mem::forget(Arc::clone(&nvml));
    }
    Ok(nvml)
}

/// All cards that answer; a card that fell off the bus or is closed to us is left out.
fn gpus(nvml: &Nvml) -> Result<Vec<Gpu>, NvmlError> {
    let driver_version = nvml.sys_driver_version().ok();
    let mut gpus = Vec::new();
    for number in 0..nvml.device_count()? {
        match nvml.device_by_index(number) {
            Ok(card) => gpus.extend(card_or_slices(&card)),
            Err(error) => tracing::debug!(number, %error, "a GPU does not answer"),
        }
    }
    for (index, gpu) in gpus.iter_mut().enumerate() {
        gpu.index = index as u32;
        gpu.driver_version.clone_from(&driver_version);
    }
    Ok(gpus)
}

/// A card that is cut into slices is listed as these, since a process can use one of them and never the whole card.
fn card_or_slices(card: &Device<'_>) -> Vec<Gpu> {
    let mig = card.mig_mode().is_ok_and(|mode| mode.current != 0);
    let whole = Gpu { mig, ..readings(card) };
    if !mig {
        return vec![whole];
    }
    let places = card.mig_device_count().unwrap_or(0).min(SLICE_LIMIT);
    let slices: Vec<_> = (0..places)
        .filter_map(|place| card.mig_device_by_index(place).ok())
        .map(|slice| Gpu { mig, temperature_c: whole.temperature_c, utilization_percent: None, ..readings(&slice) })
        .collect();
    if slices.is_empty() { vec![whole] } else { slices }
}

fn readings(device: &Device<'_>) -> Gpu {
    let memory = device.memory_info().ok();
    Gpu {
        index: 0,
        name: device.name().unwrap_or_else(|_| "NVIDIA GPU".to_owned()),
        uuid: device.uuid().ok(),
        memory_total_bytes: memory.as_ref().map(|memory| memory.total),
        memory_used_bytes: memory.as_ref().map(|memory| memory.used),
        memory_free_bytes: memory.as_ref().map(|memory| memory.free),
        utilization_percent: device.utilization_rates().ok().map(|rates| f64::from(rates.gpu)),
        temperature_c: device.temperature(TemperatureSensor::Gpu).ok().map(f64::from),
        mig: false,
        driver_version: None,
        source: Source::Driver,
    }
}
