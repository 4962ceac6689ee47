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
use crate::{Error, storage::filesystem_of};

/// The category of a workflow for which nobody named one.
const OWN_CATEGORY: &str = "Custom";

/// The folder. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct UserFolder(Arc<PathBuf>);

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
    pub(crate) fn below(workflows: &Path) -> Self {
        Self(Arc::new(workflows.join("user")))
    }

    /// Everything but the graphs, in no order.
    pub(super) fn list(&self) -> Vec<WorkflowView> {
        let entries = fs::read_dir(self.0.as_path()).into_iter().flatten().flatten();
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
        let Some(graph) = self.read_file(name.as_str()).map_err(Error::internal)? else { return Ok(None) };
        let about_bytes = self.read_file(&name.about()).map_err(Error::internal)?.unwrap_or_default();
        let modified = fs::symlink_metadata(self.0.join(name.as_str())).ok().and_then(|metadata| modified(&metadata));
        Ok(Some(UserFile { name: name.clone(), about: about_of(&about_bytes), graph, about_bytes, modified }))
    }

    /// Puts a graph and the words about it in their places, once both are on the disk: a disk that is full leaves what was
    /// there. The words go first, so that no graph is ever seen without them.
    pub(super) fn write(&self, name: &FileName, about: &About, graph: &[u8]) -> Result<UserFile, Error> {
        let about_bytes = serde_json::to_vec(about).map_err(Error::internal)?;
        let files = [(name.about(), about_bytes.as_slice()), (name.as_str().to_owned(), graph)];
        let write = || -> io::Result<()> {
            fs::create_dir_all(self.0.as_path())?;
            files.iter().try_for_each(|(file, bytes)| write_whole(&self.beside(file), bytes))?;
            files.iter().try_for_each(|(file, _)| fs::rename(self.beside(file), self.0.join(file)))?;
            File::open(self.0.as_path())?.sync_all()
        };
        write().map_err(|cause| {
            files.iter().for_each(|(file, _)| drop(fs::remove_file(self.beside(file))));
            let needed_bytes = files.iter().map(|(_, bytes)| bytes.len() as u64).sum();
            match cause.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    let available_bytes = filesystem_of(&self.0).map_or(0, |figures| figures.available_bytes);
                    Error::InsufficientStorage { needed_bytes, available_bytes }
                }
                _ => Error::internal(cause),
            }
        })?;
        Ok(UserFile { name: name.clone(), about: about.clone(), graph: graph.to_vec(), about_bytes, modified: None })
    }

    /// Removes a graph and the words about it.
    pub(super) fn remove(&self, name: &FileName) -> Result<(), Error> {
        let remove = |file: &str| match fs::remove_file(self.0.join(file)) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(cause),
            _ => Ok(()),
        };
        remove(name.as_str()).and_then(|()| remove(&name.about())).map_err(Error::internal)?;
        File::open(self.0.as_path()).and_then(|folder| folder.sync_all()).map_err(Error::internal)
    }

    /// Bytes of a regular file of the folder; `None` where there is none. A file that is too large counts as none.
    fn read_file(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        // A pipe would make whoever opens it wait.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let flags = i32::try_from(flags.bits()).unwrap_or(0);
        let opened = OpenOptions::new().read(true).custom_flags(flags).open(self.0.join(name));
        let file = match opened {
            Ok(file) if file.metadata()?.is_file() => file,
            Ok(_) => return Ok(None),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound || is_link(&cause) => return Ok(None),
            Err(cause) => return Err(cause),
        };
        let mut bytes = Vec::new();
        file.take(2 * LARGEST_WORKFLOW + 1).read_to_end(&mut bytes)?;
        Ok((bytes.len() as u64 <= 2 * LARGEST_WORKFLOW).then_some(bytes))
    }

    /// Where a file is written before it takes its place: whoever reads sees the old one or the new one.
    fn beside(&self, name: &str) -> PathBuf {
        self.0.join(format!(".{name}.new"))
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
