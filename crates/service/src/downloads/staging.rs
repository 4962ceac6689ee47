//! Files of an update wait beside the models until all are whole, and then take their places together.
//!
//! A staged file lies under `.updates/<download>/<path>` in the models folder: the same file system, hidden from scans.
//! A crash between two of the renames is mended by the next start: the download is not completed yet, so its end is
//! played again, and what has moved already is left alone.

use registry::ConfinedPath;

use super::{DownloadState, Downloads};
use crate::{
    Error,
    downloads::store::{FileRow, StoredDownload},
    tasks::blocking,
};

/// The folder of all staged files.
const FOLDER: &str = ".updates";

/// Where the engine puts a file: its own place, or the one where it waits.
pub(crate) fn arrival_path(download: &str, file: &FileRow) -> String {
    if file.staged { format!("{FOLDER}/{download}/{}", file.path) } else { file.path.clone() }
}

/// A whole file that could not take its place; it waits where it is.
pub(crate) struct NotPromoted {
    pub(crate) path: String,
    pub(crate) cause: std::io::Error,
}

impl Downloads {
    /// Puts every staged file of a download into its place, up to the first that cannot take it.
    pub(crate) async fn promote(&self, stored: &StoredDownload) -> Result<Option<NotPromoted>, Error> {
        for file in stored.files.iter().filter(|file| file.staged) {
            let (Ok(from), Ok(to)) =
                (ConfinedPath::parse(&arrival_path(&stored.row.id, file)), ConfinedPath::parse(&file.path))
            else {
                continue;
            };
            let record = self.store.file_record(from.as_str()).await?;
            let (folder, target) = (self.index.folder().clone(), to.clone());
            let moved = match blocking(move || folder.promote(&from, &target)).await? {
                Ok(moved) => moved,
                Err(cause) => return Ok(Some(NotPromoted { path: file.path.clone(), cause })),
            };
            let Some(mut record) = record else { continue };
            // A crash may have lain between an earlier move and what follows from it: then the very file is there already.
            let (folder, target) = (self.index.folder().clone(), to.clone());
            if moved || blocking(move || folder.stamp(&target)).await? == Some(record.stamp) {
                // The record beside the staged file goes last, with all of them: the next start needs it after a crash.
                record.path = to.as_str().to_owned();
                self.store.save_file_record(&record).await?;
                self.take_in(vec![record]).await?;
            }
        }
        self.clear_staging(&stored.row.id).await.map(|()| None)
    }

    /// Removes what is left of a download's staged files. What the disk does not let go of is tried again at the next
    /// start: nothing else has to wait for that.
    pub(crate) async fn clear_staging(&self, download: &str) -> Result<(), Error> {
        let (folder, name) = (self.index.folder().clone(), format!("{FOLDER}/{download}"));
        let Ok(path) = ConfinedPath::parse(&name) else { return Ok(()) };
        self.store.forget_files_below(&name).await?;
        if let Err(error) = blocking(move || folder.remove_folder(&path, FOLDER)).await? {
            tracing::warn!(folder = %name, %error, "staged files could not be removed");
        }
        Ok(())
    }

    /// Ends of downloads that a crash cut short: staged files whose download is no longer unfinished.
    pub(crate) async fn clear_abandoned_staging(&self) -> Result<(), Error> {
        let folder = self.index.folder().clone();
        for download in blocking(move || folder.names_in(FOLDER)).await? {
            let state = self.store.download(&download).await?.map(|stored| stored.row.state);
            if state.is_none_or(|state| !state.is_unfinished() && state != DownloadState::Failed) {
                self.clear_staging(&download).await?;
            }
        }
        Ok(())
    }
}
