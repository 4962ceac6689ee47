//! What `/metrics` shows: requests and their times as they are answered, the rest asked for when somebody looks.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::OnceLock;
use std::time::Duration;

use metrics::{Counter, Histogram, counter, gauge, histogram};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use service::{
    Dashboard,
    downloads::DownloadFigures,
    jobs::JobState,
    system::{Sample, ServiceState},
};

const BUCKETS: [f64; 8] = [0.001, 0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0];

/// The measures of this process. The recorder is the process's, so every server in it shares them.
#[derive(Debug, Clone)]
pub(crate) struct Measures(Option<PrometheusHandle>);

impl Measures {
    /// The measures; the first call makes the recorder.
    pub(crate) fn new() -> Self {
        static HANDLE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
        let made = HANDLE.get_or_init(|| PrometheusBuilder::new().set_buckets(&BUCKETS).ok()?.install_recorder().ok());
        Self(made.clone())
    }

    /// Everything, as Prometheus reads it.
    pub(crate) async fn render(&self, dashboard: &Dashboard) -> String {
        if let Ok(figures) = dashboard.downloads.figures().await {
            show_downloads(&figures);
        }
        show_machine(&*dashboard.system.sample().await);
        let comfyui = dashboard.comfy.last_seen();
        gauge!("comfyui_up").set(f64::from(comfyui.state == ServiceState::Running));
        gauge!("comfyui_queue_pending").set(comfyui.pending as f64);
        gauge!("comfyui_queue_running").set(comfyui.running as f64);
        let running = dashboard.jobs.list().into_iter().filter(|job| job.state == JobState::Running);
        gauge!("jobs_running").set(running.count() as f64);
        self.0.as_ref().map(PrometheusHandle::render).unwrap_or_default()
    }

    /// Gathers what was recorded since the last time, so that it does not pile up where nobody reads it.
    pub(crate) fn gather(&self) {
        if let Some(handle) = &self.0 {
            handle.run_upkeep();
        }
    }
}

impl Default for Measures {
    fn default() -> Self {
        Self::new()
    }
}

/// Where answers of one operation and status are counted.
type Handles = HashMap<u16, (Counter, Histogram)>;

thread_local! {
    /// By operation; as many as there are operations and statuses.
    static HANDLES: RefCell<HashMap<Box<str>, Handles>> = RefCell::default();
}

/// Counts an answer.
pub(crate) fn request_answered(operation: Option<&str>, status: u16, taken: Duration) {
    let operation = operation.unwrap_or("none");
    HANDLES.with_borrow_mut(|handles| {
        if !handles.contains_key(operation) {
            handles.insert(operation.into(), Handles::new());
        }
        let Some(of_operation) = handles.get_mut(operation) else { return };
        let (answers, seconds) = of_operation.entry(status).or_insert_with(|| {
            let (name, status) = (operation.to_owned(), status.to_string());
            (
                counter!("http_requests_total", "operation" => name.clone(), "status" => status),
                histogram!("http_request_duration_seconds", "operation" => name),
            )
        });
        answers.increment(1);
        seconds.record(taken);
    });
}

fn show_downloads(figures: &DownloadFigures) {
    for (state, count) in &figures.by_state {
        gauge!("downloads", "state" => state.as_str()).set(*count as f64);
    }
    let active = figures.by_state.iter().filter(|(state, _)| state.is_active()).map(|(_, count)| count);
    gauge!("downloads_active").set(active.sum::<u64>() as f64);
    counter!("download_files_total").absolute(figures.files);
    counter!("download_received_bytes_total").absolute(figures.wire_bytes);
    gauge!("download_bytes_per_second").set(figures.bytes_per_second as f64);
}

/// A figure that nobody could read has no sample, or keeps its last one for as long as Prometheus asks.
fn show_machine(sample: &Sample) {
    if let Some(percent) = sample.cpu.percent {
        gauge!("cpu_used_ratio").set(percent / 100.0);
    }
    gauge!("memory_used_bytes").set(sample.memory.used_bytes as f64);
    gauge!("memory_total_bytes").set(sample.memory.total_bytes as f64);
    if let Some(disk) = sample.disk {
        gauge!("disk_used_bytes").set(disk.used_bytes as f64);
        gauge!("disk_total_bytes").set(disk.total_bytes as f64);
    }
    gauge!("database_up").set(f64::from(sample.database == ServiceState::Running));
    if let Some(bytes) = sample.database_bytes {
        gauge!("database_size_bytes").set(bytes as f64);
    }
    gauge!("gpus").set(sample.gpus.len() as f64);
    for gpu in &sample.gpus {
        let labels = [("gpu", gpu.index.to_string()), ("name", gpu.name.clone())];
        let figures = [
            ("gpu_used_ratio", gpu.utilization_percent.map(|percent| percent / 100.0)),
            ("gpu_memory_used_bytes", gpu.memory_used_bytes.map(|bytes| bytes as f64)),
            ("gpu_memory_total_bytes", gpu.memory_total_bytes.map(|bytes| bytes as f64)),
            ("gpu_temperature_celsius", gpu.temperature_c),
        ];
        for (name, value) in figures {
            if let Some(value) = value {
                gauge!(name, &labels).set(value);
            }
        }
    }
}
