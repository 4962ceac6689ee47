//! What makes the network needless: the file itself at its destination, or a copy of it on this machine.

use std::sync::Arc;

use crate::part::Part;
use crate::transfer::{Halt, Transfer};
use crate::{FileJob, FileOutcome, local_copy, probe, start};

impl Transfer {
    /// The file with the hash that a server names for it, asked only where a copy on this machine may have it.
    async fn with_hash_of_server(&self) -> Result<FileJob, Halt> {
        let (mut file, cache) = (self.file.clone(), self.engine.settings.hf_cache.as_deref());
        if file.sha256.is_none() && local_copy::may_be_there(&file, cache) {
            let facts = tokio::select! {
                biased;
                () = self.stop.cancelled() => return Err(Halt::Stopped),
                facts = probe::probe(&self.engine.web, &file.sources) => facts,
            };
            file.sha256 = facts.ok().and_then(|facts| facts.sha256);
        }
        Ok(file)
    }

    /// The file itself, or a copy of it on this machine, makes the network needless.
    pub(crate) async fn already_here(&self, part: &Arc<Part>) -> Result<Option<FileOutcome>, Halt> {
        let wanted = self.with_hash_of_server().await?;
        let (part, file, stop) = (Arc::clone(part), self.file.clone(), self.stop.clone());
        let cache = self.engine.settings.hf_cache.clone();
        let (meter, disk) = (Arc::clone(&self.meter), Arc::clone(&self.engine.disk));
        let found = self
            .engine
            .blocking(move || {
                let found = match start::look_at_destination(&part, &file, &stop)? {
                    Some(found) => Some(found),
                    None => local_copy::take(disk.as_ref(), &part, &wanted, cache.as_deref(), &stop)?,
                };
                if let Some(outcome) = &found {
                    meter.set_total(Some(outcome.size));
                    meter.set_present(outcome.size);
                }
                Ok(found)
            })
            .await?;
        if found.is_none() && self.stop.is_cancelled() {
            return Err(Halt::Stopped);
        }
        Ok(found)
    }
}
