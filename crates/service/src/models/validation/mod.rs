//! Validating model files: hashes where they are known, structure always, pickles by what they would import.
//!
//! Several files at once; results are remembered by size, mtime and inode. `content` reads one file, `report` says what
//! was found.

mod content;
mod report;

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use futures_util::{StreamExt, TryStreamExt, stream};
use registry::{ConfinedPath, PresetId};
use tokio_util::sync::CancellationToken;

pub use report::{Finding, FindingCode, ValidationReport};

use super::Models;
use crate::{
    Error,
    jobs::{Job, JobReporter, Jobs},
    model_dir::Stamp,
    store::ValidationRow,
    tasks::blocking,
};

/// Files that all validations together read at once: enough to keep a disk busy.
pub(crate) const FILES_AT_ONCE: usize = 4;

/// Which files are validated, and how.
#[derive(Debug, Clone, Default)]
pub struct ValidateOptions {
    /// Only this folder.
    pub kind: Option<String>,
    /// Only the files of this preset, the missing ones included.
    pub preset: Option<PresetId>,
    /// Read again what has not changed since the last time.
    pub force: bool,
}

/// Hears how far a validation is, and when it shall end.
#[derive(Clone)]
struct Watch {
    reporter: Option<JobReporter>,
    cancel: CancellationToken,
    done_bytes: Arc<AtomicU64>,
    total_bytes: u64,
}

impl Models {
    /// Validates now and answers with what was found.
    pub async fn validate(&self, options: ValidateOptions) -> Result<ValidationReport, Error> {
        self.validate_watched(options, None).await
    }

    /// Validates in the background.
    pub async fn validate_in_background(&self, jobs: &Jobs, options: ValidateOptions) -> Result<Job, Error> {
        self.paths_to_validate(&options).await?;
        let this = self.clone();
        Ok(jobs.begin("validate_models", move |reporter| async move {
            this.validate_watched(options, Some(reporter)).await
        }))
    }

    async fn validate_watched(
        &self,
        options: ValidateOptions,
        reporter: Option<JobReporter>,
    ) -> Result<ValidationReport, Error> {
        let paths = self.paths_to_validate(&options).await?;
        let remembered = self.store.validations().await?;
        let total_bytes = paths.iter().filter_map(|path| self.index.size(path.as_str())).sum();
        let cancel = reporter.as_ref().map(|reporter| reporter.cancel.child_token()).unwrap_or_default();
        // Whoever waited for this may be gone before its end: nobody reads on for nobody.
        let _ends_the_reading = cancel.clone().drop_guard();
        let watch = Watch { reporter, cancel, done_bytes: Arc::default(), total_bytes };
        let validate = |path: ConfinedPath| {
            let known = remembered.get(path.as_str()).filter(|_| !options.force).cloned();
            self.validate_file(path, known, &watch)
        };
        let findings: Vec<Vec<Finding>> =
            stream::iter(paths.iter().cloned().map(validate)).buffered(FILES_AT_ONCE).try_collect().await?;
        Ok(ValidationReport::new(paths.len() as u64, findings.into_iter().flatten().collect()))
    }

    /// The files that are meant: those on the disk, and for a preset also those that should be.
    async fn paths_to_validate(&self, options: &ValidateOptions) -> Result<Vec<ConfinedPath>, Error> {
        self.first_look().await;
        let of_preset = match &options.preset {
            None => None,
            Some(id) => {
                let (preset, _) = self.catalogue.find(id, &self.store.installs().await?)?;
                let (index, files) = (self.index.clone(), preset.files.clone());
                blocking(move || index.refresh(files.iter().map(|file| &file.path))).await?;
                Some(preset.files)
            }
        };
        let in_folder = |path: &str| {
            options.kind.as_deref().is_none_or(|kind| path.split_once('/').is_some_and(|(folder, _)| folder == kind))
        };
        Ok(match of_preset {
            Some(files) => files.into_iter().map(|file| file.path).filter(|path| in_folder(path.as_str())).collect(),
            None => {
                self.index.snapshot(in_folder).iter().filter_map(|(path, ..)| ConfinedPath::parse(path).ok()).collect()
            }
        })
    }

    async fn validate_file(
        &self,
        path: ConfinedPath,
        known: Option<ValidationRow>,
        watch: &Watch,
    ) -> Result<Vec<Finding>, Error> {
        let _turn = self.reading.acquire().await.map_err(Error::internal)?;
        let folder = self.index.folder().clone();
        let looked_at = path.clone();
        let Some(stamp) = blocking(move || folder.stamp(&looked_at)).await? else {
            return Ok(vec![Finding::missing(path.as_str())]);
        };
        let row = match known.filter(|row| row.stamp == stamp) {
            Some(row) => {
                watch.advance(stamp.size, path.as_str());
                row
            }
            None => match self.read_file(&path, stamp, watch).await? {
                Some(row) => row,
                None => return Ok(Vec::new()),
            },
        };
        let mut findings = row.findings(&path);
        findings.extend(self.compare_hash(&path, &row, watch).await?);
        Ok(findings)
    }

    /// Reads a file whole and remembers what it is. `None` when the validation was ended.
    async fn read_file(
        &self,
        path: &ConfinedPath,
        stamp: Stamp,
        watch: &Watch,
    ) -> Result<Option<ValidationRow>, Error> {
        let (folder, looked_at, watcher) = (self.index.folder().clone(), path.clone(), watch.clone());
        let content = blocking(move || content::read(&folder, &looked_at, &watcher)).await?;
        let Some(content) = content else { return Ok(None) };
        let row = ValidationRow {
            path: path.as_str().to_owned(),
            stamp,
            sha256: content.sha256,
            findings: content.findings,
            checked_at: self.clock.now(),
        };
        self.store.save_validation(&row).await?;
        // A file that could not be read has none.
        if !row.sha256.is_empty() {
            self.index.validated(path.as_str(), stamp, &row.sha256);
        }
        Ok(Some(row))
    }

    /// Holds the hash against the one that the registry or a server names, else against the one that arrived.
    async fn compare_hash(
        &self,
        path: &ConfinedPath,
        row: &ValidationRow,
        watch: &Watch,
    ) -> Result<Option<Finding>, Error> {
        let arrived = self.store.file_record(path.as_str()).await?;
        let named = self.index.expected_at(path, &self.catalogue.current());
        let wanted = arrived.as_ref().map(|record| record.sha256.clone()).or(named);
        let Some(wanted) = wanted.filter(|wanted| *wanted != row.sha256) else { return Ok(None) };
        let blocks = arrived.and_then(|record| Some((record.size_bytes, record.blocks?)));
        let (folder, looked_at, watch) = (self.index.folder().clone(), path.clone(), watch.clone());
        let damaged = match blocks {
            None => Vec::new(),
            Some((size, (block_bytes, sums))) => {
                let look = move || content::damaged_blocks(&folder, &looked_at, size, (block_bytes, &sums), &watch);
                blocking(look).await?
            }
        };
        Ok(Some(Finding::checksum_mismatch(path.as_str(), &wanted, &row.sha256, damaged)))
    }
}

impl Watch {
    fn advance(&self, bytes: u64, current: &str) {
        let done = self.done_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if let Some(reporter) = &self.reporter {
            reporter.tell(done, self.total_bytes, Some(current));
        }
    }
}

impl ValidationRow {
    fn findings(&self, path: &ConfinedPath) -> Vec<Finding> {
        let finding = |(code, message): &(FindingCode, String)| Finding::new(path.as_str(), *code, message.clone());
        self.findings.iter().map(finding).collect()
    }
}
