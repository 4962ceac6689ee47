//! What the database remembers of presets, read once for a request, and where a preset stands by it and by the disk.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use registry::{ConfinedPath, Preset, PresetId};
use semver::Version;

use super::{PresetState, PresetView, Presets, definition};
use crate::{
    Error,
    database::Store,
    downloads::DownloadState,
    downloads::store::{Ledger, StoredDownload},
    presets::store::InstallRow,
};

/// How long a question about presets waits for the first look at the models folder.
const FIRST_LOOK_TIMEOUT: Duration = Duration::from_secs(5);

/// The database's side of the matter.
pub(super) struct Situation {
    ledger: Arc<Ledger>,
}

impl Situation {
    pub(super) async fn load(store: &Store) -> Result<Self, Error> {
        Ok(Self { ledger: store.ledger().await? })
    }

    /// Another number where anything that presets show of it has changed.
    pub(super) fn revision(&self) -> u64 {
        self.ledger.presets_revision
    }

    /// What is installed, as far as it went through us.
    pub(super) fn installs(&self) -> &[InstallRow] {
        &self.ledger.installs
    }

    /// The latest download of a preset.
    pub(super) fn latest_of(&self, id: &PresetId) -> Option<&StoredDownload> {
        self.ledger.latest_of(id.as_str()).map(|stored| &**stored)
    }

    /// The install of a preset that went through us.
    pub(super) fn install_of(&self, id: &PresetId) -> Option<&InstallRow> {
        self.installs().iter().find(|install| install.preset_id == id.as_str())
    }

    /// A preset as it was when it was installed here.
    pub(super) fn installed_definition(&self, id: &PresetId) -> Option<Preset> {
        self.install_of(id).and_then(|install| definition::from_json(&install.definition))
    }

    /// The files of a preset, those of the version that is installed included.
    pub(super) fn all_paths(&self, preset: &Preset) -> Vec<ConfinedPath> {
        let before = self.installed_definition(&preset.id);
        let files = preset.files.iter().chain(before.iter().flat_map(|before| &before.files));
        let paths: BTreeSet<&ConfinedPath> = files.map(|file| &file.path).collect();
        paths.into_iter().cloned().collect()
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
    /// What has happened, once the models folder has been looked at: right after the start, presets would seem to be gone. A folder
    /// that takes longer is judged by what is known of it.
    pub(super) async fn situation(&self) -> Result<Situation, Error> {
        let _ = tokio::time::timeout(FIRST_LOOK_TIMEOUT, self.index.first_look()).await;
        Situation::load(&self.downloads.store).await
    }

    /// A preset as it stands, by the index as it is. The caller looks at the disk before, where that matters.
    pub(super) fn view(&self, preset: Preset, in_registry: bool, situation: &Situation) -> PresetView {
        let is_outdated = situation.is_outdated(&preset);
        let before = situation.installed_definition(&preset.id).filter(|_| is_outdated);
        let installed = self.index.is_complete(&preset) || before.is_some_and(|before| self.index.is_complete(&before));
        let requested = situation.ledger.requested.contains(preset.id.as_str());
        let latest = situation.latest_of(&preset.id).map(|stored| stored.row.state);
        let install = situation.install_of(&preset.id).filter(|_| installed);
        let (size_bytes, size_exact) = self.size_of(&preset);
        let replaced = situation.ledger.replaced.iter().filter(|file| file.preset_id == preset.id.as_str());
        PresetView {
            in_registry,
            state: state_of(installed, requested, latest),
            installed,
            requested,
            present_bytes: self.present_bytes(&preset),
            missing_bytes: self.missing_bytes(&preset),
            installed_at: install.map(|install| install.installed_at),
            installed_version: install.and_then(|install| Version::parse(&install.version).ok()),
            update_available: installed && is_outdated,
            size_bytes,
            size_exact,
            replaced_files: replaced.map(|file| file.path.clone()).collect(),
            preset: Arc::new(preset),
        }
    }

    fn present_bytes(&self, preset: &Preset) -> u64 {
        let here = preset.files.iter().filter(|file| self.index.fit(file).is_here());
        here.filter_map(|file| self.index.size(file.path.as_str())).sum()
    }

    /// Bytes that an install would bring, exact or stated; `None` where one size is not known at all.
    fn missing_bytes(&self, preset: &Preset) -> Option<u64> {
        let missing = preset.files.iter().filter(|file| !self.index.fit(file).is_here());
        missing.map(|file| self.index.expected(file).size_bytes.or(file.stated_size)).sum()
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

/// Where a preset stands: a download at work comes first, then the disk, then what became of the last download, then whether
/// anybody asked for it.
fn state_of(installed: bool, requested: bool, latest: Option<DownloadState>) -> PresetState {
    match latest {
        Some(DownloadState::Paused) => PresetState::Paused,
        Some(state) if state.is_active() => PresetState::Installing,
        _ if installed => PresetState::Installed,
        _ if !requested => PresetState::NotInstalled,
        Some(DownloadState::Failed) => PresetState::Failed,
        _ => PresetState::Partial,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn download_comes_first_then_disk_then_last_outcome() {
        use DownloadState as Was;
        let table = [
            // installed, requested, latest -> state
            (true, false, None, PresetState::Installed),
            (true, true, Some(Was::Failed), PresetState::Installed),
            (true, true, Some(Was::Verifying), PresetState::Installing),
            (false, true, Some(Was::Paused), PresetState::Paused),
            (false, true, Some(Was::Failed), PresetState::Failed),
            (false, false, Some(Was::Failed), PresetState::NotInstalled),
            (false, true, Some(Was::Cancelled), PresetState::Partial),
            (false, true, Some(Was::Completed), PresetState::Partial),
            (false, true, None, PresetState::Partial),
            (false, false, Some(Was::Completed), PresetState::NotInstalled),
            (false, false, None, PresetState::NotInstalled),
        ];
        for (row, (installed, requested, latest, state)) in table.into_iter().enumerate() {
            assert_eq!(state_of(installed, requested, latest), state, "row {row}");
        }
    }
}
