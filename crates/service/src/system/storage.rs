//! What fills the disk: models by type and preset, files that nobody claims, copies, unfinished downloads.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    path::PathBuf,
};

use registry::PresetId;

use crate::{
    Error,
    models::Models,
    page::PageRequest,
    presets::{Catalogue, PresetQuery, Presets},
    system::System,
    tasks::blocking,
};

/// What fills the disk. Cheap to clone.
#[derive(Clone)]
pub struct Storage {
    pub(crate) workspace: PathBuf,
    pub(crate) models: Models,
    pub(crate) presets: Presets,
    pub(crate) system: System,
}

/// A file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filesystem {
    /// All its bytes.
    pub total_bytes: u64,
    /// Bytes in use.
    pub used_bytes: u64,
    /// Bytes that an unprivileged writer may use.
    pub available_bytes: u64,
}

/// The disk and the models on it.
#[derive(Debug, Clone)]
pub struct StorageOverview {
    /// The folder whose file system this is.
    pub workspace: PathBuf,
    /// Its file system, as last sampled; `None` where it does not answer.
    pub filesystem: Option<Filesystem>,
    /// How many model files there are.
    pub count: u64,
    /// Their bytes.
    pub total_bytes: u64,
    /// Files and bytes of each folder that has any.
    pub by_type: BTreeMap<String, (u64, u64)>,
}

/// Where room could be made.
#[derive(Debug, Clone, Default)]
pub struct StorageDetail {
    /// Each installed preset: its files here and their bytes; a shared file counts for each.
    pub by_preset: Vec<(PresetId, u64, u64)>,
    /// Files that no preset claims.
    pub orphans: Vec<(String, u64)>,
    /// Contents that lie here more than once: hash, bytes of one, paths. Hard links are one.
    pub duplicates: Vec<(String, u64, Vec<String>)>,
    /// Unfinished files: path without the ending, bytes on the disk, and the download that works on it.
    pub partial: Vec<(String, u64, Option<String>)>,
}

impl StorageDetail {
    /// Bytes of all copies but one.
    pub fn duplicate_bytes(&self) -> u64 {
        self.duplicates.iter().map(|(_, bytes, paths)| bytes * (paths.len() as u64 - 1)).sum()
    }

    /// Bytes of files that no preset claims.
    pub fn orphan_bytes(&self) -> u64 {
        self.orphans.iter().map(|(_, bytes)| bytes).sum()
    }

    /// Bytes of unfinished files that no download works on.
    pub fn abandoned_bytes(&self) -> u64 {
        self.partial.iter().filter(|(_, _, download)| download.is_none()).map(|(_, bytes, _)| bytes).sum()
    }
}

impl Storage {
    /// The disk and the models on it.
    pub async fn overview(&self) -> Result<StorageOverview, Error> {
        self.models.index.first_look().await;
        let mut by_type: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        let files = self.models.index.snapshot(|_| true);
        for (path, stamp, _) in &files {
            let folder = path.split_once('/').map_or("other", |(folder, _)| folder);
            let entry = by_type.entry(folder.to_owned()).or_default();
            *entry = (entry.0 + 1, entry.1 + stamp.size);
        }
        Ok(StorageOverview {
            workspace: self.workspace.clone(),
            filesystem: self.system.sample().await.disk,
            count: files.len() as u64,
            total_bytes: files.iter().map(|(_, stamp, _)| stamp.size).sum(),
            by_type,
        })
    }

    /// Where room could be made.
    pub async fn detail(&self) -> Result<StorageDetail, Error> {
        self.models.index.first_look().await;
        let ledger = self.presets.downloads.store.ledger().await?;
        let unfinished = ledger.unfinished();
        let working = |path: &str| {
            let works = |stored: &&std::sync::Arc<crate::downloads::store::StoredDownload>| {
                stored.files.iter().any(|file| file.path == path)
            };
            unfinished.iter().find(works).map(|stored| stored.row.id.clone())
        };
        let folder = self.models.index.folder().clone();
        let parts = blocking(move || folder.walk_parts()).await?;
        let partial = parts.into_iter().map(|(path, bytes)| (path.clone(), bytes, working(&path))).collect();
        let catalog = self.models.catalogue.current();
        let installed = Catalogue::installed(&ledger.installs);
        let presets = catalog.iter().chain(&installed);
        let claimed: HashSet<&str> = presets.flat_map(|preset| &preset.files).map(|file| file.path.as_str()).collect();
        let files = self.models.index.snapshot(|_| true);
        // A file that another type finds too belongs to who names it there.
        let is_claimed = |path: &str| {
            let further = self.models.index.further_places(path);
            claimed.contains(path) || further.iter().any(|place| claimed.contains(place.as_path().as_str()))
        };
        let orphans = files.iter().filter(|(path, ..)| !is_claimed(path));
        Ok(StorageDetail {
            by_preset: self.by_preset().await?,
            orphans: orphans.map(|(path, stamp, _)| (path.clone(), stamp.size)).collect(),
            duplicates: duplicates(&files),
            partial,
        })
    }

    async fn by_preset(&self) -> Result<Vec<(PresetId, u64, u64)>, Error> {
        let page = PageRequest { page: 1, per_page: u32::MAX };
        let installed = PresetQuery { installed: Some(true), page, ..PresetQuery::default() };
        let views = self.presets.list(&installed).await?.items;
        let bytes = |view: &crate::presets::PresetView| {
            view.preset.files.iter().filter_map(|file| self.models.index.size(file.path.as_str())).sum()
        };
        Ok(views.iter().map(|view| (view.preset.id.clone(), view.preset.files.len() as u64, bytes(view))).collect())
    }
}

/// Asks the file system of a folder, or of the nearest folder above it that exists. Blocks.
pub(crate) fn filesystem_of(folder: &std::path::Path) -> std::io::Result<Filesystem> {
    let existing = folder.ancestors().find(|folder| folder.exists()).unwrap_or(std::path::Path::new("/"));
    let figures = rustix::fs::statvfs(existing)?;
    let bytes = |blocks: u64| blocks.saturating_mul(figures.f_frsize);
    Ok(Filesystem {
        total_bytes: bytes(figures.f_blocks),
        used_bytes: bytes(figures.f_blocks.saturating_sub(figures.f_bfree)),
        available_bytes: bytes(figures.f_bavail),
    })
}

fn duplicates(files: &[(String, crate::model_dir::Stamp, Option<String>)]) -> Vec<(String, u64, Vec<String>)> {
    let mut by_hash: HashMap<&str, (u64, HashMap<u64, &str>)> = HashMap::new();
    for (path, stamp, sha256) in files {
        if let Some(sha256) = sha256 {
            let entry = by_hash.entry(sha256).or_insert_with(|| (stamp.size, HashMap::new()));
            entry.1.entry(stamp.inode).or_insert(path);
        }
    }
    let mut found: Vec<(String, u64, Vec<String>)> = by_hash
        .into_iter()
        .filter(|(_, (_, paths))| paths.len() > 1)
        .map(|(sha256, (bytes, paths))| {
            let mut paths: Vec<String> = paths.into_values().map(str::to_owned).collect();
            paths.sort();
            (sha256.to_owned(), bytes, paths)
        })
        .collect();
    found.sort_by(|left, right| left.2.cmp(&right.2));
    found
}
