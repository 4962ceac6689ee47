//! Room on the disk: what is free, less the reserve, less what the other running transfers still have to store.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::halt::Shortage;
use crate::storage::fs::{Folder, Room};

/// A transfer's entry in the ledger.
pub(crate) type TransferKey = u64;

/// Who still needs how much on which file system.
#[derive(Debug, Default)]
pub(crate) struct DiskBudget {
    min_free: u64,
    needs: Mutex<HashMap<TransferKey, Need>>,
}

#[derive(Debug, Clone, Copy)]
struct Need {
    device: u64,
    bytes: u64,
}

/// Takes a transfer out of the ledger when it is dropped, however it ended.
#[derive(Debug)]
pub(crate) struct Entered<'a> {
    ledger: &'a DiskBudget,
    key: TransferKey,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.ledger.lock().remove(&self.key);
    }
}

impl DiskBudget {
    pub(crate) fn new(min_free: u64) -> Self {
        Self { min_free, needs: Mutex::default() }
    }

    /// A transfer that may enter something from now on, until this is dropped.
    pub(crate) fn enter(&self, key: TransferKey) -> Entered<'_> {
        Entered { ledger: self, key }
    }

    /// Enters that a transfer has `bytes` to store on the file system of `folder`, or says that they do not fit.
    pub(crate) fn reserve(&self, key: TransferKey, folder: &dyn Folder, bytes: u64) -> Result<(), Shortage> {
        let Ok(Room { device, free }) = folder.room() else { return Ok(()) };
        let mut needs = self.lock();
        let available = self.less_others(&needs, key, device, free);
        if bytes > available {
            needs.remove(&key);
            return Err(Shortage { needed: bytes, available: Some(available) });
        }
        needs.insert(key, Need { device, bytes });
        Ok(())
    }

    /// What a transfer may use on the file system of `folder`; nothing where that does not say.
    pub(crate) fn available(&self, key: TransferKey, folder: &dyn Folder) -> Option<u64> {
        folder.room().ok().map(|Room { device, free }| self.less_others(&self.lock(), key, device, free))
    }

    fn less_others(&self, needs: &HashMap<TransferKey, Need>, key: TransferKey, device: u64, free: u64) -> u64 {
        let others = needs.iter().filter(|(other, need)| **other != key && need.device == device);
        free.saturating_sub(self.min_free).saturating_sub(others.map(|(_, need)| need.bytes).sum())
    }

    /// Lowers what a transfer still has to store.
    pub(crate) fn still_needs(&self, key: TransferKey, bytes: u64) {
        if let Some(need) = self.lock().get_mut(&key) {
            need.bytes = bytes;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<TransferKey, Need>> {
        self.needs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Destination;
    use crate::storage::fs::Disk;
    use crate::storage::unix::UnixDisk;

    #[test]
    fn what_others_need_is_not_available() {
        let destination = Destination::new(std::env::temp_dir(), "f.bin").expect("a name");
        let folder = UnixDisk::default().open_parent(&destination, false).expect("the temporary folder");
        let folder = folder.as_ref();
        let ledger = DiskBudget::new(0);
        let Room { free, .. } = folder.room().expect("a file system");
        assert_eq!(ledger.reserve(1, folder, free / 2), Ok(()));
        let refused = ledger.reserve(2, folder, free * 3 / 4).expect_err("it does not fit beside the first");
        assert_eq!(refused.needed, free * 3 / 4);
        ledger.still_needs(1, 0);
        assert_eq!(ledger.reserve(2, folder, free * 3 / 4), Ok(()));
        assert_eq!(ledger.reserve(2, folder, free * 3 / 4), Ok(()), "its own entry does not count against it");
        let its_transfer = std::panic::catch_unwind(|| {
            let _entered = ledger.enter(2);
            panic!("a panic on order");
        });
        assert!(its_transfer.is_err());
        assert!(ledger.lock().keys().eq([&1]), "nothing is held for a transfer that died");
    }
}
