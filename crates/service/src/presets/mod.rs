//! Presets as people see them: the catalogue's words held against what lies on the disk.
//!
//! The disk is the truth for "installed"; the database only remembers when and by which definition.

mod catalogue;
mod completion;
mod definition;
mod install;
mod list;
mod listing;
mod looks;
mod plan;
mod recommendations;
mod situation;
pub(crate) mod store;
mod uninstall;
mod updates;
mod view;

pub use api_types::{presets::PresetState, registry::RegistryOrigin};
pub use catalogue::Catalogue;
pub(crate) use catalogue::with_causes;
pub(crate) use completion::{install_rows, replaced_by};
pub use model_file::{BytesKnownFrom, Estimate};
pub(crate) use recommendations::TOLERANCE;
pub use recommendations::{Recommendation, Recommendations};
pub use updates::PresetUpdate;
pub use view::{
    InstallOptions, InstallStarted, PresetDetail, PresetFileView, PresetQuery, PresetSort, PresetStatus, PresetView,
    Uninstalled,
};

use registry::PresetId;

use crate::{
    Error,
    downloads::{DownloadState, DownloadView, Downloads, FileState},
    models::ModelIndex,
};
use looks::Looks;
use situation::Situation;

/// Every preset there is. Cheap to clone.
#[derive(Clone)]
pub struct Presets {
    pub(crate) catalogue: Catalogue,
    pub(crate) index: ModelIndex,
    pub(crate) downloads: Downloads,
    looks: Looks,
    latest_listing: listing::Latest,
}

impl Presets {
    /// The presets of a catalogue over the files of an index.
    pub(crate) fn new(catalogue: Catalogue, index: ModelIndex, downloads: Downloads) -> Self {
        Self { catalogue, index, downloads, looks: Looks::default(), latest_listing: listing::Latest::default() }
    }

    /// A preset and its files, after a look at the disk.
    pub async fn detail(&self, id: &PresetId) -> Result<PresetDetail, Error> {
        let situation = Situation::load(&self.downloads.store).await?;
        let (preset, in_registry) = self.catalogue.find(id, situation.installs())?;
        self.look_soon(id, situation.all_paths(&preset)).await?;
        let files = preset.files.iter().map(|file| self.file_view(file)).collect();
        Ok(PresetDetail { view: self.view(preset, in_registry, &situation), files })
    }

    /// How far the install of a preset is, after a look at the disk.
    pub async fn status(&self, id: &PresetId) -> Result<PresetStatus, Error> {
        let situation = Situation::load(&self.downloads.store).await?;
        let (preset, in_registry) = self.catalogue.find(id, situation.installs())?;
        self.look_soon(id, situation.all_paths(&preset)).await?;
        let view = self.view(preset, in_registry, &situation);
        let latest = situation.latest_of(id).map(|stored| self.downloads.view(stored));
        Ok(match latest {
            Some(download) if download.state.is_unfinished() => status_from_download(view, download),
            ended => self.status_from_disk(view, ended),
        })
    }

    fn file_view(&self, file: &registry::ModelFile) -> PresetFileView {
        let fit = self.index.fit(file);
        let expected = self.index.expected(file);
        let on_disk = self.index.size(file.path.as_str()).filter(|_| fit.is_here());
        PresetFileView {
            file: file.clone(),
            installed: fit.is_here(),
            verified: fit == crate::fits::Fit::Proven,
            size_bytes: expected.size_bytes.or(on_disk).or(file.stated_size),
            sha256: expected.sha256,
        }
    }

    fn status_from_disk(&self, view: PresetView, ended: Option<DownloadView>) -> PresetStatus {
        let here: Vec<u64> = view
            .preset
            .files
            .iter()
            .filter(|file| self.index.fit(file).is_here())
            .map(|file| self.index.size(file.path.as_str()).unwrap_or(0))
            .collect();
        let downloaded_bytes = here.iter().sum();
        let share = |total: u64| (downloaded_bytes as f64 / total as f64 * 100.0).min(99.9);
        let progress = match view.size_bytes {
            _ if view.installed => 100.0,
            Some(total) if total > 0 => share(total),
            _ => 0.0,
        };
        let failed = |download: &DownloadView| download.state == DownloadState::Failed && !view.installed;
        let ended = ended.filter(|download| failed(download) || download.state == DownloadState::Completed);
        PresetStatus {
            preset_id: view.preset.id.clone(),
            state: view.state,
            progress,
            current_file: None,
            bytes_per_second: None,
            eta_seconds: None,
            files_total: view.preset.files.len(),
            files_completed: here.len(),
            files_failed: ended
                .as_ref()
                .filter(|download| failed(download))
                .map_or(0, |download| download.files_in(FileState::Failed)),
            downloaded_bytes,
            total_bytes: view.size_bytes,
            download_id: ended.as_ref().map(|download| download.id.clone()),
            failure: ended.and_then(|download| download.failure),
        }
    }
}

fn status_from_download(view: PresetView, download: DownloadView) -> PresetStatus {
    PresetStatus {
        preset_id: view.preset.id.clone(),
        state: view.state,
        progress: download.progress,
        files_total: download.files.len(),
        files_completed: download.files_in(FileState::Completed),
        files_failed: download.files_in(FileState::Failed),
        downloaded_bytes: download.downloaded_bytes,
        total_bytes: download.total_bytes,
        current_file: download.current_file,
        bytes_per_second: download.bytes_per_second,
        eta_seconds: download.eta_seconds,
        download_id: Some(download.id),
        failure: download.failure,
    }
}
