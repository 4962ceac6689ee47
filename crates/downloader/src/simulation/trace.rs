//! What happened in a run, line by line: two runs of one seed have to tell the same, and a failed one is read here.

use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

#[derive(Debug, Default)]
pub(crate) struct Trace(Mutex<Lines>);

#[derive(Debug, Default)]
struct Lines {
    began: Option<Instant>,
    all: Vec<String>,
}

impl Trace {
    /// A new process begins; times are counted from here.
    pub(crate) fn begin_life(&self, life: usize) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).began = Some(Instant::now());
        self.line(format!("---- life {life}"));
    }

    /// The process is no more, and its clock neither.
    pub(crate) fn end_life(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).began = None;
    }

    pub(crate) fn line(&self, line: String) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = lines.began.map_or(0.0, |began| began.elapsed().as_secs_f64());
        lines.all.push(format!("{at:9.3} {line}"));
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).all.clone()
    }
}
