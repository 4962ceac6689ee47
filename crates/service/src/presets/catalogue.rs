//! The registry that is in force, and the presets that it dropped but that are installed here.

use std::{path::Path, sync::Arc};

use arc_swap::ArcSwap;
use registry::{Catalog, Preset, PresetId};

use super::definition;
use crate::{Error, store::InstallRow};

/// The registry in force. Cheap to clone; readers never wait.
#[derive(Debug, Clone)]
pub struct Catalogue {
    current: Arc<ArcSwap<Catalog>>,
}

impl Catalogue {
    /// Begins with the operator's own document where one is named, else with the built-in one.
    pub(crate) fn load(preset_config: Option<&Path>) -> Result<Self, Error> {
        let catalog = match preset_config {
            None => registry::embedded(),
            Some(path) => Arc::new(registry::load(path).map_err(|cause| {
                Error::invalid(
                    "PRESET_CONFIG_PATH",
                    format!("{} cannot be used: {}", path.display(), with_causes(&cause)),
                )
            })?),
        };
        for fault in catalog.skipped() {
            tracing::warn!(preset = %fault.preset, field = %fault.field, reason = %fault.reason, "a preset of the registry was skipped");
        }
        Ok(Self { current: Arc::new(ArcSwap::new(catalog)) })
    }

    /// The registry in force at this moment.
    pub fn current(&self) -> Arc<Catalog> {
        self.current.load_full()
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

    /// Installed presets that the registry in force does not have.
    pub(crate) fn dropped(&self, installs: &[InstallRow]) -> Vec<Preset> {
        let current = self.current();
        installs
            .iter()
            .filter_map(|install| definition::from_json(&install.definition))
            .filter(|preset| current.get(&preset.id).is_none())
            .collect()
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
