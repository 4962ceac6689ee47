//! Work that outlasts a request: begun, watched, ended. Jobs live in memory; a restart forgets them, and what they found
//! out is in the database by then.

pub use api_types::jobs::JobState;
use std::{
    collections::BTreeMap,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Clock, Error, Resource,
    events::{Bus, Event},
    ids,
    models::ValidationReport,
};

/// How many ended jobs are remembered.
const REMEMBERED: usize = 100;
/// How many jobs run at once, those included that somebody waits for.
const RUNNING_LIMIT: usize = 16;

/// Every background job. Cheap to clone.
#[derive(Clone)]
pub struct Jobs {
    known: Arc<Mutex<BTreeMap<String, Entry>>>,
    bus: Bus,
    clock: Arc<dyn Clock>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

/// What a job works on: one job of a kind and scope runs at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct JobScope {
    pub(crate) key: String,
    /// It does all of the work anew. Who wants that is not served by a job that does not.
    pub(crate) thorough: bool,
}

impl JobScope {
    fn serves(&self, wanted: &Self) -> bool {
        self.key == wanted.key && (self.thorough || !wanted.thorough)
    }
}

struct Entry {
    job: Job,
    scope: JobScope,
    cancel: CancellationToken,
    /// Somebody asked for it as a job: it is listed, told of, and goes on though nobody waits for it.
    is_kept: bool,
    /// Callers that wait for its result.
    waiting: usize,
    outcome: watch::Sender<Option<Outcome>>,
}

/// How a job ended, for those who wait for its result.
#[derive(Debug, Clone)]
enum Outcome {
    Completed(Arc<ValidationReport>),
    Cancelled,
    DatabaseFull,
    Failed(String),
}

/// A caller that waits. A job that nobody waits for any more, and that nobody asked for as a job, ends.
struct Waiting {
    jobs: Jobs,
    id: String,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.jobs.leave(&self.id);
    }
}

/// A job as it stands.
#[derive(Debug, Clone)]
pub struct Job {
    /// `job_…`.
    pub id: String,
    /// What it does: `validate_models`.
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

impl Entry {
    fn end_early(&mut self, now: Timestamp) {
        self.cancel.cancel();
        self.job.state = JobState::Cancelled;
        self.job.ended_at = Some(now);
        self.outcome.send_replace(Some(Outcome::Cancelled));
    }
}

impl Job {
    fn new(id: String, kind: &'static str, created_at: Timestamp) -> Self {
        Self {
            id,
            kind,
            state: JobState::Running,
            done_bytes: 0,
            total_bytes: 0,
            current: None,
            result: None,
            error: None,
            created_at,
            ended_at: None,
        }
    }

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
        self.lock().get(id).filter(|entry| entry.is_kept).map(|entry| entry.job.clone()).ok_or_else(|| no_job(id))
    }

    /// Every job that is remembered, the latest first.
    pub fn list(&self) -> Vec<Job> {
        self.lock().values().rev().filter(|entry| entry.is_kept).map(|entry| entry.job.clone()).collect()
    }

    /// Ends a job. One that has ended stays as it is.
    pub fn cancel(&self, id: &str) -> Result<Job, Error> {
        let mut known = self.lock();
        let entry = known.get_mut(id).filter(|entry| entry.is_kept).ok_or_else(|| no_job(id))?;
        if entry.job.state != JobState::Running {
            return Ok(entry.job.clone());
        }
        entry.end_early(self.clock.now());
        let job = entry.job.clone();
        drop(known);
        self.bus.publish(Event::JobProgress(Arc::new(job.clone())));
        Ok(job)
    }

    /// Begins a job, or finds the one of this kind and scope that runs. `work` hears of its end through the reporter's token and tells
    /// how far it is.
    pub(crate) fn begin<Work, Running>(&self, kind: &'static str, scope: JobScope, work: Work) -> Result<Job, Error>
    where
        Work: FnOnce(JobReporter) -> Running,
        Running: Future<Output = Result<ValidationReport, Error>> + Send + 'static,
    {
        self.with_entry(kind, scope, work, |_, entry| {
            entry.is_kept = true;
            entry.job.clone()
        })
    }

    /// Does the work of a job and waits for its result; or waits for the job of this kind and scope that runs.
    pub(crate) async fn run<Work, Running>(
        &self,
        kind: &'static str,
        scope: JobScope,
        work: Work,
    ) -> Result<Arc<ValidationReport>, Error>
    where
        Work: FnOnce(JobReporter) -> Running,
        Running: Future<Output = Result<ValidationReport, Error>> + Send + 'static,
    {
        let (_waiting, mut outcome) = self.wait_for(kind, scope, work)?;
        let outcome = outcome.wait_for(Option::is_some).await.map(|outcome| outcome.clone());
        match outcome {
            Ok(Some(Outcome::Completed(report))) => Ok(report),
            Ok(Some(Outcome::DatabaseFull)) => Err(Error::DatabaseFull),
            Ok(Some(Outcome::Failed(cause))) => Err(Error::internal(cause)),
            Ok(Some(Outcome::Cancelled) | None) | Err(_) => {
                Err(Error::conflict("The job was cancelled before it ended", Vec::new()))
            }
        }
    }

    fn wait_for<Work, Running>(
        &self,
        kind: &'static str,
        scope: JobScope,
        work: Work,
    ) -> Result<(Waiting, watch::Receiver<Option<Outcome>>), Error>
    where
        Work: FnOnce(JobReporter) -> Running,
        Running: Future<Output = Result<ValidationReport, Error>> + Send + 'static,
    {
        self.with_entry(kind, scope, work, |id, entry| {
            entry.waiting += 1;
            (Waiting { jobs: self.clone(), id }, entry.outcome.subscribe())
        })
    }

    /// Finds the running job of this kind and scope, or starts one, and calls `take` with it under the lock.
    fn with_entry<Work, Running, T>(
        &self,
        kind: &'static str,
        scope: JobScope,
        work: Work,
        take: impl FnOnce(String, &mut Entry) -> T,
    ) -> Result<T, Error>
    where
        Work: FnOnce(JobReporter) -> Running,
        Running: Future<Output = Result<ValidationReport, Error>> + Send + 'static,
    {
        let mut known = self.lock();
        let id = self.find_or_start(&mut known, kind, scope, work)?;
        let entry = known.get_mut(&id).ok_or_else(|| no_job(&id))?;
        Ok(take(id, entry))
    }

    fn find_or_start<Work, Running>(
        &self,
        known: &mut BTreeMap<String, Entry>,
        kind: &'static str,
        scope: JobScope,
        work: Work,
    ) -> Result<String, Error>
    where
        Work: FnOnce(JobReporter) -> Running,
        Running: Future<Output = Result<ValidationReport, Error>> + Send + 'static,
    {
        let running = || known.values().filter(|entry| entry.job.state == JobState::Running);
        if let Some(entry) = running().find(|entry| entry.job.kind == kind && entry.scope.serves(&scope)) {
            return Ok(entry.job.id.clone());
        }
        if running().count() >= RUNNING_LIMIT {
            let message = format!("{RUNNING_LIMIT} jobs run already; wait for one of them to end, or cancel one");
            return Err(Error::conflict(message, vec![("limit", RUNNING_LIMIT.to_string())]));
        }
        let (id, cancel) = (ids::new_job_id(), self.stop.child_token());
        let entry = Entry {
            job: Job::new(id.clone(), kind, self.clock.now()),
            scope,
            cancel: cancel.clone(),
            is_kept: false,
            waiting: 0,
            outcome: watch::Sender::new(None),
        };
        known.insert(id.clone(), entry);
        forget_oldest(known);
        let running = work(JobReporter { jobs: self.clone(), id: id.clone(), cancel });
        let (jobs, ended) = (self.clone(), id.clone());
        self.tasks.spawn(async move { jobs.end(&ended, running.await) });
        Ok(id)
    }

    /// A caller waits no more.
    fn leave(&self, id: &str) {
        let mut known = self.lock();
        let Some(entry) = known.get_mut(id) else { return };
        entry.waiting = entry.waiting.saturating_sub(1);
        if entry.waiting == 0 && !entry.is_kept {
            if entry.job.state == JobState::Running {
                entry.end_early(self.clock.now());
            }
            known.remove(id);
        }
    }

    fn end(&self, id: &str, outcome: Result<ValidationReport, Error>) {
        let now = self.clock.now();
        self.change(id, |job| {
            job.ended_at = Some(now);
            job.current = None;
            match outcome {
                Ok(report) => {
                    let report = Arc::new(report);
                    (job.state, job.result) = (JobState::Completed, Some(Arc::clone(&report)));
                    Some(Outcome::Completed(report))
                }
                Err(cause) => {
                    tracing::error!(job = %job.id, error = ?cause, "a background job failed");
                    (job.state, job.error) = (JobState::Failed, Some(cause.to_string()));
                    Some(match cause {
                        Error::DatabaseFull => Outcome::DatabaseFull,
                        cause => Outcome::Failed(cause.to_string()),
                    })
                }
            }
        });
    }

    /// Changes a job that runs, and tells of it; `change` says how it ended, if it did. One that has ended stays as it is.
    fn change(&self, id: &str, change: impl FnOnce(&mut Job) -> Option<Outcome>) {
        let mut known = self.lock();
        let Some(entry) = known.get_mut(id).filter(|entry| entry.job.state == JobState::Running) else { return };
        let outcome = change(&mut entry.job);
        let (job, is_kept) = (entry.job.clone(), entry.is_kept);
        if outcome.is_some() {
            entry.outcome.send_replace(outcome);
            if !is_kept {
                known.remove(id);
            }
        }
        drop(known);
        if is_kept {
            self.bus.publish(Event::JobProgress(Arc::new(job)));
        }
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
            None
        });
    }
}

/// Of jobs that have ended, so many are remembered.
fn forget_oldest(known: &mut BTreeMap<String, Entry>) {
    while known.len() > REMEMBERED {
        let oldest = known.iter().find(|(_, entry)| entry.job.ended_at.is_some()).map(|(id, _)| id.clone());
        let Some(oldest) = oldest else { return };
        known.remove(&oldest);
    }
}

fn no_job(id: &str) -> Error {
    Error::NotFound { resource: Resource::Job, id: id.to_owned() }
}
