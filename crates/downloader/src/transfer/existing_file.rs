//! What is on this machine of a file before the network is asked: the file itself at its destination, a copy of it, or a part.

use std::path::PathBuf;
use std::sync::Arc;

use crate::halt::Halt;
use crate::http::probe;
use crate::storage::fs::Disk;
use crate::storage::part::{Holding, Part};
use crate::transfer::Transfer;
use crate::transfer::local_copy::{self, Copier};
use crate::transfer::resume;
use crate::transfer::resume::Beginning;
use crate::{FileJob, FileOutcome};

/// What of a file is on this machine.
pub(crate) enum Found {
    Whole(FileOutcome),
    Part(Beginning),
}

/// Where a file is looked for before the network is asked.
pub(crate) struct Search {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) file: FileJob,
    /// The same, with the hash that a server names for it.
    pub(crate) wanted: FileJob,
    /// Of Hugging Face.
    pub(crate) cache: Option<PathBuf>,
    pub(crate) copier: Copier,
}

impl Search {
    /// At the destination, then in copies, then in the partial file; all in one go, because each change of thread costs
    /// a small file as much as a write.
    pub(crate) fn all(&self, part: &Part, holding: Holding) -> Result<Found, Halt> {
        match self.whole(part, &holding)? {
            Some(outcome) => Ok(Found::Whole(outcome)),
            None => Ok(Found::Part(resume::begin(part, holding, &self.file, &self.copier)?)),
        }
    }

    /// The file itself, or a copy of it on this machine, makes the network needless.
    pub(crate) fn whole(&self, part: &Part, holding: &Holding) -> Result<Option<FileOutcome>, Halt> {
        match resume::look_at_destination(part, holding, &self.file, &self.copier.stop)? {
            Some(found) => Ok(Some(found)),
            None => local_copy::take(self.disk.as_ref(), part, &self.wanted, self.cache.as_deref(), &self.copier),
        }
    }
}

impl Transfer {
    /// Where to look. The hash that a server names for the file is asked only where a copy on this machine may have it.
    pub(crate) async fn search(&self) -> Result<Search, Halt> {
        let (mut wanted, cache) = (self.file.clone(), self.engine.settings.hf_cache.clone());
        if wanted.sha256.is_none() && self.may_be_there(cache.as_ref()).await? {
            let facts = tokio::select! {
                biased;
                () = self.stop.cancelled() => return Err(Halt::Stopped),
                facts = probe::probe(&self.engine.web, &wanted.sources) => facts,
            };
            wanted.sha256 = facts.ok().and_then(|facts| facts.sha256);
        }
        let disk = Arc::clone(&self.engine.disk);
        Ok(Search { disk, file: self.file.clone(), wanted, cache, copier: self.copier() })
    }

    /// Whether there is any place to look for a copy, once the hash is known.
    async fn may_be_there(&self, cache: Option<&PathBuf>) -> Result<bool, Halt> {
        match cache.cloned() {
            _ if !self.file.local_copies.is_empty() => Ok(true),
            None => Ok(false),
            Some(cache) => {
                let file = self.file.clone();
                self.blocking(move || Ok(local_copy::is_cached(&file, &cache))).await
            }
        }
    }
}
