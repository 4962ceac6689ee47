//! Removing model files: each path is judged alone, nothing outside the models folder is touched.

use registry::{ConfinedPath, PathRefused};

use super::{Models, ModelsDeleted, NotDeleted, extra::ExtraRoot, names, sidecars};
use crate::{
    Error,
    model_dir::{ModelDir, RemoveError},
    tasks::blocking,
};

/// Why one path stayed.
enum Stayed {
    Refused(PathRefused),
    Fetched(String),
    Remove(RemoveError),
    InOtherFolder,
}

impl Models {
    /// Deletes what can be deleted of `paths`. Fails as a whole only when every path is unknown.
    /// Files that describe a model stay unless `sidecars` says otherwise.
    pub async fn delete(&self, paths: &[String], sidecars: bool) -> Result<ModelsDeleted, Error> {
        let mut done = ModelsDeleted { deleted: 0, freed_bytes: 0, errors: Vec::new() };
        for path in paths {
            let beside = if sidecars { self.sidecars_on_disk(path).await? } else { Vec::new() };
            let of_model = self.delete_one(path).await?;
            let is_gone = of_model.is_ok();
            done.note(path, of_model);
            for sidecar in beside.iter().filter(|sidecar| is_gone && !paths.contains(sidecar)) {
                done.note(sidecar, self.delete_one(sidecar).await?);
            }
        }
        let all_unknown = done.errors.iter().all(|error| error.code == "MODEL_NOT_FOUND");
        match paths.first() {
            Some(first) if done.deleted == 0 && all_unknown => Err(Error::ModelNotFound(first.clone())),
            _ => Ok(done),
        }
    }

    async fn delete_one(&self, text: &str) -> Result<Result<u64, Stayed>, Error> {
        if let Some(place) = self.place_in_extra(text).await? {
            return self.delete_extra(text, place).await;
        }
        let path = match ConfinedPath::parse(text) {
            Ok(path) => path,
            Err(refused) => return Ok(Err(Stayed::Refused(refused))),
        };
        let _planning = self.planning.lock().await;
        let unfinished = self.store.unfinished_downloads().await?;
        let fetching = unfinished.iter().find(|stored| stored.files.iter().any(|file| file.path == path.as_str()));
        if let Some(stored) = fetching {
            return Ok(Err(Stayed::Fetched(stored.row.id.clone())));
        }
        let (folder, gone) = (self.index.folder().clone(), path.clone());
        let removed = blocking(move || folder.remove(&gone)).await?;
        if matches!(removed, Ok(_) | Err(RemoveError::Missing)) {
            self.index.removed(path.as_str());
            // What is known of a content holds for the file it was seen in alone: a rest of it, as on a full disk, is harmless.
            if let Err(cause) = self.store.forget_file(path.as_str()).await {
                tracing::warn!(path = path.as_str(), error = ?cause, "what was known of a deleted file could not be forgotten");
            }
        }
        Ok(removed.map_err(Stayed::Remove))
    }
}

impl Models {
    /// The other folder that holds a model of a list, or a file that may describe one.
    async fn place_in_extra(&self, text: &str) -> Result<Option<(ExtraRoot, ConfinedPath)>, Error> {
        if let Some(file) = self.index.extra(text) {
            return Ok(ConfinedPath::parse(&file.path).ok().map(|path| (file.root, path)));
        }
        if !(text.starts_with('/') && names::may_be_sidecar(text)) {
            return Ok(None);
        }
        let (index, text) = (self.index.clone(), text.to_owned());
        blocking(move || index.place_in_extra(&text)).await
    }

    /// The files that belong to a model alone and that no preset names, as lists call them.
    async fn sidecars_on_disk(&self, model: &str) -> Result<Vec<String>, Error> {
        let (index, model) = (self.index.clone(), model.to_owned());
        blocking(move || {
            let (folder, path) = match index.extra(&model) {
                Some(file) => (ModelDir::existing(&file.root.folder).ok()?, ConfinedPath::parse(&file.path).ok()?),
                None => (index.folder().clone(), ConfinedPath::parse(&model).ok()?),
            };
            let prefix = model.strip_suffix(path.as_str())?;
            let beside = sidecars::beside(&folder, &path).into_iter();
            let names = beside.map(|path| format!("{prefix}{}", path.as_str()));
            Some(names.filter(|name| !index.is_claimed(name)).collect())
        })
        .await
        .map(Option::unwrap_or_default)
    }

    /// Deletes a file of another folder, where the operator allows that.
    async fn delete_extra(
        &self,
        text: &str,
        (root, path): (ExtraRoot, ConfinedPath),
    ) -> Result<Result<u64, Stayed>, Error> {
        if !self.may_delete_extra {
            return Ok(Err(Stayed::InOtherFolder));
        }
        let removed = blocking(move || {
            let folder = ModelDir::existing(&root.folder).map_err(RemoveError::Io)?;
            folder.remove(&path)
        });
        let removed = removed.await?;
        if matches!(removed, Ok(_) | Err(RemoveError::Missing)) {
            self.index.removed_extra(text);
        }
        Ok(removed.map_err(Stayed::Remove))
    }
}

impl ModelsDeleted {
    fn note(&mut self, path: &str, removed: Result<u64, Stayed>) {
        match removed {
            Ok(bytes) => {
                self.deleted += 1;
                self.freed_bytes += bytes;
            }
            Err(stayed) => self.errors.push(stayed.told_of(path)),
        }
    }
}

impl Stayed {
    fn told_of(self, path: &str) -> NotDeleted {
        let (code, error) = match self {
            Self::Refused(refused) => ("INVALID_REQUEST", refused.to_string()),
            Self::Fetched(id) => ("CONFLICT", format!("Download '{id}' is working on it; cancel that first")),
            Self::InOtherFolder => (
                "FORBIDDEN",
                "It lies in a folder of extra_model_paths.yaml; EXTRA_MODEL_PATHS_DELETE=1 allows it".to_owned(),
            ),
            Self::Remove(RemoveError::Missing) => {
                ("MODEL_NOT_FOUND", "There is no such file below the models folder".to_owned())
            }
            Self::Remove(RemoveError::LeadsOutside) => {
                ("INVALID_REQUEST", "A symbolic link on the way leads out of the models folder".to_owned())
            }
            Self::Remove(RemoveError::NotAFile) => {
                ("INVALID_REQUEST", "It is a folder; only files are deleted".to_owned())
            }
            Self::Remove(RemoveError::Io(cause)) => {
                tracing::error!(path, error = %cause, "a model could not be deleted");
                ("INTERNAL_ERROR", "The file system refused to remove it; the log says why".to_owned())
            }
        };
        NotDeleted { path: path.to_owned(), code, error }
    }
}
