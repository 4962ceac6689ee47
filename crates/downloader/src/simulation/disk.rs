//! A disk in memory for the engine: it dies at an operation that was chosen, fills up, and fails to sync on order. What it
//! holds is in `storage`.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;
use tokio::sync::Notify;

use super::chance::Chance;
use super::disk_faults::{DiskFaults, Meanwhile};
use super::storage::{Content, Directory, Spared};
use super::trace::Trace;
use crate::Destination;
use crate::storage::fs::{Access, Disk, Folder, OpenFile, Room, Standing};

mod file;

use file::MemoryFile;

/// Cheap to clone; all clones are the same disk.
#[derive(Debug, Clone)]
pub(crate) struct MemoryDisk {
    state: Arc<Mutex<State>>,
    trace: Arc<Trace>,
    chance: Chance,
    died: Arc<Notify>,
    pub(crate) meanwhile: Meanwhile,
}

#[derive(Debug, Default)]
struct State {
    contents: Vec<Content>,
    folders: BTreeMap<String, Directory>,
    disk_faults: DiskFaults,
    dead: bool,
    /// Blocks that were written past the page cache.
    past_cache: u64,
    /// Bytes that were read.
    read: u64,
}

#[derive(Debug)]
struct MemoryFolder {
    disk: MemoryDisk,
    path: String,
}

impl MemoryDisk {
    pub(crate) fn new(chance: Chance, trace: Arc<Trace>) -> Self {
        Self { state: Arc::default(), trace, chance, died: Arc::default(), meanwhile: Meanwhile::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new process finds the disk; the locks of the old one are gone with it.
    pub(crate) fn begin_life(&self, disk_faults: DiskFaults) {
        let mut state = self.state();
        (state.disk_faults, state.dead) = (disk_faults, false);
        state.contents.iter_mut().for_each(|content| content.locked = false);
    }

    /// Room is made, and everything works from now on.
    pub(crate) fn recover(&self) {
        self.state().disk_faults = DiskFaults::default();
    }

    /// Returns when the process has been killed.
    pub(crate) async fn death(&self) {
        while !self.state().dead {
            self.died.notified().await;
        }
    }

    /// The power fails: what was not synced is as chance will have it.
    pub(crate) fn power_cut(&self) {
        let mut state = self.state();
        let spared = self.chance.one_of(&[Spared::Nothing, Spared::Everything, Spared::Some, Spared::Some]);
        state.contents.iter_mut().for_each(|content| content.power_cut(spared, &self.chance));
        state.folders.values_mut().for_each(|folder| folder.power_cut(spared, &self.chance));
        self.trace.line(format!("power cut, {spared:?} spared"));
    }

    /// Every name with what it holds, as a reader would find it.
    pub(crate) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let state = self.state();
        let names = state.folders.iter().flat_map(|(path, folder)| {
            folder.cached.iter().map(move |(name, inode)| (format!("{path}/{name}"), *inode))
        });
        names.map(|(name, inode)| (name, state.contents[inode].cached.clone())).collect()
    }

    pub(crate) fn is_unreliable(&self, path: &str) -> bool {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        self.state().folders.get(folder).is_some_and(|folder| folder.is_unreliable)
    }

    /// Whether a sync of this file has ever failed.
    pub(crate) fn has_lost_bytes(&self, path: &str) -> bool {
        let (folder, name) = path.rsplit_once('/').unwrap_or_default();
        let state = self.state();
        let inode = state.folders.get(folder).and_then(|folder| folder.cached.get(name));
        inode.is_some_and(|inode| state.contents[*inode].has_lost_bytes)
    }

    pub(crate) fn past_cache(&self) -> u64 {
        self.state().past_cache
    }

    pub(crate) fn bytes_read(&self) -> u64 {
        self.state().read
    }

    pub(crate) fn locks(&self) -> usize {
        self.state().contents.iter().filter(|content| content.locked).count()
    }

    /// Puts a file there before anything begins, durable with its name.
    pub(crate) fn place(&self, path: &str, bytes: Vec<u8>) {
        let (folder, name) = path.rsplit_once('/').expect("a path with a folder");
        let mut state = self.state();
        let inode = state.contents.len();
        let mut content = Content::default();
        content.tamper(|all| *all = bytes);
        state.contents.push(content);
        let folder = state.folders.entry(folder.to_owned()).or_default();
        folder.change(vec![(name.to_owned(), Some(inode))]);
        folder.sync();
    }

    /// Somebody else changes or removes a file.
    pub(crate) fn tamper(&self, path: &str, change: Option<impl FnOnce(&mut Vec<u8>)>) {
        let (folder, name) = path.rsplit_once('/').expect("a path with a folder");
        let mut state = self.state();
        let State { contents, folders, .. } = &mut *state;
        let Some(folder) = folders.get_mut(folder) else { return };
        let Some(inode) = folder.cached.get(name).copied() else { return };
        match change {
            Some(change) => contents[inode].tamper(change),
            None => {
                folder.change(vec![(name.to_owned(), None)]);
                folder.sync();
            }
        }
    }

    /// Each operation that changes something passes here, unless the process is dead by then.
    fn change(&self, what: impl FnOnce() -> String) -> io::Result<MutexGuard<'_, State>> {
        let mut state = self.state();
        if state.dead {
            return Err(Errno::IO.into());
        }
        if let Some(left) = &mut state.disk_faults.operations_left {
            if *left == 0 {
                (state.dead, state.disk_faults.operations_left) = (true, None);
                self.trace.line(format!("killed before: {}", what()));
                self.died.notify_one();
                return Err(Errno::IO.into());
            }
            *left -= 1;
        }
        self.trace.line(what());
        Ok(state)
    }

    fn sync_fails(&self, state: &mut State) -> bool {
        let fails = state.disk_faults.failing_syncs > 0.0 && self.chance.happens(state.disk_faults.failing_syncs);
        if fails {
            self.trace.line("  fails".to_owned());
        }
        fails
    }
}

impl State {
    fn used(&self) -> u64 {
        let named = self.folders.values().flat_map(|folder| folder.cached.values());
        named.map(|inode| (self.contents[*inode].cached.len() as u64).max(self.contents[*inode].aside)).sum()
    }

    fn free(&self) -> u64 {
        self.disk_faults.capacity.map_or(1 << 40, |capacity| capacity.saturating_sub(self.used()))
    }

    fn folder(&mut self, path: &str) -> &mut Directory {
        self.folders.entry(path.to_owned()).or_default()
    }
}

impl Disk for MemoryDisk {
    /// Folders stand as soon as they are asked for: the engine syncs each one that it makes.
    fn open_parent(&self, destination: &Destination, _make: bool) -> io::Result<Box<dyn Folder>> {
        let path = destination.to_string();
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        Ok(Box::new(MemoryFolder { disk: self.clone(), path: folder.to_owned() }))
    }

    fn open_anywhere(&self, _path: &Path) -> io::Result<Box<dyn OpenFile>> {
        Err(Errno::NOENT.into())
    }
}

impl Folder for MemoryFolder {
    fn standing(&self, name: &str) -> io::Result<Standing> {
        let mut state = self.disk.state();
        let Some(inode) = state.folder(&self.path).cached.get(name).copied() else { return Ok(Standing::Nothing) };
        Ok(Standing::File { size: state.contents[inode].cached.len() as u64, inode: inode as u64 })
    }

    fn open(&self, name: &str, access: Access) -> io::Result<Box<dyn OpenFile>> {
        let found = self.disk.state().folder(&self.path).cached.get(name).copied();
        let inode = match found {
            Some(inode) => inode,
            None if access == Access::Create => {
                let mut state = self.disk.change(|| format!("create {}/{name}", self.path))?;
                state.contents.push(Content::default());
                let inode = state.contents.len() - 1;
                state.folder(&self.path).change(vec![(name.to_owned(), Some(inode))]);
                inode
            }
            None => return Err(Errno::NOENT.into()),
        };
        let label = format!("{}/{name}", self.path);
        Ok(Box::new(MemoryFile::new(self.disk.clone(), inode, label)))
    }

    fn remove(&self, name: &str) -> io::Result<bool> {
        let mut state = self.disk.change(|| format!("remove {}/{name}", self.path))?;
        let folder = state.folder(&self.path);
        let there = folder.cached.contains_key(name);
        if there {
            folder.change(vec![(name.to_owned(), None)]);
        }
        Ok(there)
    }

    fn rename(&self, from: &str, to: &str, replace: bool) -> io::Result<()> {
        let mut state = self.disk.change(|| format!("rename {}/{from} to {to}", self.path))?;
        let folder = state.folder(&self.path);
        let inode = *folder.cached.get(from).ok_or(Errno::NOENT)?;
        if folder.cached.contains_key(to) && !replace {
            return Err(Errno::EXIST.into());
        }
        folder.change(vec![(from.to_owned(), None), (to.to_owned(), Some(inode))]);
        Ok(())
    }

    fn link(&self, _file: &Path, _name: &str) -> io::Result<()> {
        Err(Errno::XDEV.into())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.change(|| format!("sync folder {}", self.path))?;
        if self.disk.sync_fails(&mut state) {
            state.folder(&self.path).is_unreliable = true;
            return Err(Errno::IO.into());
        }
        state.folder(&self.path).sync();
        Ok(())
    }

    fn room(&self) -> io::Result<Room> {
        Ok(Room { device: 1, free: self.disk.state().free() })
    }
}
