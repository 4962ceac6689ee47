//! How much room there is for downloads: free space, less the reserve, less what is promised to others.

use crate::{
    Error,
    downloads::FileState,
    model_dir::ModelDir,
    store::{FileRow, StoredDownload},
    tasks::blocking,
};
use registry::ConfinedPath;

/// Measures room on the file system of the models folder. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Space {
    folder: ModelDir,
    reserve: u64,
}

impl Space {
    /// Room in `folder`, of which `reserve` bytes stay free.
    pub(crate) fn new(folder: ModelDir, reserve: u64) -> Self {
        Self { folder, reserve }
    }

    /// Refuses what does not fit: the bytes that `wanted` still lacks, counted by exact sizes only, against free space
    /// less the reserve and what the `others` still need.
    pub(crate) async fn check(&self, wanted: &[FileRow], others: &[StoredDownload]) -> Result<(), Error> {
        let available_bytes = self.available(others).await?;
        let (this, wanted) = (self.clone(), wanted.to_vec());
        let needed_bytes = blocking(move || this.bytes_lacking(&wanted)).await?;
        if needed_bytes > available_bytes {
            return Err(Error::InsufficientStorage { needed_bytes, available_bytes });
        }
        Ok(())
    }

    /// Bytes that may be written: free space less the reserve and what the `others` still need.
    pub(crate) async fn available(&self, others: &[StoredDownload]) -> Result<u64, Error> {
        let this = self.clone();
        let others: Vec<FileRow> = others.iter().flat_map(|other| other.files.clone()).collect();
        blocking(move || {
            let free = this.folder.free_bytes().map_err(Error::internal)?;
            Ok(free.saturating_sub(this.reserve).saturating_sub(this.bytes_lacking(&others)))
        })
        .await?
    }

    fn bytes_lacking(&self, files: &[FileRow]) -> u64 {
        let lacking = |file: &FileRow| {
            let path = ConfinedPath::parse(&file.path).ok()?;
            Some(file.size_bytes?.saturating_sub(self.folder.part_allocated(&path)))
        };
        files.iter().filter(|file| file.state != FileState::Completed).filter_map(lacking).sum()
    }
}
