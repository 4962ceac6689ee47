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
use registry::{Catalog, ConfinedPath, PresetId};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::CancellationToken;

pub use report::{Finding, FindingCode, ValidationReport};

use super::Models;
use crate::{
    Error,
    jobs::{Job, JobReporter, JobScope},
    model_dir::Stamp,
    models::store::ValidationRow,
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

impl ValidateOptions {
    /// Validations of one scope read the same files: one of them runs at a time.
    fn scope(&self) -> JobScope {
        let preset = self.preset.as_ref().map_or("", PresetId::as_str);
        JobScope { key: format!("{}\n{preset}", self.kind.as_deref().unwrap_or_default()), thorough: self.force }
    }
}

/// Hears how far a validation is, and when it shall end.
#[derive(Clone)]
struct Watch {
    reporter: JobReporter,
    cancel: CancellationToken,
    done_bytes: Arc<AtomicU64>,
    total_bytes: u64,
}

impl Models {
    /// Validates and answers with what was found. Where a validation of the same files runs, its result is waited for.
    pub async fn validate(&self, options: ValidateOptions) -> Result<ValidationReport, Error> {
        self.paths_to_validate(&options).await?;
        let (this, scope) = (self.clone(), options.scope());
        let work = move |reporter| async move { this.validate_watched(options, reporter).await };
        let report = self.jobs.run("validate_models", scope, work).await?;
        Ok(Arc::unwrap_or_clone(report))
    }

    /// Validates in the background. Where a validation of the same files runs, it is that one.
    pub async fn validate_in_background(&self, options: ValidateOptions) -> Result<Job, Error> {
        self.paths_to_validate(&options).await?;
        let (this, scope) = (self.clone(), options.scope());
        self.jobs.begin("validate_models", scope, move |reporter| async move {
            this.validate_watched(options, reporter).await
        })
    }

    /// Says what earlier validations found, and which files nobody has validated as they are now. Reads no file.
    pub async fn remembered_validation(&self, options: ValidateOptions) -> Result<ValidationReport, Error> {
        let catalog = self.catalogue.current();
        let rows = self.store.validations().await?;
        let (mut findings, mut unchecked) = (Vec::new(), Vec::new());
        let paths = self.paths_meant(&options).await?;
        for path in &paths {
            let Some((stamp, _)) = self.index.seen(path.as_str()) else {
                findings.push(Finding::missing(path.as_str()));
                continue;
            };
            match rows.get(path.as_str()).filter(|row| row.holds_for(stamp)) {
                Some(row) => {
                    let hash = self.compare_hash(path, row, &catalog);
                    findings.extend(row.findings_besides(path, &hash));
                    findings.extend(hash.finding(path, row, Vec::new()));
                }
                None => unchecked.push(path.as_str().to_owned()),
            }
        }
        let validated = (paths.len() - unchecked.len()) as u64;
        Ok(ValidationReport { unchecked, ..ValidationReport::new(validated, findings) })
    }

    async fn validate_watched(
        &self,
        options: ValidateOptions,
        reporter: JobReporter,
    ) -> Result<ValidationReport, Error> {
        let paths = self.paths_to_validate(&options).await?;
        let remembered = self.store.validations().await?;
        let total_bytes = paths.iter().filter_map(|path| self.index.size(path.as_str())).sum();
        let cancel = reporter.cancel.child_token();
        let watch = Watch { reporter, cancel, done_bytes: Arc::default(), total_bytes };
        let validate = |path: ConfinedPath| {
            let known = remembered.get(path.as_str()).filter(|_| !options.force).cloned();
            self.validate_file(path, known, &watch)
        };
        let findings: Vec<Vec<Finding>> =
            stream::iter(paths.iter().cloned().map(validate)).buffered(FILES_AT_ONCE).try_collect().await?;
        Ok(ValidationReport::new(paths.len() as u64, findings.into_iter().flatten().collect()))
    }

    /// The files that are meant, after a look at those of a preset.
    async fn paths_to_validate(&self, options: &ValidateOptions) -> Result<Vec<ConfinedPath>, Error> {
        let paths = self.paths_meant(options).await?;
        if options.preset.is_some() {
            let (index, looked_at) = (self.index.clone(), paths.clone());
            blocking(move || index.refresh(&looked_at)).await?;
        }
        Ok(paths)
    }

    /// The files that are meant: those on the disk, and for a preset also those that should be.
    async fn paths_meant(&self, options: &ValidateOptions) -> Result<Vec<ConfinedPath>, Error> {
        self.index.first_look().await;
        let of_preset = match &options.preset {
            None => None,
            Some(id) => Some(self.catalogue.find(id, &self.store.installs().await?)?.0.files),
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
        let turn = Arc::clone(&self.reading).acquire_owned().await.map_err(Error::internal)?;
        if watch.cancel.is_cancelled() {
            return Ok(Vec::new());
        }
        // The reader keeps its permit until it has read, even if the caller is gone.
        let turn = Arc::new(turn);
        let (folder, looked_at) = (self.index.folder().clone(), path.clone());
        let Some(stamp) = blocking(move || folder.stamp(&looked_at)).await? else {
            return Ok(vec![Finding::missing(path.as_str())]);
        };
        let row = match known.filter(|row| row.holds_for(stamp)) {
            Some(row) => {
                watch.advance(stamp.size, path.as_str());
                row
            }
            None => match self.read_file(&path, stamp, watch, Arc::clone(&turn)).await? {
                Ok(Some(row)) => row,
                Ok(None) => return Ok(Vec::new()),
                // Not remembered: who may read a file, and whether a disk answers, is no property of its bytes.
                Err(cause) => return Ok(vec![Finding::unreadable(path.as_str(), &cause)]),
            },
        };
        let hash = self.compare_hash(&path, &row, &self.catalogue.current());
        let mut findings = row.findings_besides(&path, &hash);
        let damaged = self.damaged_blocks(&path, &hash, watch, turn).await?;
        findings.extend(hash.finding(&path, &row, damaged));
        Ok(findings)
    }

    /// Reads a file whole and remembers what it is. `None` when the validation was ended.
    async fn read_file(
        &self,
        path: &ConfinedPath,
        stamp: Stamp,
        watch: &Watch,
        turn: Arc<OwnedSemaphorePermit>,
    ) -> Result<std::io::Result<Option<ValidationRow>>, Error> {
        let (folder, looked_at, watcher) = (self.index.folder().clone(), path.clone(), watch.clone());
        let content = blocking(move || {
            let _turn = turn;
            content::read(&folder, &looked_at, &watcher)
        });
        let content = match content.await? {
            Ok(Some(content)) => content,
            Ok(None) => return Ok(Ok(None)),
            Err(cause) => return Ok(Err(cause)),
        };
        let row = ValidationRow {
            path: path.as_str().to_owned(),
            stamp,
            sha256: content.sha256,
            findings: content.findings,
            whole: content.whole,
            safety: content.safety,
            reader: model_file::READER_VERSION,
            checked_at: self.clock.now(),
        };
        self.store.save_validation(&row).await?;
        self.index.validated(row.clone());
        Ok(Ok(Some(row)))
    }

    /// Holds the hash against the one that the registry or a server names, and against the one that arrived: a file that is either of
    /// them is right, also where the registry has moved on.
    fn compare_hash(&self, path: &ConfinedPath, row: &ValidationRow, catalog: &Catalog) -> HashMatch {
        let named = self.index.expected_at(path, catalog);
        let arrived = self.index.arrival(path.as_str());
        let is_named = named.as_ref() == Some(&row.sha256);
        match arrived {
            _ if is_named => HashMatch::Expected,
            Some(record) if record.sha256 == row.sha256 && record.verified => HashMatch::Expected,
            Some(record) if record.sha256 == row.sha256 => HashMatch::AsArrived,
            Some(record) => {
                let is_wanted = named.as_ref().is_none_or(|named| *named == record.sha256);
                let blocks = record.blocks.filter(|_| is_wanted).map(|blocks| (record.size_bytes, blocks));
                HashMatch::Other { wanted: named.unwrap_or(record.sha256), blocks }
            }
            None => named.map_or(HashMatch::NothingKnown, |wanted| HashMatch::Other { wanted, blocks: None }),
        }
    }

    async fn damaged_blocks(
        &self,
        path: &ConfinedPath,
        hash: &HashMatch,
        watch: &Watch,
        turn: Arc<OwnedSemaphorePermit>,
    ) -> Result<Vec<(u64, u64)>, Error> {
        let HashMatch::Other { blocks: Some((size, (block_bytes, sums))), .. } = hash else { return Ok(Vec::new()) };
        let (size, block_bytes, sums) = (*size, *block_bytes, sums.clone());
        let (folder, looked_at, watch) = (self.index.folder().clone(), path.clone(), watch.clone());
        blocking(move || {
            let _turn = turn;
            content::damaged_blocks(&folder, &looked_at, size, (block_bytes, &sums), &watch)
        })
        .await
    }
}

/// How the hash of a file compares with what is known.
enum HashMatch {
    /// It is the one that somebody expects.
    Expected,
    /// It is the one that arrived, which nobody had named.
    AsArrived,
    /// It is another one. With it the size and block checksums of the file that is wanted, where they were kept.
    Other {
        wanted: String,
        blocks: Option<(u64, (u64, Vec<u8>))>,
    },
    NothingKnown,
}

impl HashMatch {
    fn finding(self, path: &ConfinedPath, row: &ValidationRow, damaged: Vec<(u64, u64)>) -> Option<Finding> {
        match self {
            Self::Other { wanted, .. } => {
                Some(Finding::checksum_mismatch(path.as_str(), &wanted, &row.sha256, damaged))
            }
            Self::Expected | Self::AsArrived | Self::NothingKnown => None,
        }
    }
}

impl Watch {
    fn advance(&self, bytes: u64, current: &str) {
        let done = self.done_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.reporter.tell(done, self.total_bytes, Some(current));
    }
}

impl ValidationRow {
    /// Whether it speaks of the file in this state, and as it would be judged today.
    fn holds_for(&self, stamp: Stamp) -> bool {
        self.stamp == stamp && self.reader == model_file::READER_VERSION
    }

    /// What the bytes of the file say, hash aside.
    fn findings_besides(&self, path: &ConfinedPath, hash: &HashMatch) -> Vec<Finding> {
        let finding = |(code, message): &(FindingCode, String)| {
            let finding = Finding::new(path.as_str(), *code, message.clone());
            if matches!(hash, HashMatch::Expected) { finding.if_expected() } else { finding }
        };
        self.findings.iter().map(finding).collect()
    }
}
