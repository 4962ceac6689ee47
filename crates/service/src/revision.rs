//! What an answer was made of, as a few numbers: as long as they are the same, the answer is.

use crate::{Dashboard, Error};

/// What an answer depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sources {
    /// The registry, the files that presets name, installs and downloads.
    Presets,
    /// The same and the machine.
    PresetsAndMachine,
    /// Every model file and what is known of it, and whose it is.
    Models,
    /// The same and the machine.
    ModelsAndMachine,
    /// The machine as last sampled.
    Machine,
}

/// The state of the sources at one moment. It is looked at before an answer is made, so that a change meanwhile makes the answer old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revision([u64; 5]);

impl Dashboard {
    /// The state of these sources now.
    pub async fn revision(&self, sources: Sources) -> Result<Revision, Error> {
        let machine = || self.system.revision();
        let (has_presets, looks, sample) = match sources {
            Sources::Presets => (true, 0, 0),
            Sources::PresetsAndMachine => (true, 0, machine()),
            Sources::Models => (true, self.presets.index.looks_revision(), 0),
            Sources::ModelsAndMachine => (true, self.presets.index.looks_revision(), machine()),
            Sources::Machine => (false, 0, machine()),
        };
        if !has_presets {
            return Ok(Revision([0, 0, 0, 0, sample]));
        }
        let (registry, files) = (self.catalogue.in_force().revision, self.presets.index.files_revision());
        Ok(Revision([registry, files, self.presets.downloads.store.ledger().await?.presets_revision, looks, sample]))
    }
}
