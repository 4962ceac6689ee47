//! The platter and the page cache: what a disk holds, what it holds for sure, and what a power cut makes of the difference.
//!
//! Harsher than any one file system: what was not synced is kept, lost or torn by sectors, in any combination, names
//! apart from contents. A file's sync does not make its name durable; only that of its folder does. After a sync of a
//! file that failed, the next one succeeds without having tried the old bytes again, as on Linux; names, which file systems
//! keep in a journal, are not lost that way.

use std::collections::BTreeMap;

use super::chance::Chance;

/// A write is torn at these boundaries (512 bytes, as much smaller as everything else here).
const SECTOR: usize = 64;

pub(crate) type Inode = usize;
type Names = BTreeMap<String, Inode>;

/// One file.
#[derive(Debug, Default)]
pub(crate) struct Content {
    pub(crate) cached: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
    /// Room set aside for it.
    pub(crate) aside: u64,
    /// Who holds its lock.
    pub(crate) locked: bool,
    /// A sync has failed, so that the disk may not have what the cache shows.
    pub(crate) has_lost_bytes: bool,
}

/// Not synced.
#[derive(Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Size(usize),
}

/// One folder.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    pub(crate) cached: Names,
    durable: Names,
    pending: Vec<Vec<(String, Option<Inode>)>>,
    /// A sync of it has failed, so a power cut may bring back names that were removed.
    pub(crate) is_unreliable: bool,
}

/// What a power cut spares of what was not synced.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Spared {
    Nothing,
    Everything,
    /// Each change, or sector of it, by itself.
    Some,
}

impl Spared {
    fn spares(self, chance: &Chance) -> bool {
        match self {
            Self::Nothing => false,
            Self::Everything => true,
            Self::Some => chance.happens(0.5),
        }
    }
}

impl Content {
    pub(crate) fn write(&mut self, offset: usize, bytes: &[u8]) {
        put(&mut self.cached, offset, bytes);
        self.pending.push(Change::Write(offset, bytes.to_vec()));
    }

    pub(crate) fn set_size(&mut self, size: usize) {
        self.cached.resize(size, 0);
        self.pending.push(Change::Size(size));
    }

    pub(crate) fn sync(&mut self) {
        self.settle(Spared::Everything, None);
    }

    /// The disk says that it could not; what it covered is no longer tried, though the cache shows it still.
    pub(crate) fn fail_to_sync(&mut self, chance: &Chance) {
        self.settle(Spared::Some, Some(chance));
        self.has_lost_bytes = true;
    }

    pub(crate) fn power_cut(&mut self, spared: Spared, chance: &Chance) {
        self.settle(spared, Some(chance));
        self.cached = self.durable.clone();
        (self.aside, self.locked) = (0, false);
    }

    fn settle(&mut self, spared: Spared, chance: Option<&Chance>) {
        let spares = || chance.is_none_or(|chance| spared.spares(chance));
        for change in std::mem::take(&mut self.pending) {
            match change {
                Change::Size(size) if spares() => self.durable.resize(size, 0),
                Change::Size(_) => {}
                Change::Write(offset, bytes) => {
                    for (index, sector) in bytes.chunks(SECTOR).enumerate() {
                        if spares() {
                            put(&mut self.durable, offset + index * SECTOR, sector);
                        }
                    }
                }
            }
        }
    }

    /// What is shown from now on is what the disk has, and what is still on its way there.
    pub(crate) fn drop_cache(&mut self) {
        self.cached = self.durable.clone();
        for change in &self.pending {
            match change {
                Change::Size(size) => self.cached.resize(*size, 0),
                Change::Write(offset, bytes) => put(&mut self.cached, *offset, bytes),
            }
        }
    }

    /// Somebody else changes it, for good: the sectors that are other ones now. What a failed sync lost stays lost.
    pub(crate) fn tamper(&mut self, change: impl FnOnce(&mut Vec<u8>)) {
        self.sync();
        let before = self.cached.clone();
        change(&mut self.cached);
        self.durable.resize(self.cached.len(), 0);
        for (index, sector) in self.cached.chunks(SECTOR).enumerate() {
            if before.chunks(SECTOR).nth(index) != Some(sector) {
                put(&mut self.durable, index * SECTOR, sector);
            }
        }
    }
}

fn put(bytes: &mut Vec<u8>, offset: usize, new: &[u8]) {
    if bytes.len() < offset + new.len() {
        bytes.resize(offset + new.len(), 0);
    }
    bytes[offset..offset + new.len()].copy_from_slice(new);
}

impl Directory {
    /// Changes names, all of them or none.
    pub(crate) fn change(&mut self, changes: Vec<(String, Option<Inode>)>) {
        apply(&mut self.cached, &changes);
        self.pending.push(changes);
    }

    pub(crate) fn sync(&mut self) {
        for changes in std::mem::take(&mut self.pending) {
            apply(&mut self.durable, &changes);
        }
    }

    /// What was not synced is kept or lost, change by change.
    pub(crate) fn power_cut(&mut self, spared: Spared, chance: &Chance) {
        for changes in std::mem::take(&mut self.pending) {
            if spared.spares(chance) {
                apply(&mut self.durable, &changes);
            }
        }
        self.cached = self.durable.clone();
    }
}

fn apply(names: &mut Names, changes: &[(String, Option<Inode>)]) {
    for (name, inode) in changes {
        match inode {
            Some(inode) => names.insert(name.clone(), *inode),
            None => names.remove(name),
        };
    }
}
