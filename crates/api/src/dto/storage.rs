//! What fills the disk, as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use service::system::storage as view;
use utoipa::{IntoParams, ToSchema};

use super::system::share_of;
use super::units::gigabytes;

/// How much is wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct StorageQuery {
    /// `true`: also by type and preset, files that nobody claims, copies, unfinished downloads, what could be freed.
    #[serde(default)]
    #[param(required = false)]
    pub detail: bool,
}

/// The file system of the workspace.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct WorkspaceStorage {
    /// The folder.
    pub path: String,
    /// What is used, in units of 2^30 bytes.
    pub used_gb: Option<f64>,
    /// All of it, in units of 2^30 bytes.
    pub total_gb: Option<f64>,
    /// What may be written, in units of 2^30 bytes.
    pub available_gb: Option<f64>,
    /// How much of it is used.
    pub usage_percent: Option<f64>,
    /// What is used.
    pub used_bytes: Option<u64>,
    /// All of it.
    pub total_bytes: Option<u64>,
    /// What may be written.
    pub available_bytes: Option<u64>,
}

/// The model files.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ModelStorage {
    /// How many there are.
    pub count: u64,
    /// Their size in units of 2^30 bytes.
    pub total_size_gb: f64,
    /// Their size.
    pub total_size_bytes: u64,
    /// How many lie in each folder that has any.
    pub by_type: BTreeMap<String, u64>,
}

/// Something that takes room: its name, how many files, how much.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct StorageShare {
    /// A type or a preset.
    pub id: String,
    /// How many files it has here.
    pub count: u64,
    /// Their size in units of 2^30 bytes.
    pub size_gb: f64,
    /// Their size.
    pub size_bytes: u64,
}

/// A file and its size.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct StoredFile {
    /// Below the models folder.
    pub path: String,
    /// Its size in units of 2^30 bytes.
    pub size_gb: f64,
    /// Its size.
    pub size_bytes: u64,
}

/// A content that lies here more than once.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Duplicate {
    /// Its SHA-256.
    pub sha256: String,
    /// Size of one copy in units of 2^30 bytes.
    pub size_gb: f64,
    /// Size of one copy.
    pub size_bytes: u64,
    /// Where it lies.
    pub paths: Vec<String>,
}

/// A download that is not whole.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PartialFile {
    /// Where it will lie, below the models folder.
    pub path: String,
    /// What it takes on the disk, in units of 2^30 bytes.
    pub size_gb: f64,
    /// What it takes on the disk.
    pub size_bytes: u64,
    /// The download that works on it.
    pub download_id: Option<String>,
}

/// Room that could be made.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Reclaimable {
    /// All copies but one of each content.
    pub duplicates_bytes: u64,
    /// Files that no preset claims.
    pub orphans_bytes: u64,
    /// Partial files that no download works on.
    pub partial_bytes: u64,
    /// Copies and abandoned partial files together, in units of 2^30 bytes: nobody misses these.
    pub total_gb: f64,
    /// Copies and abandoned partial files together.
    pub total_bytes: u64,
}

/// What fills the disk, in detail.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct StorageDetail {
    /// Each folder that has files.
    pub by_type: Vec<StorageShare>,
    /// Each installed preset; a shared file counts for each.
    pub by_preset: Vec<StorageShare>,
    /// Files that no preset claims.
    pub orphans: Vec<StoredFile>,
    /// Contents that lie here more than once.
    pub duplicates: Vec<Duplicate>,
    /// Downloads that are not whole.
    pub partial: Vec<PartialFile>,
    /// Room that could be made.
    pub reclaimable: Reclaimable,
}

/// What fills the disk.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct StorageReport {
    /// The file system.
    pub workspace: WorkspaceStorage,
    /// The models.
    pub models: ModelStorage,
    /// Only with `detail=true`.
    pub detail: Option<StorageDetail>,
}

impl StorageReport {
    /// The report from what the service knows.
    pub fn new(overview: view::StorageOverview, detail: Option<view::StorageDetail>) -> Self {
        let disk = overview.filesystem;
        let by_type = |(kind, (count, bytes)): (&String, &(u64, u64))| share_of_room(kind, *count, *bytes);
        let shares = overview.by_type.iter().map(by_type).collect();
        Self {
            workspace: WorkspaceStorage {
                path: overview.workspace.display().to_string(),
                used_gb: disk.map(|disk| gigabytes(disk.used_bytes)),
                total_gb: disk.map(|disk| gigabytes(disk.total_bytes)),
                available_gb: disk.map(|disk| gigabytes(disk.available_bytes)),
                usage_percent: share_of(disk),
                used_bytes: disk.map(|disk| disk.used_bytes),
                total_bytes: disk.map(|disk| disk.total_bytes),
                available_bytes: disk.map(|disk| disk.available_bytes),
            },
            models: ModelStorage {
                count: overview.count,
                total_size_gb: gigabytes(overview.total_bytes),
                total_size_bytes: overview.total_bytes,
                by_type: overview.by_type.iter().map(|(kind, (count, _))| (kind.clone(), *count)).collect(),
            },
            detail: detail.map(|detail| StorageDetail::new(shares, detail)),
        }
    }
}

impl StorageDetail {
    fn new(by_type: Vec<StorageShare>, detail: view::StorageDetail) -> Self {
        let (duplicates, partial) = (detail.duplicate_bytes(), detail.abandoned_bytes());
        let reclaimable = Reclaimable {
            duplicates_bytes: duplicates,
            orphans_bytes: detail.orphan_bytes(),
            partial_bytes: partial,
            total_gb: gigabytes(duplicates + partial),
            total_bytes: duplicates + partial,
        };
        let file = |(path, bytes)| StoredFile { path, size_gb: gigabytes(bytes), size_bytes: bytes };
        let copies = |(sha256, bytes, paths)| Duplicate { sha256, size_gb: gigabytes(bytes), size_bytes: bytes, paths };
        let unfinished = |(path, bytes, download_id)| PartialFile {
            path,
            size_gb: gigabytes(bytes),
            size_bytes: bytes,
            download_id,
        };
        Self {
            by_type,
            by_preset: detail
                .by_preset
                .iter()
                .map(|(id, files, bytes)| share_of_room(id.as_str(), *files, *bytes))
                .collect(),
            orphans: detail.orphans.into_iter().map(file).collect(),
            duplicates: detail.duplicates.into_iter().map(copies).collect(),
            partial: detail.partial.into_iter().map(unfinished).collect(),
            reclaimable,
        }
    }
}

fn share_of_room(id: &str, count: u64, bytes: u64) -> StorageShare {
    StorageShare { id: id.to_owned(), count, size_gb: gigabytes(bytes), size_bytes: bytes }
}
