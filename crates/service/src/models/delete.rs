//! Removing model files: each path is judged alone, nothing outside the models folder is touched.

use registry::{ConfinedPath, PathRefused};

use super::{Models, ModelsDeleted, NotDeleted, extra::ExtraFile};
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
    pub async fn delete(&self, paths: &[String]) -> Result<ModelsDeleted, Error> {
        let mut done = ModelsDeleted { deleted: 0, freed_bytes: 0, errors: Vec::new() };
        for path in paths {
            match self.delete_one(path).await? {
                Ok(bytes) => {
                    done.deleted += 1;
                    done.freed_bytes += bytes;
                }
                Err(stayed) => done.errors.push(stayed.told_of(path)),
            }
        }
        let all_unknown = done.errors.iter().all(|error| error.code == "MODEL_NOT_FOUND");
        match paths.first() {
            Some(first) if done.deleted == 0 && all_unknown => Err(Error::ModelNotFound(first.clone())),
            _ => Ok(done),
        }
    }

    async fn delete_one(&self, text: &str) -> Result<Result<u64, Stayed>, Error> {
        if let Some(file) = self.index.extra(text) {
            return self.delete_extra(text, file).await;
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
    /// Deletes a file of another folder, where the operator allows that.
    async fn delete_extra(&self, text: &str, file: ExtraFile) -> Result<Result<u64, Stayed>, Error> {
        if !self.may_delete_extra {
            return Ok(Err(Stayed::InOtherFolder));
        }
        let path = match ConfinedPath::parse(&file.path) {
            Ok(path) => path,
            Err(refused) => return Ok(Err(Stayed::Refused(refused))),
        };
        let removed = blocking(move || {
            let folder = ModelDir::existing(&file.root.folder).map_err(RemoveError::Io)?;
            folder.remove(&path)
        });
        let removed = removed.await?;
        if matches!(removed, Ok(_) | Err(RemoveError::Missing)) {
            self.index.removed_extra(text);
        }
        Ok(removed.map_err(Stayed::Remove))
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
