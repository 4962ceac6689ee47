//! The models folder on the disk. Only this turns a name into a path below it, and only this removes a model.
//!
//! Every call blocks: callers run it off the async workers. Nothing here knows presets, downloads or the database.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use registry::ConfinedPath;
use rustix::fs::OFlags;

/// The ending of a file that is not whole yet.
const PART: &str = ".part";

/// Room where the file system does not say how much: more than any disk has, and exact as a number of JSON.
const UNKNOWN_ROOM: u64 = (1 << 53) - 1;

/// What tells one state of a file from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Stamp {
    pub size: u64,
    pub mtime_ns: i64,
    pub inode: u64,
}

/// Why a file was not removed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RemoveError {
    #[error("there is no such file")]
    Missing,
    #[error("a symbolic link on the way leads out of the models folder")]
    LeadsOutside,
    #[error("it is a folder, not a file")]
    NotAFile,
    #[error("it could not be removed")]
    Io(#[source] io::Error),
}

/// The models folder. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct ModelDir {
    root: Arc<PathBuf>,
}

impl ModelDir {
    /// Makes the folder where it is missing and pins down where it really is.
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        Ok(Self { root: Arc::new(root.canonicalize()?) })
    }

    /// A folder that must be there already.
    pub(crate) fn existing(root: &Path) -> io::Result<Self> {
        Ok(Self { root: Arc::new(root.canonicalize()?) })
    }

    /// Where the folder is, without links.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The stamp of a regular file; `None` where there is none, or where a link leads out of the folder.
    pub(crate) fn stamp(&self, path: &ConfinedPath) -> Option<Stamp> {
        let place = self.resolve(path)?;
        fs::metadata(place).ok().filter(fs::Metadata::is_file).map(|metadata| stamp_of(&metadata))
    }

    /// Whether a link on the way to this path, or at its end, leads out of the folder.
    pub(crate) fn leads_outside(&self, path: &ConfinedPath) -> bool {
        let on_the_way = Path::new(path.as_str()).ancestors().skip(1);
        let existing = on_the_way.map(|inner| self.root.join(inner)).find(|folder| folder.exists());
        let inside = existing
            .and_then(|folder| folder.canonicalize().ok())
            .is_some_and(|folder| folder.starts_with(self.root.as_path()));
        !inside || (fs::symlink_metadata(self.root.join(path.as_str())).is_ok() && self.resolve(path).is_none())
    }

    /// Opens a regular file for reading. A pipe would make whoever opens it wait.
    pub(crate) fn open_file(&self, path: &ConfinedPath) -> io::Result<File> {
        let place = self.resolve(path).ok_or(io::ErrorKind::NotFound)?;
        open_regular(&place)?.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Bytes that the unfinished `.part` of a file already holds on the disk, preallocated ones included.
    pub(crate) fn part_allocated(&self, path: &ConfinedPath) -> u64 {
        let Some(place) = self.parent_of(path) else { return 0 };
        let part = place.join(format!("{}{PART}", path.file_name()));
        fs::symlink_metadata(part).map_or(0, |metadata| metadata.blocks() * 512)
    }

    /// Free bytes on the file system of the folder, for an unprivileged writer. Some file systems do not say (ramfs, some over
    /// a network): that they are full shows when a write fails.
    pub(crate) fn free_bytes(&self) -> io::Result<u64> {
        let figures = rustix::fs::statvfs(self.root.as_path())?;
        if figures.f_blocks == 0 {
            return Ok(UNKNOWN_ROOM);
        }
        Ok(figures.f_bavail.saturating_mul(figures.f_frsize))
    }

    /// Removes one file and the folders below the top one that it leaves empty. Returns the bytes that it had.
    pub(crate) fn remove(&self, path: &ConfinedPath) -> Result<u64, RemoveError> {
        let lexical = self.root.join(path.as_str());
        if fs::symlink_metadata(&lexical).is_err() {
            return Err(RemoveError::Missing);
        }
        let place = self.resolve(path).ok_or(RemoveError::LeadsOutside)?;
        let metadata = fs::symlink_metadata(&place).map_err(RemoveError::Io)?;
        if metadata.is_dir() {
            return Err(RemoveError::NotAFile);
        }
        fs::remove_file(&place).map_err(RemoveError::Io)?;
        self.tidy_empty_folders(path);
        Ok(metadata.len())
    }

    /// Moves a file to another place below the folder, over what is there, and syncs both folders. `false` where there
    /// is none to move.
    pub(crate) fn promote(&self, from: &ConfinedPath, to: &ConfinedPath) -> io::Result<bool> {
        let outside =
            || io::Error::new(io::ErrorKind::PermissionDenied, "a symbolic link leads out of the models folder");
        let Some(source) = self.resolve(from).filter(|source| source.is_file()) else { return Ok(false) };
        if let Some(parent) = Path::new(to.as_str()).parent() {
            fs::create_dir_all(self.root.join(parent))?;
        }
        let target = self.resolve(to).ok_or_else(outside)?;
        fs::rename(&source, &target)?;
        for folder in [target.parent(), source.parent()].into_iter().flatten() {
            File::open(folder)?.sync_all()?;
        }
        Ok(true)
    }

    /// Removes a folder with all that is in it, and the folder `above` it if that becomes empty. Where a link leads out of the
    /// models folder, what is behind it is not ours.
    pub(crate) fn remove_folder(&self, path: &ConfinedPath, above: &str) -> io::Result<()> {
        if self.parent_of(path).is_none() {
            return Ok(());
        }
        match fs::remove_dir_all(self.root.join(path.as_str())) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
            _ => {}
        }
        let _ = fs::remove_dir(self.root.join(above));
        Ok(())
    }

    /// What lies directly in a folder; nothing where a link leads out of the models folder.
    pub(crate) fn names_in(&self, folder: &str) -> Vec<String> {
        let place = self.root.join(folder).canonicalize().ok();
        if !place.is_some_and(|place| place.starts_with(self.root.as_path())) {
            return Vec::new();
        }
        let entries = fs::read_dir(self.root.join(folder)).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
    }

    /// Every model file: path and stamp, in no order. Hidden files, unfinished downloads and ComfyUI's `put_…_here`
    /// markers are none; folders behind symbolic links are not entered.
    pub(crate) fn walk(&self) -> Vec<(String, Stamp)> {
        let mut found = Vec::new();
        self.each_file(|path| {
            let is_model = path.rsplit('/').next().is_some_and(is_model_name);
            let confined = ConfinedPath::parse(path).ok().filter(|_| is_model);
            found.extend(confined.and_then(|confined| self.stamp(&confined)).map(|stamp| (path.to_owned(), stamp)));
        });
        found
    }

    /// Every unfinished file: its path without the ending, and the bytes that it takes on the disk.
    pub(crate) fn walk_parts(&self) -> Vec<(String, u64)> {
        let mut found = Vec::new();
        self.each_file(|path| {
            let Some(confined) = path.strip_suffix(PART).and_then(|whole| ConfinedPath::parse(whole).ok()) else {
                return;
            };
            found.push((confined.as_str().to_owned(), self.part_allocated(&confined)));
        });
        found.sort();
        found
    }

    fn each_file(&self, mut take: impl FnMut(&str)) {
        let mut folders = vec![(self.root.as_path().to_owned(), String::new())];
        while let Some((folder, prefix)) = folders.pop() {
            let Ok(entries) = fs::read_dir(&folder) else { continue };
            for entry in entries.flatten() {
                let Ok(name) = entry.file_name().into_string() else { continue };
                let path = format!("{prefix}{name}");
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() && !name.starts_with('.') => folders.push((entry.path(), path + "/")),
                    Ok(kind) if !kind.is_dir() => take(&path),
                    _ => {}
                }
            }
        }
    }

    /// The path on the disk, if no link on the way or at its end leads out of the folder.
    fn resolve(&self, path: &ConfinedPath) -> Option<PathBuf> {
        let place = self.parent_of(path)?.join(path.file_name());
        match fs::symlink_metadata(&place) {
            Ok(metadata) if metadata.is_symlink() => {
                place.canonicalize().ok().filter(|target| target.starts_with(self.root.as_path())).map(|_| place)
            }
            _ => Some(place),
        }
    }

    fn parent_of(&self, path: &ConfinedPath) -> Option<PathBuf> {
        let parent = self.root.join(path.as_str()).parent()?.canonicalize().ok()?;
        parent.starts_with(self.root.as_path()).then_some(parent)
    }

    fn tidy_empty_folders(&self, path: &ConfinedPath) {
        let mut folder = Path::new(path.as_str()).parent();
        while let Some(inner) = folder.filter(|inner| inner.components().count() > 1) {
            if fs::remove_dir(self.root.join(inner)).is_err() {
                return;
            }
            folder = inner.parent();
        }
    }
}

/// Opens a regular file for reading; `None` where something else is there. Blocks, but never for a pipe.
pub(crate) fn open_regular(place: &Path) -> io::Result<Option<File>> {
    let no_wait = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    let file = OpenOptions::new().read(true).custom_flags(no_wait).open(place)?;
    Ok(file.metadata()?.is_file().then_some(file))
}

fn is_model_name(name: &str) -> bool {
    !(name.starts_with('.')
        || name.ends_with(PART)
        || name.ends_with(".part.journal")
        || (name.starts_with("put_") && name.ends_with("_here")))
}

fn stamp_of(metadata: &fs::Metadata) -> Stamp {
    let mtime_ns = metadata.mtime().saturating_mul(1_000_000_000).saturating_add(metadata.mtime_nsec());
    Stamp { size: metadata.len(), mtime_ns, inode: metadata.ino() }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

    use std::os::unix::fs::symlink;

    use super::*;

    fn path(text: &str) -> ConfinedPath {
        ConfinedPath::parse(text).unwrap()
    }

    #[test]
    fn a_removed_file_takes_the_folders_that_it_leaves_empty_but_not_the_top_one() {
        let folder = tempfile::tempdir().unwrap();
        let models = ModelDir::open(folder.path()).unwrap();
        fs::create_dir_all(folder.path().join("loras/styles/old")).unwrap();
        fs::write(folder.path().join("loras/styles/old/a.safetensors"), b"12345").unwrap();
        assert_eq!(models.remove(&path("loras/styles/old/a.safetensors")).unwrap(), 5);
        assert!(!folder.path().join("loras/styles").exists());
        assert!(folder.path().join("loras").exists());
    }

    #[test]
    fn nothing_behind_a_link_that_leads_outside_is_seen_or_removed() {
        let outside = tempfile::tempdir().unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret.safetensors"), b"keep me").unwrap();
        let models = ModelDir::open(folder.path()).unwrap();
        fs::create_dir(folder.path().join("vae")).unwrap();
        symlink(outside.path(), folder.path().join("loras")).unwrap();
        symlink(outside.path().join("secret.safetensors"), folder.path().join("vae/link.safetensors")).unwrap();
        for hostile in ["loras/secret.safetensors", "vae/link.safetensors"] {
            assert!(models.leads_outside(&path(hostile)), "{hostile}");
            assert_eq!(models.stamp(&path(hostile)), None, "{hostile}");
            assert!(matches!(models.remove(&path(hostile)), Err(RemoveError::LeadsOutside)), "{hostile}");
        }
        assert!(models.leads_outside(&path("loras/new/deep.safetensors")));
        assert!(!models.leads_outside(&path("vae/new/deep.safetensors")));
        assert!(models.walk().is_empty());
        assert_eq!(fs::read(outside.path().join("secret.safetensors")).unwrap(), b"keep me");
    }

    #[test]
    fn a_walk_finds_models_and_neither_parts_nor_markers_nor_hidden_files() {
        let folder = tempfile::tempdir().unwrap();
        for file in
            ["vae/a.safetensors", "vae/b.part", "vae/b.part.journal", "vae/put_vae_here", "vae/.hidden", "loose.gguf"]
        {
            fs::create_dir_all(folder.path().join("vae")).unwrap();
            fs::write(folder.path().join(file), b"x").unwrap();
        }
        let mut found: Vec<String> =
            ModelDir::open(folder.path()).unwrap().walk().into_iter().map(|(path, _)| path).collect();
        found.sort();
        assert_eq!(found, ["loose.gguf", "vae/a.safetensors"]);
    }
}
