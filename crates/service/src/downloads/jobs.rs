//! A stored download in the engine's words.

use downloader::{BlockChecksums, Destination, FileJob, Job, JobId, LARGEST_FILE, Sha256Digest, SourceUrl};

use super::{DownloadState, FileState, Priority, staging::arrival_path};
use crate::{
    Error,
    downloads::store::{Existing, FileRow, StoredDownload},
    models::ModelIndex,
};

/// The job that does a stored download: its files in order, those that are whole already marked as done.
pub(super) fn job_of(stored: &StoredDownload, index: &ModelIndex) -> Result<Job, Error> {
    let files = stored.files.iter().map(|file| file_job(&stored.row.id, file, index)).collect::<Result<_, _>>()?;
    Ok(Job {
        id: JobId::new(stored.row.id.as_str()),
        files,
        priority: engine_priority(stored.row.priority),
        position: stored.row.position,
        rate_limit: stored.row.rate_limit,
        paused: stored.row.state == DownloadState::Paused,
    })
}

/// The engine's word for a priority.
pub(super) fn engine_priority(priority: Priority) -> downloader::Priority {
    match priority {
        Priority::Low => downloader::Priority::Low,
        Priority::Normal => downloader::Priority::Normal,
        Priority::High => downloader::Priority::High,
    }
}

/// What the engine is asked to do about a file. A row that it would not take is refused here.
pub(super) fn file_job(download: &str, row: &FileRow, index: &ModelIndex) -> Result<FileJob, Error> {
    let root = index.folder().root();
    let destination = Destination::new(root, &arrival_path(download, row))
        .map_err(|refused| Error::invalid("path", refused.to_string()))?;
    let source = |url: &String| SourceUrl::parse(url).map_err(|refused| Error::invalid("url", refused.to_string()));
    let sources = row.sources.iter().map(source).collect::<Result<_, _>>()?;
    refuse_size(row.size_bytes)?;
    let copies = match &row.sha256 {
        Some(sha256) => index.copies_of(sha256).into_iter().filter(|path| *path != row.path).collect(),
        None => Vec::new(),
    };
    Ok(FileJob {
        sha256: row
            .sha256
            .as_deref()
            .filter(|_| row.pinned)
            .map(Sha256Digest::parse)
            .transpose()
            .map_err(Error::internal)?,
        size: row.size_bytes.filter(|_| row.pinned),
        existing: match row.existing {
            Existing::Keep => downloader::Existing::Keep,
            Existing::Share => downloader::Existing::Share,
            Existing::Verify | Existing::Replace => downloader::Existing::Replace,
        },
        local_copies: copies.into_iter().map(|path| root.join(path)).collect(),
        done: row.state == FileState::Completed,
        done_bytes: row.size_bytes.unwrap_or(0),
        ..FileJob::new(destination, sources)
    })
}

/// Refuses a size that no file has.
pub(super) fn refuse_size(size_bytes: Option<u64>) -> Result<(), Error> {
    match size_bytes {
        Some(size) if size > LARGEST_FILE => {
            Err(Error::invalid("size_bytes", format!("files of more than {LARGEST_FILE} bytes are not taken")))
        }
        _ => Ok(()),
    }
}

/// Block checksums as the database keeps them, in the engine's words.
pub(super) fn block_checksums(block_bytes: u64, sums: &[u8]) -> Option<BlockChecksums> {
    let crc32 =
        sums.chunks_exact(4).map(|sum| sum.try_into().map(u32::from_le_bytes)).collect::<Result<_, _>>().ok()?;
    Some(BlockChecksums { block_size: u32::try_from(block_bytes).ok()?, crc32 })
}
