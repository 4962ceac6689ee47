//! Removing a preset: the files that no other installed preset uses.

use std::collections::{BTreeSet, HashSet};

use registry::{ConfinedPath, Preset, PresetId};

use super::{Catalogue, PresetState, Presets, Uninstalled, situation::Situation};
use crate::{Error, model_dir::RemoveError, tasks::blocking};

impl Presets {
    /// Removes a preset's files, after ending its install if one runs. With `remove_dependencies` its dependencies go
    /// too, unless another installed preset needs them.
    pub async fn uninstall(&self, id: &PresetId, remove_dependencies: bool) -> Result<Uninstalled, Error> {
        let situation = self.situation().await?;
        let (preset, in_registry) = self.catalogue.find(id, situation.installs())?;
        let paths = situation.all_paths(&preset);
        self.look_at(&paths).await?;
        let running = self.downloads.store.unfinished_download_of(id.as_str()).await?;
        let state = self.view(preset.clone(), in_registry, &situation).state;
        if running.is_none() && state == PresetState::NotInstalled {
            return Err(Error::conflict(
                format!("Preset '{id}' is not installed"),
                vec![("preset", id.to_string()), ("state", "not_installed".to_owned())],
            ));
        }
        if let Some(running) = running {
            self.end_install(&running.row.id).await?;
            self.look_at(&paths).await?;
        }
        // Nobody begins to use a file while it is judged and removed.
        let _planning = self.downloads.planning.lock().await;
        let situation = self.situation().await?;
        let mut leaving = vec![preset.clone()];
        if remove_dependencies {
            leaving.extend(self.lonely_dependencies(&preset, &situation));
        }
        let mut done = self.remove_files(id, &leaving, &situation).await?;
        for preset in &leaving {
            self.downloads.store.forget_install(preset.id.as_str()).await?;
        }
        done.dependencies_removed = leaving.into_iter().skip(1).map(|preset| preset.id).collect();
        tracing::info!(preset = %id, removed = done.removed.len(), kept = done.kept.len(), "a preset was uninstalled");
        Ok(done)
    }

    /// One that ends by itself meanwhile has ended too.
    async fn end_install(&self, download: &str) -> Result<(), Error> {
        match self.downloads.cancel(download).await {
            Err(Error::Conflict { .. }) if !self.downloads.stored(download).await?.row.state.is_unfinished() => Ok(()),
            outcome => outcome.map(drop),
        }
    }

    /// Dependencies, their own included, that no other installed preset has among its own.
    fn lonely_dependencies(&self, preset: &Preset, situation: &Situation) -> Vec<Preset> {
        let catalog = self.catalogue.current();
        let mut candidates: Vec<&Preset> = catalog.install_order(&preset.id);
        candidates.retain(|candidate| candidate.id != preset.id);
        let leaving: HashSet<&PresetId> =
            candidates.iter().map(|candidate| &candidate.id).chain([&preset.id]).collect();
        let needed_by_others = |candidate: &Preset| {
            catalog
                .iter()
                .filter(|other| !leaving.contains(&other.id) && other.dependencies.contains(&candidate.id))
                .any(|other| self.view(other.clone(), true, situation).installed)
        };
        candidates.into_iter().filter(|candidate| !needed_by_others(candidate)).cloned().collect()
    }

    async fn remove_files(
        &self,
        id: &PresetId,
        leaving: &[Preset],
        situation: &Situation,
    ) -> Result<Uninstalled, Error> {
        let used = self.paths_in_use(leaving, situation).await?;
        let mut done = Uninstalled {
            preset_id: id.clone(),
            removed: Vec::new(),
            kept: Vec::new(),
            freed_bytes: 0,
            dependencies_removed: Vec::new(),
        };
        let paths: BTreeSet<ConfinedPath> = leaving.iter().flat_map(|preset| situation.all_paths(preset)).collect();
        for path in &paths {
            if used.contains(path.as_str()) {
                done.kept.push(path.as_str().to_owned());
                continue;
            }
            let (folder, gone) = (self.index.folder().clone(), path.clone());
            match blocking(move || folder.remove(&gone)).await? {
                Ok(bytes) => {
                    done.freed_bytes += bytes;
                    done.removed.push(path.as_str().to_owned());
                    self.index.removed(path.as_str());
                    self.downloads.store.forget_file(path.as_str()).await?;
                }
                // It lies in a folder of extra_model_paths.yaml.
                Err(RemoveError::Missing) if self.index.is_here(path.as_str()) => {
                    done.kept.push(path.as_str().to_owned());
                }
                Err(RemoveError::Missing) => {}
                // It is no file of ours.
                Err(RemoveError::LeadsOutside | RemoveError::NotAFile) => done.kept.push(path.as_str().to_owned()),
                Err(cause @ RemoveError::Io(_)) => return Err(Error::internal(cause)),
            }
        }
        Ok(done)
    }

    /// Paths that a preset which stays uses: it is installed, or a download is bringing it.
    async fn paths_in_use(&self, leaving: &[Preset], situation: &Situation) -> Result<HashSet<String>, Error> {
        let catalog = self.catalogue.current();
        let installed = Catalogue::installed(situation.installs());
        let staying =
            catalog.iter().chain(&installed).filter(|other| leaving.iter().all(|preset| preset.id != other.id));
        let mut used: HashSet<String> = staying
            .filter(|other| self.index.is_complete(other))
            .flat_map(|other| other.files.iter().map(|file| file.path.as_str().to_owned()))
            .collect();
        for stored in self.downloads.store.unfinished_downloads().await? {
            used.extend(stored.files.into_iter().map(|file| file.path));
        }
        Ok(used)
    }
}
