//! A look at the disk is shared: who asks within a second of one is answered from it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use registry::{ConfinedPath, PresetId};

use super::Presets;
use crate::{Error, tasks::blocking};

/// How old a look may be.
const OLDEST: SignedDuration = SignedDuration::from_secs(1);

/// The last look at the files of each preset. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Looks {
    by_preset: Arc<Mutex<HashMap<PresetId, LastLook>>>,
}

/// When a look began and what it was at; locked while somebody looks.
type LastLook = Arc<tokio::sync::Mutex<Option<(Timestamp, Vec<ConfinedPath>)>>>;

impl Looks {
    fn of(&self, preset: &PresetId) -> LastLook {
        let mut looks = self.by_preset.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(looks.entry(preset.clone()).or_default())
    }
}

impl Presets {
    /// Until when the last look at the files of a preset may be answered from; `None` where nobody looked or somebody looks now.
    pub fn look_lasts_until(&self, preset: &PresetId) -> Option<Timestamp> {
        let look = Arc::clone(self.looks.by_preset.lock().unwrap_or_else(PoisonError::into_inner).get(preset)?);
        let last = look.try_lock().ok()?;
        last.as_ref().and_then(|(at, _)| at.checked_add(OLDEST).ok())
    }

    /// Looks at a preset's files on the disk, unless somebody did within the last second.
    pub(super) async fn look_soon(&self, preset: &PresetId, paths: Vec<ConfinedPath>) -> Result<(), Error> {
        let look = self.looks.of(preset);
        let mut last = look.lock().await;
        let now = self.downloads.clock.now();
        let is_recent = |at: Timestamp| at <= now && now.duration_since(at) < OLDEST;
        if last.as_ref().is_some_and(|(at, seen)| is_recent(*at) && *seen == paths) {
            return Ok(());
        }
        self.look_at(&paths).await?;
        *last = Some((now, paths));
        Ok(())
    }

    /// Looks at files on the disk.
    pub(crate) async fn look_at(&self, paths: &[ConfinedPath]) -> Result<(), Error> {
        let (index, paths) = (self.index.clone(), paths.to_vec());
        blocking(move || index.refresh(&paths)).await
    }
}
