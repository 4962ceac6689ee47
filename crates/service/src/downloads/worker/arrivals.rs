//! What the engine says of files: what came in since the last write is kept in one transaction, then told once a download.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use downloader::{Facts, FileOutcome, JobEvent, Progress, Update};
use registry::ConfinedPath;

use crate::tasks::blocking;
use crate::{
    Error,
    downloads::store::{StoredDownload, Turn},
    downloads::{DownloadState, Downloads, FileState, staging::arrival_path},
    events::Event,
    model_dir::Stamp,
    models::store::{FileRecord, SourceFacts},
};

/// Whether an event tells of files alone, so that it can be kept together with others.
pub(super) fn is_of_files(event: &JobEvent) -> bool {
    match event {
        JobEvent::FileStarted { .. }
        | JobEvent::Progress(_)
        | JobEvent::Verifying { .. }
        | JobEvent::FileCompleted { .. }
        | JobEvent::FileFailed { .. }
        | JobEvent::FileRestarted { .. } => true,
        JobEvent::Started
        | JobEvent::Paused(_)
        | JobEvent::Resumed
        | JobEvent::Completed
        | JobEvent::Failed { .. }
        | JobEvent::Cancelled { .. } => false,
    }
}

/// Keeps what happened to files and tells of it. If it fails, nothing was kept, and nobody was told.
pub(super) async fn take_in(downloads: &Downloads, updates: &[Update]) -> Result<(), Error> {
    let mut arrivals = Arrivals::of(downloads, updates).await?;
    for Update { job, event } in updates {
        arrivals.add(job.as_str(), event);
    }
    downloads.store.take_turns(&arrivals.turns, downloads.clock.now()).await?;
    arrivals.tell().await;
    Ok(())
}

struct Arrivals<'a> {
    downloads: &'a Downloads,
    /// The downloads that are spoken of, brought up to date as their turns are.
    stored: BTreeMap<&'a str, StoredDownload>,
    /// What lies at the places where files arrived.
    stamps: HashMap<String, Stamp>,
    turns: Vec<(&'a str, Turn)>,
    ticks: BTreeMap<&'a str, &'a Progress>,
    /// The downloads of which watchers hear.
    moved: BTreeSet<&'a str>,
    wire_bytes: Vec<u64>,
}

impl<'a> Arrivals<'a> {
    async fn of(downloads: &'a Downloads, updates: &'a [Update]) -> Result<Self, Error> {
        let mut stored = BTreeMap::new();
        for id in updates.iter().map(|update| update.job.as_str()) {
            if !stored.contains_key(id)
                && let Some(download) = downloads.store.download(id).await?
            {
                stored.insert(id, download);
            }
        }
        let arrived = updates.iter().filter_map(|Update { job, event }| match event {
            JobEvent::FileCompleted { file, .. } => {
                Some(arrival_path(job.as_str(), stored.get(job.as_str())?.files.get(*file)?))
            }
            _ => None,
        });
        let (arrived, folder): (Vec<String>, _) = (arrived.collect(), downloads.index.folder().clone());
        let look = move || {
            let stamped = |path: String| {
                let stamp = folder.stamp(&ConfinedPath::parse(&path).ok()?)?;
                Some((path, stamp))
            };
            arrived.into_iter().filter_map(stamped).collect()
        };
        let stamps = blocking(look).await?;
        Ok(Self {
            downloads,
            stored,
            stamps,
            turns: Vec::new(),
            ticks: BTreeMap::new(),
            moved: BTreeSet::new(),
            wire_bytes: Vec::new(),
        })
    }

    fn add(&mut self, id: &'a str, event: &'a JobEvent) {
        let Some(stored) = self.stored.get_mut(id) else {
            tracing::warn!(download = %id, "the engine spoke of a download that the database does not know");
            return;
        };
        if !stored.row.state.is_unfinished() {
            return;
        }
        let turn = match event {
            JobEvent::Progress(progress) => {
                self.ticks.insert(id, progress);
                None
            }
            JobEvent::FileStarted { file, facts } => Some(answered(stored, *file, facts)),
            JobEvent::Verifying { file } => verifying(stored, *file),
            JobEvent::FileCompleted { file, outcome } => {
                self.wire_bytes.push(outcome.wire_bytes);
                completed(stored, *file, outcome, &self.stamps, self.downloads.clock.now())
            }
            JobEvent::FileFailed { file, error } => Some(failed(stored, *file, error.to_string())),
            JobEvent::FileRestarted { file, reason } => {
                let message = format!("{}: {reason}", path_of(stored, *file));
                Some(Turn::Told { kind: "file_restarted", message })
            }
            _ => None,
        };
        if matches!(event, JobEvent::Progress(_) | JobEvent::FileCompleted { .. })
            || matches!(turn, Some(Turn::Verifying))
        {
            self.moved.insert(id);
        }
        self.turns.extend(turn.map(|turn| (id, turn)));
    }

    /// Everything is kept: the memory follows, and everybody hears of it.
    async fn tell(self) {
        let (downloads, mut arrived) = (self.downloads, Vec::new());
        self.wire_bytes.into_iter().for_each(|bytes| downloads.live.count_arrival(bytes));
        for (id, turn) in self.turns {
            match turn {
                Turn::Answered { address: Some(address), facts, .. } => downloads.index.learned(&address, facts),
                Turn::Completed { file, record, .. } => {
                    let is_staged =
                        self.stored.get(id).and_then(|stored| stored.files.get(file)).is_some_and(|row| row.staged);
                    arrived.extend((!is_staged).then_some(record));
                }
                _ => {}
            }
        }
        if let Err(cause) = downloads.take_in(arrived).await {
            tracing::error!(error = ?cause, "the heads of files that arrived could not be read; the next scan does");
        }
        for (id, progress) in self.ticks {
            downloads.live.set(id, progress.clone());
        }
        for stored in self.moved.iter().filter_map(|id| self.stored.get(id)) {
            downloads.bus.publish(Event::DownloadProgress(Arc::new(downloads.view(stored))));
        }
    }
}

fn answered(stored: &mut StoredDownload, file: usize, facts: &Facts) -> Turn {
    let address = facts.source.as_ref().map(|source| source.as_str().to_owned());
    let facts = SourceFacts { size_bytes: facts.size, sha256: facts.sha256.map(|digest| digest.to_string()) };
    if let Some(row) = stored.files.get_mut(file) {
        row.size_bytes = facts.size_bytes.or(row.size_bytes);
    }
    Turn::Answered { file, address, facts }
}

/// The download is verifying when this is the last of its files that is under way.
fn verifying(stored: &mut StoredDownload, file: usize) -> Option<Turn> {
    let others_done = stored.files.iter().enumerate().all(|(at, row)| at == file || row.state != FileState::Pending);
    (others_done && stored.row.state == DownloadState::Downloading).then(|| {
        stored.row.state = DownloadState::Verifying;
        Turn::Verifying
    })
}

fn completed(
    stored: &mut StoredDownload,
    file: usize,
    outcome: &FileOutcome,
    stamps: &HashMap<String, Stamp>,
    now: jiff::Timestamp,
) -> Option<Turn> {
    let row = stored.files.get_mut(file)?;
    let path = arrival_path(&stored.row.id, row);
    let message = format!("{}: {} bytes, SHA-256 {}", row.path, outcome.size, outcome.sha256);
    let Some(stamp) = stamps.get(&path).copied() else {
        return Some(Turn::Told { kind: "file_completed", message });
    };
    row.state = FileState::Completed;
    row.error = None;
    row.size_bytes = Some(outcome.size);
    let record = FileRecord {
        path,
        size_bytes: outcome.size,
        stamp,
        sha256: outcome.sha256.to_string(),
        source: Some(outcome.source.clone()),
        verified: outcome.verified,
        blocks: Some(block_bytes(outcome)),
        recorded_at: now,
    };
    Some(Turn::Completed { file, record, message })
}

fn failed(stored: &mut StoredDownload, file: usize, error: String) -> Turn {
    let message = format!("{}: {error}", path_of(stored, file));
    if let Some(row) = stored.files.get_mut(file) {
        row.state = FileState::Failed;
        row.error = Some(error.clone());
    }
    Turn::Failed { file, error, message }
}

pub(super) fn path_of(stored: &StoredDownload, file: usize) -> String {
    stored.files.get(file).map(|row| row.path.clone()).unwrap_or_default()
}

fn block_bytes(outcome: &FileOutcome) -> (u64, Vec<u8>) {
    let sums = outcome.blocks.crc32.iter().flat_map(|sum| sum.to_le_bytes()).collect();
    (u64::from(outcome.blocks.block_size), sums)
}
