//! Model files as people see them: what lies in the models folder, by type, and how it is removed.

mod delete;
mod detail;
pub(crate) mod extra;
mod index;
mod list;
mod validation;
mod view;

pub use detail::{ModelDetail, ModelFormat, ModelHeader, PickleVerdict};
pub use extra::ExtraModelPaths;
pub(crate) use index::{ModelIndex, Remembered, folder_of};
pub(crate) use validation::FILES_AT_ONCE;
pub use validation::{Finding, FindingCode, ValidateOptions, ValidationReport};
pub use view::{ModelList, ModelQuery, ModelSort, ModelType, ModelView, ModelsDeleted, NotDeleted, Rescanned};

use std::sync::Arc;

use tokio::sync::{Semaphore, watch};

use crate::{Clock, Error, presets::Catalogue, store::Store, tasks::blocking};

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
    /// Turns true when the whole folder has been looked at once.
    pub(crate) scanned: watch::Sender<bool>,
}

impl Models {
    /// Looks at the whole models folder now.
    pub async fn rescan(&self) -> Result<Rescanned, Error> {
        let this = self.clone();
        blocking(move || this.look_at_everything()).await
    }

    /// Scans the folder, then looks into the files that presets claim. Blocks.
    pub(crate) fn look_at_everything(&self) -> Rescanned {
        let found = self.index.rescan();
        let catalog = self.catalogue.current();
        let claimed = catalog.iter().flat_map(|preset| &preset.files).map(|file| &file.path);
        self.index.refresh(claimed);
        self.scanned.send_replace(true);
        found
    }

    /// Waits until the folder has been looked at once.
    pub(crate) async fn first_look(&self) {
        let _ = self.scanned.subscribe().wait_for(|scanned| *scanned).await;
    }
}
