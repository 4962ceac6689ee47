//! Presets as JSON: what a list, a detail, a status and the answers to install and uninstall look like.

pub use api_types::presets::PresetState;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use service::presets as view;
use utoipa::{IntoParams, ToSchema};

use super::page::{ListPart, ListQuery, SortOrder, order_or};
use super::units::{megabytes_per_second, percent, said, size_text};
use super::{Failure, FileCounts};

/// Which presets are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PresetListQuery {
    /// Only this category. One that does not exist gives an empty list.
    #[param(example = "Video Generation")]
    category: Option<String>,
    /// Only this type. One that does not exist gives an empty list.
    #[param(example = "video")]
    r#type: Option<String>,
    /// Only installed ones (`true`), or only others (`false`).
    installed: Option<bool>,
    /// Words that name, description or tags must have; case aside.
    search: Option<String>,
    /// What to sort by; without it, in the registry's own order.
    #[param(inline)]
    sort: Option<PresetSort>,
    /// Which way to sort.
    #[param(inline)]
    order: Option<SortOrder>,
}

/// What a list of presets can be sorted by.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PresetSort {
    /// By id.
    Id,
    /// By name.
    Name,
    /// By category.
    Category,
    /// By bytes.
    Size,
    /// By the VRAM it asks for; those that name none last.
    Vram,
    /// By when it was installed; those that are not first.
    InstallDate,
}

impl From<ListQuery<PresetListQuery>> for view::PresetQuery {
    fn from(ListQuery(query, page): ListQuery<PresetListQuery>) -> Self {
        Self {
            category: query.category,
            kind: query.r#type,
            installed: query.installed,
            search: query.search,
            sort: match query.sort {
                None => view::PresetSort::Registry,
                Some(PresetSort::Id) => view::PresetSort::Id,
                Some(PresetSort::Name) => view::PresetSort::Name,
                Some(PresetSort::Category) => view::PresetSort::Category,
                Some(PresetSort::Size) => view::PresetSort::Size,
                Some(PresetSort::Vram) => view::PresetSort::Vram,
                Some(PresetSort::InstallDate) => view::PresetSort::InstallDate,
            },
            order: order_or(query.order, service::page::Order::Ascending),
            page,
        }
    }
}

/// The license of a model.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct License {
    /// What it is called.
    pub name: String,
    /// Where its text is.
    pub url: Option<String>,
}

/// A preset.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Preset {
    /// What it is called in addresses and commands.
    pub id: String,
    /// What it is called in sentences.
    pub name: String,
    /// Its group.
    pub category: String,
    /// Its medium: `video`, `image`, `audio`.
    pub r#type: String,
    /// What the model is.
    pub description: Option<String>,
    /// The bytes of all its files, as text.
    pub download_size: Option<String>,
    /// Every file is on the disk.
    pub installed: bool,
    /// When it was installed.
    #[schema(value_type = Option<String>, format = DateTime)]
    #[serde(serialize_with = "super::units::whole_seconds")]
    pub install_date: Option<Timestamp>,
    /// What it is good for.
    pub use_case: Option<String>,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// Where it stands.
    pub status: PresetState,
    /// The registry's version.
    pub version: String,
    /// The version that was installed here.
    pub installed_version: Option<String>,
    /// The registry has a newer version than the installed one.
    pub update_available: bool,
    /// The registry in force still has it.
    pub in_registry: bool,
    /// The video memory that it asks for, in GB as cards are sold.
    pub vram_gb: Option<f64>,
    /// Whose figure `vram_gb` is: `registry`, or `dashboard` for an estimate of this project.
    pub vram_from: Option<String>,
    /// Somebody asked for it, and it was not uninstalled since.
    pub requested: bool,
    /// Bytes of its files on this disk, including files that another preset or a person put there.
    pub present_bytes: u64,
    /// Bytes of its files that are not here, exact or estimated.
    pub missing_bytes: Option<u64>,
    /// A file of it lies in a repository that is open only to those who accepted its terms; `null`: not known.
    pub gated: Option<bool>,
    /// The license of its weights.
    pub license: Option<License>,
    /// The family of models that it belongs to.
    pub family: Option<String>,
    /// The bytes of all its files.
    pub size_bytes: Option<u64>,
    /// `size_bytes` comes from servers and not from the registry's estimate.
    pub size_exact: bool,
    /// Presets whose files it needs too.
    pub dependencies: Vec<String>,
    /// Workflow templates that run on it.
    pub workflows: Vec<String>,
    /// Files of it that the forced install of another preset replaced.
    pub replaced_files: Vec<String>,
}

impl From<view::PresetView> for Preset {
    fn from(view: view::PresetView) -> Self {
        let preset = view.preset.as_ref();
        Self {
            id: preset.id.to_string(),
            name: preset.name.clone(),
            category: preset.category.clone(),
            r#type: preset.kind.clone(),
            description: said(&preset.description),
            download_size: view.size_bytes.map(size_text),
            installed: view.installed,
            install_date: view.installed_at,
            use_case: said(&preset.use_case),
            tags: preset.tags.clone(),
            status: view.state,
            version: preset.version.to_string(),
            installed_version: view.installed_version.as_ref().map(ToString::to_string),
            update_available: view.update_available,
            in_registry: view.in_registry,
            vram_gb: preset.vram_gb(),
            vram_from: preset.vram.map(|vram| vram.from.as_str().to_owned()),
            requested: view.requested,
            present_bytes: view.present_bytes,
            missing_bytes: view.missing_bytes,
            gated: preset.gated,
            license: preset.license.clone().map(|license| License { name: license.name, url: license.url }),
            family: preset.family.clone(),
            size_bytes: view.size_bytes,
            size_exact: view.size_exact,
            dependencies: preset.dependencies.iter().map(ToString::to_string).collect(),
            workflows: preset.workflows.clone(),
            replaced_files: view.replaced_files,
        }
    }
}

/// A part of the list of presets.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct PresetList {
    /// The presets of this page.
    pub presets: Vec<Preset>,
    /// Which part of it this is.
    #[serde(flatten)]
    pub part: ListPart,
}

impl From<service::page::Page<view::PresetView>> for PresetList {
    fn from(page: service::page::Page<view::PresetView>) -> Self {
        Self { part: ListPart::from(&page), presets: page.items.into_iter().map(Preset::from).collect() }
    }
}

/// A file of a preset.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PresetFile {
    /// Where it goes, below the models folder.
    pub path: String,
    /// Where it comes from.
    pub url: String,
    /// Its size as text.
    pub size: Option<String>,
    /// A file that fits is on the disk.
    pub installed: bool,
    /// Its hash, its exact size or its own structure says that it is whole.
    pub verified: bool,
    /// Its size: exact where known, else the registry's estimate.
    pub size_bytes: Option<u64>,
    /// What its SHA-256 must be, where anybody said so.
    pub sha256: Option<String>,
}

impl From<view::PresetFileView> for PresetFile {
    fn from(view: view::PresetFileView) -> Self {
        Self {
            path: view.file.path.to_string(),
            url: view.file.url,
            size: view.size_bytes.map(size_text),
            installed: view.installed,
            verified: view.verified,
            size_bytes: view.size_bytes,
            sha256: view.sha256,
        }
    }
}

/// A preset and its files.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PresetDetail {
    /// The preset, as in a list.
    #[serde(flatten)]
    pub preset: Preset,
    /// Every file that it has.
    pub files: Vec<PresetFile>,
}

impl From<view::PresetDetail> for PresetDetail {
    fn from(detail: view::PresetDetail) -> Self {
        Self { preset: detail.view.into(), files: detail.files.into_iter().map(PresetFile::from).collect() }
    }
}

/// How far the install of a preset is.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PresetStatus {
    /// Which preset.
    pub preset_id: String,
    /// Where it stands.
    pub status: PresetState,
    /// 0 to 100.
    pub progress: f64,
    /// The file that is arriving.
    pub current_file: Option<String>,
    /// The present rate in 10^6 bytes a second.
    pub download_speed_mbps: Option<f64>,
    /// Seconds to the end.
    pub eta_seconds: Option<u64>,
    /// How its files stand.
    pub files: FileCounts,
    /// The present rate.
    pub speed_bytes_per_second: Option<u64>,
    /// Bytes that are here.
    pub downloaded_bytes: u64,
    /// Bytes in all.
    pub total_bytes: Option<u64>,
    /// The download that works on it, or the last one that did.
    pub download_id: Option<String>,
    /// Why the last download failed or waits.
    pub error: Option<Failure>,
}

impl From<view::PresetStatus> for PresetStatus {
    fn from(status: view::PresetStatus) -> Self {
        Self {
            preset_id: status.preset_id.to_string(),
            status: status.state,
            progress: percent(status.progress),
            current_file: status.current_file,
            download_speed_mbps: status.bytes_per_second.map(megabytes_per_second),
            eta_seconds: status.eta_seconds,
            files: FileCounts {
                total: status.files_total,
                completed: status.files_completed,
                failed: status.files_failed,
            },
            speed_bytes_per_second: status.bytes_per_second,
            downloaded_bytes: status.downloaded_bytes,
            total_bytes: status.total_bytes,
            download_id: status.download_id,
            error: status.failure,
        }
    }
}
