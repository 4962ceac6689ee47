//! What the engine was heard to promise, and what has to hold on the disk because of it.

use std::collections::{BTreeMap, BTreeSet};

use super::disk::MemoryDisk;
use super::plan::{Plan, sha256};
use super::stats::Stats;
use crate::{Job, JobEvent, JobId, PauseReason, Update};

/// What a caller's database would hold.
#[derive(Debug, Default)]
pub(crate) struct Invariants {
    /// Paths that were said to be whole.
    whole: BTreeSet<String>,
    /// The files of which a job said so.
    done: BTreeSet<(JobId, usize)>,
    /// Jobs that need not be asked for again.
    ended: BTreeSet<JobId>,
    cancelled: BTreeSet<JobId>,
}

/// What one process was last heard to say of its jobs that have not ended.
pub(crate) type Heard = BTreeMap<JobId, Standing>;

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Moving,
    Paused,
    WaitingForRoom,
    Failed,
}

impl Invariants {
    /// The jobs as a caller asks for them after a restart.
    pub(crate) fn unfinished(&self, plan: &Plan) -> Vec<Job> {
        let mut jobs: Vec<Job> = plan.jobs.iter().filter(|job| !self.ended.contains(&job.id)).cloned().collect();
        for Job { id, files, .. } in &mut jobs {
            for (index, file) in files.iter_mut().enumerate() {
                file.done = self.done.contains(&(id.clone(), index));
            }
        }
        jobs
    }

    /// Takes note of an update, and compares what it says with the disk.
    pub(crate) fn hear(
        &mut self,
        update: Update,
        heard: &mut Heard,
        plan: &Plan,
        disk: &MemoryDisk,
        stats: &mut Stats,
    ) -> Result<(), String> {
        let standing = match update.event {
            JobEvent::FileCompleted { file, outcome } => {
                let job = plan.jobs.iter().find(|job| job.id == update.job).ok_or("a job that nobody asked for")?;
                let path = job.files[file].destination.to_string();
                let files = disk.files();
                let bytes = files.get(&path).ok_or_else(|| format!("{path} is said to be whole and is not there"))?;
                if !plan.files[&path].is_right(bytes) {
                    return Err(format!("{path} is said to be whole and is not right"));
                }
                if outcome.size != bytes.len() as u64 || outcome.sha256 != sha256(bytes) {
                    return Err(format!("{path} is whole, and what is said of it is not right"));
                }
                self.whole.insert(path);
                self.done.insert((update.job, file));
                return Ok(());
            }
            JobEvent::Completed | JobEvent::Cancelled { .. } => {
                if matches!(update.event, JobEvent::Cancelled { .. }) {
                    self.cancelled.insert(update.job.clone());
                }
                heard.remove(&update.job);
                self.ended.insert(update.job);
                return Ok(());
            }
            JobEvent::FileRestarted { .. } => {
                stats.restarts += 1;
                return Ok(());
            }
            JobEvent::Failed { .. } => {
                stats.failures += 1;
                Standing::Failed
            }
            JobEvent::Paused(PauseReason::Requested) => Standing::Paused,
            JobEvent::Paused(PauseReason::InsufficientStorage { .. }) => Standing::WaitingForRoom,
            JobEvent::Started | JobEvent::Resumed => Standing::Moving,
            JobEvent::FileStarted { .. }
            | JobEvent::Progress(_)
            | JobEvent::Verifying { .. }
            | JobEvent::FileFailed { .. } => return Ok(()),
        };
        heard.insert(update.job, standing);
        Ok(())
    }

    /// What has to hold whenever no process runs: a final name has right bytes, and what was promised is there.
    pub(crate) fn hold(&self, plan: &Plan, disk: &MemoryDisk) -> Result<(), String> {
        let files = disk.files();
        for (name, bytes) in &files {
            let planned = name.trim_end_matches(".journal").trim_end_matches(".part");
            let file = plan.files.get(planned).ok_or_else(|| format!("{name} is nobody's"))?;
            if name == planned && !file.is_right(bytes) && file.old.as_ref() != Some(bytes) {
                return Err(format!("{name} has its final name and is not right"));
            }
        }
        let is_kept = |path: &&String| files.get(*path).is_some_and(|bytes| plan.files[*path].is_right(bytes));
        let broken = self.whole.iter().find(|path| !is_kept(path));
        broken.map_or(Ok(()), |path| Err(format!("{path} was promised and is not there")))
    }

    /// What has to hold when all is over: everything that was not cancelled came, and nothing else is left.
    pub(crate) fn are_fulfilled(&self, plan: &Plan, disk: &MemoryDisk) -> Result<(), String> {
        let left_behind = |name: &String| name.contains(".part") && !disk.is_unreliable(name);
        if let Some(left) = disk.files().into_keys().find(left_behind) {
            return Err(format!("{left} is left behind"));
        }
        let wanted = plan.jobs.iter().filter(|job| !self.cancelled.contains(&job.id)).flat_map(|job| &job.files);
        let missing = wanted.map(|file| file.destination.to_string()).find(|path| !self.whole.contains(path));
        missing.map_or(Ok(()), |path| Err(format!("{path} never came")))
    }
}
