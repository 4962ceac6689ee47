//! Removing outputs: each path is judged alone, nothing outside ComfyUI's output folder is touched.

use registry::ConfinedPath;

use super::Outputs;
use crate::{
    Error, Resource,
    model_dir::{ModelDir, RemoveError},
    models::NotDeleted,
    tasks::blocking,
};

/// What a deletion did.
pub type OutputsDeleted = crate::models::ModelsDeleted;

impl Outputs {
    /// Deletes what can be deleted of `paths`. Fails as a whole only when every path is unknown.
    pub async fn delete(&self, paths: &[String]) -> Result<OutputsDeleted, Error> {
        let Some(folder) = self.folder().await? else {
            let message =
                "The output folder of ComfyUI is not on this machine, so its files cannot be deleted from here";
            return Err(Error::conflict(message, vec![]));
        };
        let wanted = paths.to_vec();
        let outcomes = blocking(move || {
            let outcome =
                |path: String| remove(&folder, &path).map_err(|(code, error)| NotDeleted { path, code, error });
            wanted.into_iter().map(outcome).collect::<Vec<Result<u64, NotDeleted>>>()
        });
        let mut done = OutputsDeleted { deleted: 0, freed_bytes: 0, errors: Vec::new() };
        for outcome in outcomes.await? {
            match outcome {
                Ok(bytes) => (done.deleted, done.freed_bytes) = (done.deleted + 1, done.freed_bytes + bytes),
                Err(stayed) => done.errors.push(stayed),
            }
        }
        let all_unknown = done.errors.iter().all(|error| error.code == "NOT_FOUND");
        match paths.first() {
            Some(first) if done.deleted == 0 && all_unknown => {
                Err(Error::NotFound { resource: Resource::Output, id: first.clone() })
            }
            _ => Ok(done),
        }
    }
}

fn remove(folder: &ModelDir, path: &str) -> Result<u64, (&'static str, String)> {
    let confined = ConfinedPath::parse(path).map_err(|refused| {
        let words = format!("The path {refused}; it is relative to ComfyUI's output folder: sub/output_00001.png");
        ("INVALID_REQUEST", words)
    })?;
    folder.remove(&confined).map_err(|failed| match failed {
        RemoveError::Missing => ("NOT_FOUND", "There is no such file in ComfyUI's output folder".to_owned()),
        RemoveError::LeadsOutside => {
            ("INVALID_REQUEST", "A symbolic link on the way leads out of ComfyUI's output folder".to_owned())
        }
        RemoveError::NotAFile => ("INVALID_REQUEST", "It is a folder; only files are deleted".to_owned()),
        RemoveError::Io(cause) => {
            tracing::error!(path, error = %cause, "an output could not be deleted");
            ("INTERNAL_ERROR", "The file system refused to remove it; the log says why".to_owned())
        }
    })
}
