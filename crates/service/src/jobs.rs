//! Work that outlasts a request: begun, watched, ended. Jobs live in memory; a restart forgets them, and what they found
//! out is in the database by then.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Clock, Error, Resource,
    events::{Bus, Event},
    ids,
    models::ValidationReport,
};

/// How many ended jobs are remembered.
const REMEMBERED: usize = 100;

/// Every background job. Cheap to clone.
#[derive(Clone)]
pub struct Jobs {
    known: Arc<Mutex<BTreeMap<String, Entry>>>,
    bus: Bus,
    clock: Arc<dyn Clock>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

struct Entry {
    job: Job,
    cancel: CancellationToken,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// At work.
    Running,
    /// Done; the result is there.
    Completed,
    /// Somebody ended it.
    Cancelled,
    /// It could not be done.
    Failed,
}

impl JobState {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }
}

/// A job as it stands.
#[derive(Debug, Clone)]
pub struct Job {
    /// `job_…`.
    pub id: String,
    /// What it does: `validate_models`, `repair_models`.
    pub kind: &'static str,
    /// Where it stands.
    pub state: JobState,
    /// Bytes that are done.
    pub done_bytes: u64,
    /// Bytes in all.
    pub total_bytes: u64,
    /// What it is working on.
    pub current: Option<String>,
    /// What came out.
    pub result: Option<Arc<ValidationReport>>,
    /// Why it failed, as a sentence.
    pub error: Option<String>,
    /// When it began.
    pub created_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

impl Job {
    /// 0 to 100, by bytes.
    pub fn progress(&self) -> f64 {
        match (self.state, self.total_bytes) {
            (JobState::Completed, _) => 100.0,
            (_, 0) => 0.0,
            (_, total) => (self.done_bytes as f64 / total as f64 * 100.0).min(99.9),
        }
    }
}

/// What a job at work tells of itself.
#[derive(Clone)]
pub(crate) struct JobReporter {
    jobs: Jobs,
    id: String,
    /// Ends when the job shall end.
    pub(crate) cancel: CancellationToken,
}

impl Jobs {
    pub(crate) fn new(bus: Bus, clock: Arc<dyn Clock>, tasks: TaskTracker, stop: CancellationToken) -> Self {
        Self { known: Arc::default(), bus, clock, tasks, stop }
    }

    /// A job as it stands.
    pub fn get(&self, id: &str) -> Result<Job, Error> {
        self.lock().get(id).map(|entry| entry.job.clone()).ok_or_else(|| no_job(id))
    }

    /// Every job that is remembered, the latest first.
    pub fn list(&self) -> Vec<Job> {
        self.lock().values().rev().map(|entry| entry.job.clone()).collect()
    }

    /// Ends a job. One that has ended stays as it is.
    pub fn cancel(&self, id: &str) -> Result<Job, Error> {
        let mut known = self.lock();
        let entry = known.get_mut(id).ok_or_else(|| no_job(id))?;
        entry.cancel.cancel();
        if entry.job.state != JobState::Running {
            return Ok(entry.job.clone());
        }
        entry.job.state = JobState::Cancelled;
        entry.job.ended_at = Some(self.clock.now());
        let job = entry.job.clone();
        drop(known);
        self.bus.publish(Event::JobProgress(Arc::new(job.clone())));
        Ok(job)
    }

    /// Begins a job. `work` hears of its end through the reporter's token and tells how far it is.
    pub(crate) fn begin<Work, Running>(&self, kind: &'static str, work: Work) -> Job
    where
        Work: FnOnce(JobReporter) -> Running,
        Running: Future<Output = Result<ValidationReport, Error>> + Send + 'static,
    {
        let (id, cancel) = (ids::new_job_id(), self.stop.child_token());
        let job = Job {
            id: id.clone(),
            kind,
            state: JobState::Running,
            done_bytes: 0,
            total_bytes: 0,
            current: None,
            result: None,
            error: None,
            created_at: self.clock.now(),
            ended_at: None,
        };
        self.remember(Entry { job: job.clone(), cancel: cancel.clone() });
        let running = work(JobReporter { jobs: self.clone(), id: id.clone(), cancel });
        let jobs = self.clone();
        self.tasks.spawn(async move { jobs.end(&id, running.await) });
        job
    }

    fn end(&self, id: &str, outcome: Result<ValidationReport, Error>) {
        let now = self.clock.now();
        self.change(id, |job| {
            job.ended_at = Some(now);
            job.current = None;
            match outcome {
                Ok(report) => (job.state, job.result) = (JobState::Completed, Some(Arc::new(report))),
                Err(cause) => {
                    tracing::error!(job = %job.id, error = ?cause, "a background job failed");
                    (job.state, job.error) = (JobState::Failed, Some(cause.to_string()));
                }
            }
        });
    }

    fn remember(&self, entry: Entry) {
        let mut known = self.lock();
        known.insert(entry.job.id.clone(), entry);
        while known.len() > REMEMBERED {
            let Some(oldest) = known.iter().find(|(_, entry)| entry.job.ended_at.is_some()).map(|(id, _)| id.clone())
            else {
                return;
            };
            known.remove(&oldest);
        }
    }

    /// Changes a job that runs, and tells of it. One that has ended stays as it is.
    fn change(&self, id: &str, change: impl FnOnce(&mut Job)) {
        let mut known = self.lock();
        let Some(entry) = known.get_mut(id).filter(|entry| entry.job.state == JobState::Running) else { return };
        change(&mut entry.job);
        let job = entry.job.clone();
        drop(known);
        self.bus.publish(Event::JobProgress(Arc::new(job)));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl JobReporter {
    /// Says how far the job is.
    pub(crate) fn tell(&self, done_bytes: u64, total_bytes: u64, current: Option<&str>) {
        self.jobs.change(&self.id, |job| {
            job.done_bytes = done_bytes;
            job.total_bytes = total_bytes;
            job.current = current.map(str::to_owned);
        });
    }
}

fn no_job(id: &str) -> Error {
    Error::NotFound { resource: Resource::Job, id: id.to_owned() }
}
