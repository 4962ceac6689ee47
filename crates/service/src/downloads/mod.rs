//! Downloads as people see and steer them: the rows in the database, the engine's figures, and the engine's commands.
//!
//! It knows no presets. The engine's updates come in through `downloads::worker`, the only writer of the states they bring.

mod add;
pub(crate) mod address;
mod change;
mod figures;
mod jobs;
mod list;
mod repair;
pub(crate) mod staging;
mod state;
pub(crate) mod store;
mod view;
pub(crate) mod worker;

use std::sync::Arc;

use downloader::{BlockChecksums, CommandError, Downloader, Job};
use registry::ConfinedPath;

pub use add::{DownloadPreview, Found, NewDownload, Place};
pub use api_types::downloads::{
    DownloadAdded, DownloadFile, DownloadState, DownloadTurn, Failure, FileState, FoundIn, PauseReason, Priority,
};
pub use change::DownloadChange;
pub use figures::DownloadFigures;
pub use list::{DownloadList, DownloadQuery, DownloadSort, HistoryQuery};
pub use repair::RepairStarted;
pub use state::{Position, QueuePlace};
pub use view::DownloadView;

use crate::{
    Clock, Error,
    database::Store,
    downloads::store::{DownloadInsert, Existing, FileRow, Line, Step, StoredDownload},
    events::{Bus, Event},
    live::Live,
    models::ModelIndex,
    models::store::FileRecord,
    presets::Catalogue,
    system::space::Space,
    tasks::{blocking, uninterrupted},
};

/// Every download there is and was. Cheap to clone.
#[derive(Clone)]
pub struct Downloads {
    pub(crate) store: Store,
    pub(crate) engine: Downloader,
    pub(crate) live: Live,
    /// The registry in force, for what it says of files that are repaired.
    pub(crate) catalogue: Catalogue,
    pub(crate) index: ModelIndex,
    pub(crate) space: Space,
    pub(crate) bus: Bus,
    pub(crate) clock: Arc<dyn Clock>,
    /// Held from the look at the disk to the row in the database, so that two requests never plan the same file.
    pub(crate) planning: Arc<tokio::sync::Mutex<()>>,
    pub(crate) question_timeout: std::time::Duration,
    pub(crate) most_unfinished: usize,
    pub(crate) settling_time: std::time::Duration,
}

impl Downloads {
    /// One download as it stands. It has ended no sooner than its preset is installed for those who ask.
    pub async fn get(&self, id: &str) -> Result<DownloadView, Error> {
        if let Some(known) = self.store.ledger().await?.download(id) {
            return Ok(self.view(known));
        }
        let stored = self.stored(id).await?;
        Ok(self.view(&stored))
    }

    /// The story of a download, in order.
    pub async fn events(&self, id: &str) -> Result<Vec<DownloadTurn>, Error> {
        let story = self.store.story(id).await?;
        if story.is_empty() {
            self.stored(id).await?;
        }
        Ok(story)
    }

    /// Keeps a download, hands it to the engine, tells everybody. Nothing is kept that the engine does not take, also where
    /// nobody waits for the answer any more.
    pub(crate) async fn begin(&self, new: &DownloadInsert) -> Result<DownloadView, Error> {
        let (this, new) = (self.clone(), new.clone());
        uninterrupted(async move { this.keep_and_hand_over(new).await }).await
    }

    async fn keep_and_hand_over(&self, new: DownloadInsert) -> Result<DownloadView, Error> {
        let asked = format!("{} files were asked for", new.files.len());
        let mut stored = StoredDownload::from(new);
        // All that can be refused is refused before the row is written.
        let mut job = self.job(&stored).await?;
        let line = Line { kind: "queued", message: &asked };
        stored.row.position = self.store.insert_download(&stored, line).await?;
        job.position = stored.row.position;
        if let Err(cause) = self.engine.enqueue(job).await {
            self.store.remove_download(&stored.row.id).await?;
            return Err(Error::internal(cause));
        }
        let view = self.view(&stored);
        self.bus.publish(Event::DownloadQueued(Arc::new(view.clone())));
        Ok(view)
    }

    /// Takes up a download that a stop or a crash left unfinished. One that the engine does not take any more fails.
    pub(crate) async fn take_up(&self, mut stored: StoredDownload) -> Result<(), Error> {
        if let Err(cause) = jobs::job_of(&stored, &self.index) {
            let (id, message) = (&stored.row.id, format!("It cannot go on: {cause}"));
            tracing::error!(download = %id, error = ?cause, "an unfinished download cannot be taken up");
            let failure = Failure { code: "DOWNLOAD_FAILED".to_owned(), message, file: None, error: None };
            let line = Line { kind: "failed", message: &failure.message };
            let step = Step::to(DownloadState::Failed).because_of(&failure).told(line);
            return self.store.step(id, step, self.clock.now()).await;
        }
        if stored.row.state.is_active() {
            let line = Line { kind: "taken_up", message: "It goes on after a restart" };
            if let Err(cause) = self.store.tell(&stored.row.id, line, self.clock.now()).await {
                tracing::warn!(download = %stored.row.id, error = ?cause, "that it goes on could not be noted");
            }
            // Nothing was in its place when it began: what is there now is the file itself, put there just before the end.
            for file in stored.files.iter_mut().filter(|file| file.existing == Existing::Keep) {
                file.existing = Existing::Share;
            }
        }
        self.hand_over(&stored).await
    }

    /// Gives a stored download to the engine.
    pub(crate) async fn hand_over(&self, stored: &StoredDownload) -> Result<(), Error> {
        match self.engine.enqueue(self.job(stored).await?).await {
            Ok(()) => Ok(()),
            // Somebody who asked for the same at once was faster, or it was stopped when its row could not be written.
            Err(CommandError::AlreadyThere(id)) if stored.row.state.is_active() => {
                self.engine.resume(&id).await.map(|_| ()).map_err(Error::internal)
            }
            Err(CommandError::AlreadyThere(_)) => Ok(()),
            Err(cause) => Err(Error::internal(cause)),
        }
    }

    async fn job(&self, stored: &StoredDownload) -> Result<Job, Error> {
        let mut job = jobs::job_of(stored, &self.index)?;
        for (file, row) in job.files.iter_mut().zip(&stored.files) {
            file.salvage = self.salvage(row).await?;
        }
        Ok(job)
    }

    /// The checksums of the blocks that a file should have, where the content that is wanted is the one that arrived before.
    async fn salvage(&self, row: &FileRow) -> Result<Option<BlockChecksums>, Error> {
        if row.state == FileState::Completed
            || !row.pinned
            || !matches!(row.existing, Existing::Verify | Existing::Replace)
        {
            return Ok(None);
        }
        let record = self.store.file_record(&row.path).await?;
        let blocks =
            record.filter(|record| Some(&record.sha256) == row.sha256.as_ref()).and_then(|record| record.blocks);
        Ok(blocks.and_then(|(size, sums)| jobs::block_checksums(size, &sums)))
    }

    /// Takes files that have just arrived into the index, and looks into their heads.
    pub(crate) async fn take_in(&self, records: Vec<FileRecord>) -> Result<(), Error> {
        let paths: Vec<_> = records.iter().filter_map(|record| ConfinedPath::parse(&record.path).ok()).collect();
        if paths.is_empty() {
            return Ok(());
        }
        let index = self.index.clone();
        records.into_iter().for_each(|record| index.arrived(record));
        blocking(move || index.refresh(&paths)).await
    }

    pub(crate) async fn stored(&self, id: &str) -> Result<StoredDownload, Error> {
        self.store.download(id).await?.ok_or_else(|| Error::no_download(id))
    }

    /// The row and the live figures as one value.
    pub(crate) fn view(&self, stored: &StoredDownload) -> DownloadView {
        view::assemble(stored, self.live.get(&stored.row.id).as_ref())
    }
}
