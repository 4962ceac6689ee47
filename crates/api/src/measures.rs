//! What `/metrics` shows: requests and their times as they are answered, the rest asked for when somebody looks.

use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use service::Dashboard;

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
        if let Ok(unfinished) = dashboard.downloads.unfinished().await {
            let active = unfinished.iter().filter(|download| download.state.is_active()).count();
            metrics::gauge!("downloads_unfinished").set(unfinished.len() as f64);
            metrics::gauge!("downloads_active").set(active as f64);
        }
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

/// Counts an answer.
pub(crate) fn request_answered(operation: Option<&str>, status: u16, taken: Duration) {
    let operation = operation.unwrap_or("none").to_owned();
    metrics::counter!("http_requests_total", "operation" => operation.clone(), "status" => status.to_string())
        .increment(1);
    metrics::histogram!("http_request_duration_seconds", "operation" => operation).record(taken);
}
