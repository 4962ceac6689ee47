//! Model files as people see them: what lies in the models folder, by type, and how it is removed.

mod delete;
mod detail;
pub(crate) mod extra;
mod index;
mod integrity;
mod list;
mod marker;
mod names;
mod owners;
pub(crate) mod rescan;
mod sidecars;
pub(crate) mod store;
mod validation;
mod view;
pub(crate) mod watch;

pub use api_types::models::{Integrity, IntegrityState, Safety, Sidecar};
pub use detail::{ModelDetail, ModelFormat, ModelHeader, PickleVerdict};
pub use extra::ExtraModelPaths;
pub(crate) use index::{ModelIndex, Remembered, folder_of};
pub(crate) use validation::FILES_AT_ONCE;
pub use validation::{Finding, FindingCode, ValidateOptions, ValidationReport};
pub use view::{ModelList, ModelQuery, ModelSort, ModelType, ModelView, ModelsDeleted, NotDeleted, Rescanned};

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::Semaphore;

use crate::{Clock, Error, database::Store, jobs::Jobs, presets::Catalogue, tasks::blocking};

/// Every model file there is. Cheap to clone.
#[derive(Clone)]
pub struct Models {
    pub(crate) index: ModelIndex,
    pub(crate) catalogue: Catalogue,
    pub(crate) store: Store,
    pub(crate) clock: Arc<dyn Clock>,
    /// Whether files of other folders may be deleted.
    pub(crate) may_delete_extra: bool,
    /// Held while a file is judged and removed, so that nobody begins to use it meanwhile.
    pub(crate) planning: Arc<tokio::sync::Mutex<()>>,
    /// Whose turn it is to read files whole.
    pub(crate) reading: Arc<Semaphore>,
    /// Whose turn it is to look into the head of a file.
    pub(crate) inspecting: Arc<Semaphore>,
    /// Held by the scan that runs; what the last one found.
    pub(crate) scanning: Arc<tokio::sync::Mutex<LastScan>>,
    /// How often a scan was asked for.
    pub(crate) scans_asked: Arc<AtomicU64>,
    /// The jobs that validations run as.
    pub(crate) jobs: Jobs,
}

/// What the last scan found, and how many had been asked for when it began.
#[derive(Debug, Default)]
pub(crate) struct LastScan {
    covers: u64,
    found: Option<Rescanned>,
}

impl Models {
    /// Looks at the whole models folder now. One scan runs at a time: those who ask while one runs share the next.
    pub async fn rescan(&self) -> Result<Rescanned, Error> {
        let mine = self.scans_asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut last = Arc::clone(&self.scanning).lock_owned().await;
        if let Some(found) = last.found.filter(|_| last.covers >= mine) {
            return Ok(found);
        }
        let this = self.clone();
        // The scan holds its place until it ends, though nobody may wait for it any more.
        blocking(move || {
            last.covers = this.scans_asked.load(Ordering::SeqCst);
            let found = this.look_at_everything();
            last.found = Some(found);
            found
        })
        .await
    }

    /// Scans the folder, then looks into the files that presets claim. Blocks.
    fn look_at_everything(&self) -> Rescanned {
        let catalog = self.catalogue.current();
        let claimed = || catalog.iter().flat_map(|preset| &preset.files).map(|file| &file.path);
        let found = self.index.rescan(claimed());
        self.index.refresh(claimed());
        self.index.complete();
        found
    }
}
