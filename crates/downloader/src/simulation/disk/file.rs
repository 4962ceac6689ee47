//! An open file of the disk in memory.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use bytes::Bytes;
use rustix::io::Errno;

use super::super::disk_faults::Work;
use super::super::storage::Inode;
use super::MemoryDisk;
use crate::storage::fs::{OpenFile, Status};

#[derive(Debug)]
pub(super) struct MemoryFile {
    disk: MemoryDisk,
    inode: Inode,
    label: String,
    locks: AtomicBool,
}

impl MemoryFile {
    pub(super) fn new(disk: MemoryDisk, inode: Inode, label: String) -> Self {
        Self { disk, inode, label, locks: AtomicBool::new(false) }
    }
}

impl OpenFile for MemoryFile {
    fn status(&self) -> io::Result<Status> {
        let size = self.disk.state().contents[self.inode].cached.len() as u64;
        Ok(Status { size, inode: self.inode as u64, has_other_names: false, is_file: true })
    }

    fn lock(&self) -> bool {
        let mut state = self.disk.state();
        let free = !std::mem::replace(&mut state.contents[self.inode].locked, true);
        self.locks.fetch_or(free, Relaxed);
        free
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut state = self.disk.state();
        let cached = &state.contents[self.inode].cached;
        let rest = cached.get(offset as usize..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        state.read += length as u64;
        Ok(length)
    }

    fn write_at(&self, offset: u64, frames: &[Bytes]) -> io::Result<()> {
        let mut bytes = frames.concat();
        let whole = bytes.len();
        if self.disk.state().disk_faults.operations_left == Some(0) {
            // A process that is killed may have written a part of it.
            let kept = self.disk.chance.index(whole.max(1));
            self.disk.state().contents[self.inode].write(offset as usize, &bytes[..kept]);
        }
        let mut state = self.disk.change(|| format!("write {} {offset}+{whole}", self.label))?;
        let content = &state.contents[self.inode];
        let covered = (content.cached.len() as u64).max(content.aside);
        let room = (covered + state.free()).saturating_sub(offset);
        bytes.truncate(usize::try_from(room).unwrap_or(usize::MAX));
        state.contents[self.inode].write(offset as usize, &bytes);
        drop(state);
        self.disk.meanwhile.happens_in(Work::Write);
        if bytes.len() < whole { Err(Errno::NOSPC.into()) } else { Ok(()) }
    }

    fn write_past_cache(&self, offset: u64, block: &Bytes) -> io::Result<bool> {
        if self.disk.state().disk_faults.needs_cache {
            return Ok(false);
        }
        self.disk.state().past_cache += 1;
        self.write_at(offset, std::slice::from_ref(block)).map(|()| true)
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        let mut state = self.disk.change(|| format!("size {} {size}", self.label))?;
        state.contents[self.inode].set_size(size as usize);
        Ok(())
    }

    fn set_aside(&self, bytes: u64) -> io::Result<bool> {
        let mut state = self.disk.change(|| format!("set aside {} {bytes}", self.label))?;
        let content = &state.contents[self.inode];
        let has = (content.cached.len() as u64).max(content.aside);
        if bytes.saturating_sub(has) > state.free() {
            return Err(Errno::NOSPC.into());
        }
        state.contents[self.inode].aside = bytes.max(has);
        Ok(true)
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.meanwhile.happens_in(Work::Sync);
        let mut state = self.disk.change(|| format!("sync {}", self.label))?;
        if self.disk.sync_fails(&mut state) {
            state.contents[self.inode].fail_to_sync(&self.disk.chance);
            return Err(Errno::IO.into());
        }
        state.contents[self.inode].sync();
        Ok(())
    }

    fn drop_cache(&self) -> io::Result<()> {
        self.disk.state().contents[self.inode].drop_cache();
        Ok(())
    }

    fn as_file(&self) -> Option<&File> {
        None
    }
}

impl Drop for MemoryFile {
    fn drop(&mut self) {
        if *self.locks.get_mut() {
            self.disk.state().contents[self.inode].locked = false;
        }
    }
}
