//! What the database remembers of presets, read once for a request, and where a preset stands by it and by the disk.

use std::{collections::HashMap, sync::Arc};

use registry::{Preset, PresetId};
use semver::Version;

use super::{PresetState, PresetView, Presets};
use crate::{
    Error,
    downloads::DownloadState,
    fits::Fit,
    store::{InstallRow, ReplacedFile, Store},
};

/// The database's side of the matter.
pub(super) struct Situation {
    pub(super) installs: Vec<InstallRow>,
    replaced: Vec<ReplacedFile>,
    latest: HashMap<String, (String, DownloadState)>,
}

impl Situation {
    pub(super) async fn load(store: &Store) -> Result<Self, Error> {
        let latest = store.latest_downloads().await?;
        Ok(Self {
            installs: store.installs().await?,
            replaced: store.replaced_files().await?,
            latest: latest.into_iter().map(|(preset, download, state)| (preset, (download, state))).collect(),
        })
    }

    /// The latest download of a preset: its id and where it stands.
    pub(super) fn latest_of(&self, id: &PresetId) -> Option<(&str, DownloadState)> {
        self.latest.get(id.as_str()).map(|(download, state)| (download.as_str(), *state))
    }

    /// The install of a preset that went through us.
    pub(super) fn install_of(&self, id: &PresetId) -> Option<&InstallRow> {
        self.installs.iter().find(|install| install.preset_id == id.as_str())
    }

    /// Whether the catalogue has a newer version of a preset than the one that was installed.
    pub(super) fn is_outdated(&self, preset: &Preset) -> bool {
        self.installed_version(&preset.id).is_some_and(|installed| installed < preset.version)
    }

    fn installed_version(&self, id: &PresetId) -> Option<Version> {
        self.install_of(id).and_then(|install| Version::parse(&install.version).ok())
    }
}

impl Presets {
    /// A preset as it stands, by the index as it is. The caller looks at the disk before, where that matters.
    pub(super) fn view(&self, preset: Preset, in_registry: bool, situation: &Situation) -> PresetView {
        let fits: Vec<Fit> = preset.files.iter().map(|file| self.index.fit(file)).collect();
        let installed = !fits.is_empty() && fits.iter().all(|fit| fit.is_here());
        let latest = situation.latest_of(&preset.id).map(|(_, state)| state);
        let install = situation.install_of(&preset.id).filter(|_| installed);
        let (size_bytes, size_exact) = self.size_of(&preset);
        let replaced = situation.replaced.iter().filter(|file| file.preset_id == preset.id.as_str());
        PresetView {
            in_registry,
            state: state_of(&fits, latest),
            installed,
            installed_at: install.map(|install| install.installed_at),
            installed_version: install.and_then(|install| Version::parse(&install.version).ok()),
            update_available: installed && situation.is_outdated(&preset),
            size_bytes,
            size_exact,
            replaced_files: replaced.map(|file| file.path.clone()).collect(),
            preset: Arc::new(preset),
        }
    }

    /// Bytes of all files of a preset: exact ones where they are known, else what the registry states. The flag says
    /// whether every part is exact.
    fn size_of(&self, preset: &Preset) -> (Option<u64>, bool) {
        let exact = |file| self.index.expected(file).size_bytes;
        let sizes: Vec<Option<u64>> = preset.files.iter().map(|file| exact(file).or(file.stated_size)).collect();
        let size_exact = preset.files.iter().all(|file| exact(file).is_some());
        let sum = sizes.iter().copied().sum::<Option<u64>>();
        (sum.or(preset.stated_size), size_exact && sum.is_some())
    }
}

/// Where a preset stands: a download at work comes first, then the disk, then what became of the last download.
fn state_of(fits: &[Fit], latest: Option<DownloadState>) -> PresetState {
    match latest {
        Some(DownloadState::Paused) => PresetState::Paused,
        Some(state) if state.is_active() => PresetState::Installing,
        _ if !fits.is_empty() && fits.iter().all(|fit| fit.is_here()) => PresetState::Installed,
        Some(DownloadState::Failed) => PresetState::Failed,
        _ if fits.iter().any(|fit| fit.is_here()) => PresetState::Partial,
        _ => PresetState::NotInstalled,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_download_at_work_comes_first_then_the_disk_then_the_last_outcome() {
        let (here, gone) = (Fit::Proven, Fit::Missing);
        let table = [
            (vec![here, here], None, PresetState::Installed),
            (vec![here, here], Some(DownloadState::Failed), PresetState::Installed),
            (vec![here, here], Some(DownloadState::Verifying), PresetState::Installing),
            (vec![here, gone], Some(DownloadState::Paused), PresetState::Paused),
            (vec![here, gone], Some(DownloadState::Failed), PresetState::Failed),
            (vec![here, gone], Some(DownloadState::Cancelled), PresetState::Partial),
            (vec![here, Fit::Wrong], Some(DownloadState::Completed), PresetState::Partial),
            (vec![gone, gone], Some(DownloadState::Completed), PresetState::NotInstalled),
            (vec![], None, PresetState::NotInstalled),
        ];
        for (row, (fits, latest, state)) in table.into_iter().enumerate() {
            assert_eq!(state_of(&fits, latest), state, "row {row}");
        }
    }
}
