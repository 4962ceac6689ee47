//! The folder of the user's workflows. Only this touches it: one file a graph, as it was given, and beside it a small one
//! that says what people call it. A graph that somebody puts there by hand needs no second file.
//!
//! Every call blocks. Symbolic links are not followed.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{LARGEST_WORKFLOW, WorkflowDetail, WorkflowOrigin, WorkflowView, etag_of, format_of, id::FileName};
use crate::{Error, json_bounds, system::storage::filesystem_of};

/// The category of a workflow for which nobody named one.
const OWN_CATEGORY: &str = "Custom";

/// What a file is called while it is written, between a dot and this, and before it takes its place.
const UNFINISHED_ENDING: &str = ".json.new";
/// Most bytes of a file that is read.
const LARGEST_FILE: u64 = 2 * LARGEST_WORKFLOW;

/// The folder. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct UserFolder {
    path: Arc<PathBuf>,
    /// Bytes of the disk that stay free.
    min_free_space: u64,
}

/// What people call a workflow.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct About {
    pub(super) name: Option<String>,
    pub(super) category: Option<String>,
    pub(super) description: Option<String>,
}

/// One graph of the folder, as it lies there.
#[derive(Debug, Clone)]
pub(super) struct UserFile {
    pub(super) name: FileName,
    pub(super) about: About,
    pub(super) graph: Vec<u8>,
    about_bytes: Vec<u8>,
    modified: Option<Timestamp>,
}

impl UserFolder {
    /// The folder `user` below the folder of workflows. It is made when the first workflow is saved.
    pub(crate) fn below(workflows: &Path, min_free_space: u64) -> Self {
        Self { path: Arc::new(workflows.join("user")), min_free_space }
    }

    /// Removes what a server that was killed left half written.
    pub(crate) fn remove_unfinished(&self) {
        for entry in fs::read_dir(self.path.as_path()).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let is_unfinished =
                name.to_str().is_some_and(|name| name.starts_with('.') && name.ends_with(UNFINISHED_ENDING));
            if is_unfinished && entry.file_type().is_ok_and(|kind| kind.is_file()) {
                match fs::remove_file(entry.path()) {
                    Ok(()) => tracing::info!(file = ?name, "unfinished workflow file removed"),
                    Err(cause) => tracing::warn!(file = ?name, error = %cause, "unfinished workflow file not removed"),
                }
            }
        }
    }

    /// Everything but the graphs, in no order.
    pub(super) fn list(&self) -> Vec<WorkflowView> {
        let entries = fs::read_dir(self.path.as_path()).into_iter().flatten().flatten();
        entries
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
            .filter_map(|entry| {
                let name = FileName::parse(entry.file_name().to_str()?)?;
                let metadata = entry.metadata().ok()?;
                let about = about_of(&self.read_file(&name.about()).ok().flatten().unwrap_or_default());
                Some(view_of(&name, &about, metadata.len(), modified(&metadata)))
            })
            .collect()
    }

    /// One graph; `None` where there is no such file.
    pub(super) fn read(&self, name: &FileName) -> Result<Option<UserFile>, Error> {
        let Some(graph) = self.read_file(name.as_str())? else { return Ok(None) };
        let about_bytes = self.read_file(&name.about())?.unwrap_or_default();
        let modified =
            fs::symlink_metadata(self.path.join(name.as_str())).ok().and_then(|metadata| modified(&metadata));
        Ok(Some(UserFile { name: name.clone(), about: about_of(&about_bytes), graph, about_bytes, modified }))
    }

    /// Whether there is such a file, of whatever size.
    pub(super) fn holds(&self, name: &FileName) -> bool {
        fs::symlink_metadata(self.path.join(name.as_str())).is_ok_and(|metadata| metadata.is_file())
    }

    /// Puts a graph and the words about it in their places, once both are on the disk: a disk that is full leaves what was
    /// there. The words go first, so that no graph is ever seen without them.
    pub(super) fn write(&self, name: &FileName, about: &About, graph: &[u8]) -> Result<UserFile, Error> {
        let about_bytes = serde_json::to_vec(about).map_err(Error::internal)?;
        let files = [
            (self.unfinished(), self.path.join(name.about()), about_bytes.as_slice()),
            (self.unfinished(), self.path.join(name.as_str()), graph),
        ];
        let needed_bytes = files.iter().map(|(_, _, bytes)| bytes.len() as u64).sum();
        let available =
            || filesystem_of(&self.path).map(|disk| disk.available_bytes.saturating_sub(self.min_free_space));
        let available_bytes = available().map_err(Error::internal)?;
        if needed_bytes > available_bytes {
            return Err(Error::InsufficientStorage { needed_bytes, available_bytes });
        }
        let write = || -> io::Result<()> {
            fs::create_dir_all(self.path.as_path())?;
            files.iter().try_for_each(|(unfinished, _, bytes)| write_whole(unfinished, bytes))?;
            files.iter().try_for_each(|(unfinished, place, _)| fs::rename(unfinished, place))?;
            File::open(self.path.as_path())?.sync_all()
        };
        write().map_err(|cause| {
            files.iter().for_each(|(unfinished, ..)| drop(fs::remove_file(unfinished)));
            match cause.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    Error::InsufficientStorage { needed_bytes, available_bytes: available().unwrap_or(0) }
                }
                _ => Error::internal(cause),
            }
        })?;
        Ok(UserFile { name: name.clone(), about: about.clone(), graph: graph.to_vec(), about_bytes, modified: None })
    }

    /// Removes a graph and the words about it.
    pub(super) fn remove(&self, name: &FileName) -> Result<(), Error> {
        let remove = |file: &str| match fs::remove_file(self.path.join(file)) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(cause),
            _ => Ok(()),
        };
        remove(name.as_str()).and_then(|()| remove(&name.about())).map_err(Error::internal)?;
        File::open(self.path.as_path()).and_then(|folder| folder.sync_all()).map_err(Error::internal)
    }

    /// Bytes of a regular file of the folder; `None` where there is none.
    fn read_file(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        // A pipe would make whoever opens it wait.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let flags = i32::try_from(flags.bits()).unwrap_or(0);
        let opened = OpenOptions::new().read(true).custom_flags(flags).open(self.path.join(name));
        let file = match opened {
            Ok(file) if file.metadata().map_err(Error::internal)?.is_file() => file,
            Ok(_) => return Ok(None),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound || is_link(&cause) => return Ok(None),
            Err(cause) => return Err(Error::internal(cause)),
        };
        let mut bytes = Vec::new();
        file.take(LARGEST_FILE + 1).read_to_end(&mut bytes).map_err(Error::internal)?;
        if bytes.len() as u64 > LARGEST_FILE {
            return Err(Error::TooLarge { what: "The workflow file", limit_bytes: Some(LARGEST_FILE) });
        }
        Ok(Some(bytes))
    }

    /// The temporary path that a file is written to before it is renamed into place, so that readers see the old or the new
    /// file. Its name does not derive from the file's own, which may have the maximum length.
    fn unfinished(&self) -> PathBuf {
        self.path.join(format!(".{}{UNFINISHED_ENDING}", uuid::Uuid::new_v4().simple()))
    }
}

/// Writes a file and brings it to the disk.
fn write_whole(place: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(place)?;
    file.write_all(bytes)?;
    file.sync_all()
}

impl UserFile {
    pub(super) fn etag(&self) -> String {
        etag_of(&[&self.graph, &self.about_bytes])
    }

    pub(super) fn detail(self) -> Result<WorkflowDetail, Error> {
        json_bounds::require("The workflow file", &self.graph)?;
        let workflow: Value = serde_json::from_slice(&self.graph).map_err(|cause| {
            Error::conflict(format!("The file '{}' is no JSON: {cause}", self.name.as_str()), vec![])
        })?;
        Ok(WorkflowDetail {
            view: view_of(&self.name, &self.about, self.graph.len() as u64, self.modified),
            format: format_of(&workflow),
            etag: self.etag(),
            workflow: Arc::new(workflow),
        })
    }
}

/// Where a file of the folder is, in the words of the interface.
pub(super) fn path_of(name: &FileName) -> String {
    format!("workflows/user/{}", name.as_str())
}

fn view_of(name: &FileName, about: &About, size_bytes: u64, modified: Option<Timestamp>) -> WorkflowView {
    WorkflowView {
        id: name.id(),
        name: about.name.clone().unwrap_or_else(|| name.stem().to_owned()),
        category: about.category.clone().unwrap_or_else(|| OWN_CATEGORY.to_owned()),
        description: about.description.clone().unwrap_or_default(),
        preset: None,
        path: path_of(name),
        origin: WorkflowOrigin::User,
        size_bytes: Some(size_bytes),
        modified,
    }
}

/// Reads three keys and keeps no other.
fn about_of(bytes: &[u8]) -> About {
    serde_json::from_slice(bytes).unwrap_or_default()
}

fn modified(metadata: &fs::Metadata) -> Option<Timestamp> {
    Timestamp::try_from(metadata.modified().ok()?).ok()
}

/// What the kernel says of a link that must not be followed.
fn is_link(cause: &io::Error) -> bool {
    cause.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
}
