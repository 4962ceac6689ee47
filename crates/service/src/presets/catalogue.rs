//! The registry that is in force, and the presets that it dropped but that are installed here.
//!
//! In force is the synced copy, else the operator's own document, else the built-in one.

use api_types::registry::RegistryOrigin;
use std::{path::Path, sync::Arc};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use registry::{Catalog, Preset, PresetId};

use super::definition;
use crate::{Error, presets::store::InstallRow};

/// A registry, and how it came here.
#[derive(Debug)]
pub(crate) struct InForce {
    /// Another number for each registry that comes into force.
    pub(crate) revision: u64,
    pub(crate) catalog: Arc<Catalog>,
    pub(crate) origin: RegistryOrigin,
    /// When it was fetched; only a synced one was.
    pub(crate) fetched_at: Option<Timestamp>,
}

/// The registry in force. Cheap to clone; readers never wait.
#[derive(Debug, Clone)]
pub struct Catalogue {
    in_force: Arc<ArcSwap<InForce>>,
}

impl Catalogue {
    /// Begins with the operator's own document where one is named, else with the built-in one.
    pub(crate) fn load(preset_config: Option<&Path>) -> Result<Self, Error> {
        let (catalog, origin) = match preset_config {
            None => (registry::embedded(), RegistryOrigin::Embedded),
            Some(path) => {
                (Arc::new(registry::load(path).map_err(|cause| unusable(path, &cause))?), RegistryOrigin::Local)
            }
        };
        warn_of_skipped(&catalog);
        Ok(Self {
            in_force: Arc::new(ArcSwap::from_pointee(InForce { revision: 0, catalog, origin, fetched_at: None })),
        })
    }

    /// The registry in force at this moment.
    pub fn current(&self) -> Arc<Catalog> {
        Arc::clone(&self.in_force.load().catalog)
    }

    /// The registry in force and how it came here.
    pub(crate) fn in_force(&self) -> Arc<InForce> {
        self.in_force.load_full()
    }

    /// Puts a fetched registry in force.
    pub(crate) fn replace(&self, catalog: Arc<Catalog>, fetched_at: Timestamp) {
        warn_of_skipped(&catalog);
        let (origin, fetched_at) = (RegistryOrigin::Synced, Some(fetched_at));
        self.in_force.rcu(|before| InForce {
            revision: before.revision + 1,
            catalog: Arc::clone(&catalog),
            origin,
            fetched_at,
        });
    }

    /// A preset as the registry has it, else as it was when it was installed here. The flag says which.
    pub(crate) fn find(&self, id: &PresetId, installs: &[InstallRow]) -> Result<(Preset, bool), Error> {
        if let Some(preset) = self.current().get(id) {
            return Ok((preset.clone(), true));
        }
        installs
            .iter()
            .find(|install| install.preset_id == id.as_str())
            .and_then(|install| definition::from_json(&install.definition))
            .map(|preset| (preset, false))
            .ok_or_else(|| Error::PresetNotFound(id.to_string()))
    }

    /// Installed presets, each as it was when it was installed.
    pub(crate) fn installed(installs: &[InstallRow]) -> Vec<Preset> {
        installs.iter().filter_map(|install| definition::from_json(&install.definition)).collect()
    }

    /// Installed presets that the registry in force does not have.
    pub(crate) fn dropped(&self, installs: &[InstallRow]) -> Vec<Preset> {
        let current = self.current();
        let mut presets = Self::installed(installs);
        presets.retain(|preset| current.get(&preset.id).is_none());
        presets
    }
}

fn unusable(path: &Path, cause: &registry::RegistryError) -> Error {
    Error::invalid("PRESET_CONFIG_PATH", format!("{} cannot be used: {}", path.display(), with_causes(cause)))
}

fn warn_of_skipped(catalog: &Catalog) {
    for fault in catalog.skipped() {
        let (preset, field, reason) = (&fault.preset, &fault.field, &fault.reason);
        tracing::warn!(%preset, %field, %reason, "a preset of the registry was skipped");
    }
}

/// An error and the causes beneath it, as one sentence.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut sentence = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        sentence.push_str(": ");
        sentence.push_str(&cause.to_string());
        source = cause.source();
    }
    sentence
}
