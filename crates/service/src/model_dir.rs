//! The models folder on the disk. Only this turns a name into a path below it, and only this removes a model.
//!
//! A path is resolved once, by the kernel, to a descriptor below the root; everything else is relative to that descriptor.
//! So a folder that is exchanged for a symbolic link meanwhile leads nowhere.
//!
//! Every call blocks: callers run it off the async workers. Nothing here knows presets, downloads or the database.

use std::{
    fs::{self, File},
    io,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    sync::Arc,
};

use registry::ConfinedPath;
use rustix::{
    fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, Stat},
    io::Errno,
};

/// The ending of a file that is not whole yet.
const PART: &str = ".part";

/// Room where the file system does not say how much: more than any disk has, and exact as a number of JSON.
const UNKNOWN_ROOM: u64 = (1 << 53) - 1;

/// How a folder is opened.
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// How something is named without being opened.
const NAMED: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

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

/// Why a path cannot be reached.
#[derive(Debug)]
enum Unreachable {
    /// Nothing is there.
    Missing,
    /// A symbolic link on the way, or at the end, leads out of the folder.
    Outside,
    Io(io::Error),
}

impl From<Errno> for Unreachable {
    fn from(error: Errno) -> Self {
        match error {
            Errno::NOENT | Errno::NOTDIR => Self::Missing,
            Errno::XDEV | Errno::LOOP => Self::Outside,
            other => Self::Io(other.into()),
        }
    }
}

impl From<Unreachable> for io::Error {
    fn from(cause: Unreachable) -> Self {
        match cause {
            Unreachable::Missing => io::ErrorKind::NotFound.into(),
            Unreachable::Outside => {
                Self::new(io::ErrorKind::PermissionDenied, "a symbolic link leads out of the models folder")
            }
            Unreachable::Io(cause) => cause,
        }
    }
}

impl From<Unreachable> for RemoveError {
    fn from(cause: Unreachable) -> Self {
        match cause {
            Unreachable::Missing => Self::Missing,
            Unreachable::Outside => Self::LeadsOutside,
            Unreachable::Io(cause) => Self::Io(cause),
        }
    }
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
        let named = self.reach(path.as_str(), NAMED).ok()?;
        rustix::fs::fstat(named).ok().filter(is_file).map(|stat| stamp_of(&stat))
    }

    /// Whether a link on the way to this path, or at its end, leads out of the folder.
    pub(crate) fn leads_outside(&self, path: &ConfinedPath) -> bool {
        let on_the_way = Path::new(path.as_str()).ancestors().skip(1);
        for inner in on_the_way {
            match self.reach(inner, NAMED) {
                Ok(_) => return self.is_link_outside(path),
                Err(Unreachable::Missing) => {}
                Err(Unreachable::Outside | Unreachable::Io(_)) => return true,
            }
        }
        true
    }

    /// Opens a regular file for reading. A pipe would make whoever opens it wait.
    pub(crate) fn open_file(&self, path: &ConfinedPath) -> io::Result<File> {
        let file = File::from(self.reach(path.as_str(), OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC)?);
        if file.metadata()?.is_file() { Ok(file) } else { Err(io::ErrorKind::NotFound.into()) }
    }

    /// Bytes that the unfinished `.part` of a file already holds on the disk, preallocated ones included.
    pub(crate) fn part_allocated(&self, path: &ConfinedPath) -> u64 {
        let Ok(folder) = self.parent_of(path) else { return 0 };
        let part = format!("{}{PART}", path.file_name());
        let stat = rustix::fs::statat(folder, part, AtFlags::SYMLINK_NOFOLLOW);
        stat.map_or(0, |stat| u64::try_from(stat.st_blocks).unwrap_or(0) * 512)
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
        let folder = self.parent_of(path)?;
        let stat = rustix::fs::statat(&folder, path.file_name(), AtFlags::SYMLINK_NOFOLLOW);
        let stat = stat.map_err(Unreachable::from)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => return Err(RemoveError::NotAFile),
            FileType::Symlink if self.is_link_outside(path) => return Err(RemoveError::LeadsOutside),
            _ => {}
        }
        match rustix::fs::unlinkat(&folder, path.file_name(), AtFlags::empty()) {
            Ok(()) => {}
            Err(Errno::ISDIR) => return Err(RemoveError::NotAFile),
            Err(cause) => return Err(Unreachable::from(cause).into()),
        }
        self.tidy_empty_folders(path);
        Ok(u64::try_from(stat.st_size).unwrap_or(0))
    }

    /// Moves a file to another place below the folder, over what is there, and syncs both folders. `false` where there
    /// is none to move.
    pub(crate) fn promote(&self, from: &ConfinedPath, to: &ConfinedPath) -> io::Result<bool> {
        let source = match self.parent_of(from) {
            Ok(source) => source,
            Err(Unreachable::Missing) => return Ok(false),
            Err(cause) => return Err(cause.into()),
        };
        match rustix::fs::statat(&source, from.file_name(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if is_file(&stat) => {}
            Ok(_) | Err(Errno::NOENT) => return Ok(false),
            Err(cause) => return Err(cause.into()),
        }
        let target = self.make_parent_of(to)?;
        if self.is_link_outside(to) {
            return Err(Unreachable::Outside.into());
        }
        rustix::fs::renameat(&source, from.file_name(), &target, to.file_name())?;
        for folder in [target, source] {
            File::from(folder).sync_all()?;
        }
        Ok(true)
    }

    /// Removes a folder with all that is in it, and the folder `above` it if that becomes empty. Where a link leads out of the
    /// models folder, what is behind it is not ours.
    pub(crate) fn remove_folder(&self, path: &ConfinedPath, above: &str) -> io::Result<()> {
        let Ok(folder) = self.parent_of(path) else { return Ok(()) };
        remove_tree(&folder, path.file_name())?;
        if let Ok(root) = self.reach("", FOLDER) {
            let _ = rustix::fs::unlinkat(root, above, AtFlags::REMOVEDIR);
        }
        Ok(())
    }

    /// What lies directly in a folder; nothing where a link leads out of the models folder.
    pub(crate) fn names_in(&self, folder: &str) -> Vec<String> {
        let entries = self.reach(folder, FOLDER).ok().and_then(|folder| names(folder).ok());
        entries.unwrap_or_default()
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

    /// Opens what lies at a path below the root, which itself is the empty path. Links inside the root are followed; one that
    /// leads out of it is never.
    fn reach(&self, path: impl AsRef<Path>, how: OFlags) -> Result<OwnedFd, Unreachable> {
        let root = rustix::fs::openat(CWD, self.root.as_path(), FOLDER, Mode::empty())?;
        let path = path.as_ref();
        if path.as_os_str().is_empty() {
            return Ok(root);
        }
        let confined = ResolveFlags::BENEATH.union(ResolveFlags::NO_MAGICLINKS);
        match rustix::fs::openat2(&root, path, how, Mode::empty(), confined) {
            Ok(opened) => Ok(opened),
            // An absolute link may lead to another place inside; and some kernels and sandboxes do not know the call.
            Err(Errno::XDEV | Errno::NOSYS | Errno::PERM | Errno::INVAL) => self.reach_step_by_step(root, path, how),
            Err(cause) => Err(cause.into()),
        }
    }

    /// The same, without the kernel's help: the path without its links, of which none is followed any more.
    fn reach_step_by_step(&self, root: OwnedFd, path: &Path, how: OFlags) -> Result<OwnedFd, Unreachable> {
        let real = match self.root.join(path).canonicalize() {
            Ok(real) => real,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Err(Unreachable::Missing),
            Err(cause) => return Err(Unreachable::Io(cause)),
        };
        let inside = real.strip_prefix(self.root.as_path()).map_err(|_| Unreachable::Outside)?;
        let mut names: Vec<_> = inside.iter().collect();
        let Some(last) = names.pop() else { return Ok(root) };
        let mut folder = root;
        for name in names {
            folder = rustix::fs::openat(&folder, name, FOLDER | OFlags::NOFOLLOW, Mode::empty())?;
        }
        Ok(rustix::fs::openat(&folder, last, how | OFlags::NOFOLLOW, Mode::empty())?)
    }

    fn parent_of(&self, path: &ConfinedPath) -> Result<OwnedFd, Unreachable> {
        self.reach(Path::new(path.as_str()).parent().unwrap_or(Path::new("")), FOLDER)
    }

    /// The folder of a path; those that are missing are made.
    fn make_parent_of(&self, path: &ConfinedPath) -> io::Result<OwnedFd> {
        let mut folder = self.reach("", FOLDER)?;
        let parent = Path::new(path.as_str()).parent().unwrap_or(Path::new(""));
        let mut walked = PathBuf::new();
        for name in parent {
            match rustix::fs::mkdirat(&folder, name, Mode::from_raw_mode(0o777)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(cause) => return Err(cause.into()),
            }
            walked.push(name);
            folder = self.reach(&walked, FOLDER)?;
        }
        Ok(folder)
    }

    /// Whether a symbolic link lies at this path that leads out of the folder, or nowhere.
    fn is_link_outside(&self, path: &ConfinedPath) -> bool {
        let Ok(folder) = self.parent_of(path) else { return false };
        let stat = rustix::fs::statat(folder, path.file_name(), AtFlags::SYMLINK_NOFOLLOW);
        let is_link = stat.is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink);
        is_link && self.reach(path.as_str(), NAMED).is_err()
    }

    fn tidy_empty_folders(&self, path: &ConfinedPath) {
        let mut folder = Path::new(path.as_str()).parent();
        while let Some(inner) = folder.filter(|inner| inner.components().count() > 1) {
            let (Some(above), Some(name)) = (inner.parent(), inner.file_name()) else { return };
            let Ok(above) = self.reach(above, FOLDER) else { return };
            if rustix::fs::unlinkat(above, name, AtFlags::REMOVEDIR).is_err() {
                return;
            }
            folder = inner.parent();
        }
    }
}

/// Names in a folder; those that are no text are left out.
fn names(folder: OwnedFd) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        names.extend(entry.file_name().to_str().ok().filter(|name| !matches!(*name, "." | "..")).map(str::to_owned));
    }
    Ok(names)
}

/// Removes a folder by its name in another one, with all that is in it. No link is followed.
fn remove_tree(above: impl AsFd, name: &str) -> io::Result<()> {
    let folder = match rustix::fs::openat(&above, name, FOLDER | OFlags::NOFOLLOW, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(()),
        other => other?,
    };
    for name in names(folder.try_clone()?)? {
        match rustix::fs::unlinkat(&folder, &name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(Errno::ISDIR | Errno::PERM) => remove_tree(&folder, &name)?,
            Err(cause) => return Err(cause.into()),
        }
    }
    Ok(rustix::fs::unlinkat(&above, name, AtFlags::REMOVEDIR)?)
}

fn is_model_name(name: &str) -> bool {
    !(name.starts_with('.')
        || name.ends_with(PART)
        || name.ends_with(".part.journal")
        || (name.starts_with("put_") && name.ends_with("_here")))
}

fn is_file(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}

fn stamp_of(stat: &Stat) -> Stamp {
    let nanoseconds = i64::try_from(stat.st_mtime_nsec).unwrap_or(0);
    let mtime_ns = stat.st_mtime.saturating_mul(1_000_000_000).saturating_add(nanoseconds);
    Stamp { size: u64::try_from(stat.st_size).unwrap_or(0), mtime_ns, inode: stat.st_ino }
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
