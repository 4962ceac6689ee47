//! What a preset looks like to those who ask: the catalogue's words and the disk's truth as one value.

use api_types::presets::PresetState;
use std::sync::Arc;

use jiff::Timestamp;
use registry::{ModelFile, Preset, PresetId};
use semver::Version;

use crate::MayReplace;
use crate::downloads::{DownloadState, Failure, Priority};
use crate::page::{Order, PageRequest};

/// A preset in a list.
#[derive(Debug, Clone)]
pub struct PresetView {
    /// The registry's words, or what was remembered at the install if the registry dropped it.
    pub preset: Arc<Preset>,
    /// Whether the registry in force still has it.
    pub in_registry: bool,
    /// Where it stands.
    pub state: PresetState,
    /// Every file is on the disk, of the registry's version or of the one that was installed.
    pub installed: bool,
    /// Somebody asked for it, and it was not uninstalled since.
    pub requested: bool,
    /// Bytes of its files on this disk, including files that another preset or a person put there.
    pub present_bytes: u64,
    /// Bytes of its files that are not here, exact or stated; `None` where one is not known.
    pub missing_bytes: Option<u64>,
    /// When it was installed through us and its files are here.
    pub installed_at: Option<Timestamp>,
    /// The version that was installed through us.
    pub installed_version: Option<Version>,
    /// The registry has a newer version than the installed one.
    pub update_available: bool,
    /// Bytes of all files: exact where a server said so, else the registry's estimate.
    pub size_bytes: Option<u64>,
    /// Every part of `size_bytes` is exact.
    pub size_exact: bool,
    /// Files of it that the forced install of another preset replaced.
    pub replaced_files: Vec<String>,
}

/// A file of a preset.
#[derive(Debug, Clone)]
pub struct PresetFileView {
    /// The registry's words.
    pub file: ModelFile,
    /// A file that fits is on the disk.
    pub installed: bool,
    /// Its hash, its exact size or its own structure says that it is whole.
    pub verified: bool,
    /// The exact size where known, else the estimate.
    pub size_bytes: Option<u64>,
    /// What must come out, where anybody said so: the registry, else the server.
    pub sha256: Option<String>,
}

/// A preset and its files.
#[derive(Debug, Clone)]
pub struct PresetDetail {
    /// As in a list.
    pub view: PresetView,
    /// Every file, in the registry's order.
    pub files: Vec<PresetFileView>,
}

/// How far the install of a preset is.
#[derive(Debug, Clone)]
pub struct PresetStatus {
    /// Which preset.
    pub preset_id: PresetId,
    /// Where it stands.
    pub state: PresetState,
    /// 0 to 100; 100 when installed.
    pub progress: f64,
    /// The file that is arriving.
    pub current_file: Option<String>,
    /// The present rate.
    pub bytes_per_second: Option<u64>,
    /// Seconds to the end.
    pub eta_seconds: Option<u64>,
    /// How many files it has, with those of its dependencies while it installs.
    pub files_total: usize,
    /// How many are in their place.
    pub files_completed: usize,
    /// How many could not be had.
    pub files_failed: usize,
    /// Bytes that are here.
    pub downloaded_bytes: u64,
    /// Bytes in all, where known or estimated.
    pub total_bytes: Option<u64>,
    /// The download that works on it, or the last one that did.
    pub download_id: Option<String>,
    /// Why the last one failed or waits.
    pub failure: Option<Failure>,
}

/// What a list of presets is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PresetSort {
    /// The registry's own order.
    #[default]
    Registry,
    /// By id.
    Id,
    /// By name, case aside.
    Name,
    /// By category.
    Category,
    /// By bytes.
    Size,
    /// By declared VRAM; those without one last.
    Vram,
    /// By when it was installed; those that are not first.
    InstallDate,
}

/// Which presets are wanted.
#[derive(Debug, Clone, Default)]
pub struct PresetQuery {
    /// Exactly this category.
    pub category: Option<String>,
    /// Exactly this type.
    pub kind: Option<String>,
    /// Only installed ones, or only others.
    pub installed: Option<bool>,
    /// In name, description, tags; case aside.
    pub search: Option<String>,
    /// What to sort by.
    pub sort: PresetSort,
    /// Which way.
    pub order: Order,
    /// Which part.
    pub page: PageRequest,
}

/// How to install.
#[derive(Debug, Clone, Copy, Default)]
pub struct InstallOptions {
    /// Verify every file that is there, fetch what fails, and replace what another preset's claim put there.
    pub force: bool,
    /// With `force`: fetch every file again.
    pub refetch: bool,
    /// How urgent.
    pub priority: Priority,
    /// Which files it may replace.
    pub may_replace: MayReplace,
}

/// An install that runs, begun now or before.
#[derive(Debug, Clone)]
pub struct InstallStarted {
    /// Which preset.
    pub preset_id: PresetId,
    /// The download that does it.
    pub download_id: String,
    /// Where that stands.
    pub state: DownloadState,
    /// Bytes of all its files, exact or estimated.
    pub total_bytes: Option<u64>,
    /// Seconds, from the rate of recent downloads; `None` where none is known.
    pub estimated_seconds: Option<u64>,
    /// What was noticed and stopped nothing.
    pub warnings: Vec<String>,
}

/// What an uninstall did.
#[derive(Debug, Clone)]
pub struct Uninstalled {
    /// Which preset.
    pub preset_id: PresetId,
    /// Files that are gone.
    pub removed: Vec<String>,
    /// Files that another installed preset uses, and what stands in the place of a file and is none of ours.
    pub kept: Vec<String>,
    /// Bytes that are free again.
    pub freed_bytes: u64,
    /// Dependencies that went with it.
    pub dependencies_removed: Vec<PresetId>,
}
