//! How much room there is for downloads: free space, less the reserve, less what is promised to others.

use std::collections::HashMap;

use crate::{
    Error,
    downloads::store::{Existing, FileRow, StoredDownload},
    downloads::{FileState, staging::arrival_path},
    model_dir::ModelDir,
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
    /// less the reserve and what the `others` still need. A file that another download is bringing to the same place and
    /// that is shared with it is written once, so it counts once.
    pub(crate) async fn check(&self, wanted: &[FileRow], others: &[StoredDownload]) -> Result<(), Error> {
        let (this, wanted, others) = (self.clone(), wanted.to_vec(), others.to_vec());
        let (needed_bytes, available_bytes) = blocking(move || this.balance(&wanted, &others)).await??;
        if needed_bytes > available_bytes {
            return Err(Error::InsufficientStorage { needed_bytes, available_bytes });
        }
        Ok(())
    }

    /// Bytes that may be written: free space less the reserve and what the `others` still need.
    pub(crate) async fn available(&self, others: &[StoredDownload]) -> Result<u64, Error> {
        let (this, others) = (self.clone(), others.to_vec());
        blocking(move || this.balance(&[], &others)).await?.map(|(_, available)| available)
    }

    /// What `wanted` needs beyond what the `others` write anyway, and what is available beside them. Blocks.
    fn balance(&self, wanted: &[FileRow], others: &[StoredDownload]) -> Result<(u64, u64), Error> {
        let mut reserved: HashMap<String, u64> = HashMap::new();
        for stored in others {
            for file in &stored.files {
                let place = arrival_path(&stored.row.id, file);
                let bytes = self.bytes_lacking(file, &place);
                let most = reserved.entry(place).or_default();
                *most = bytes.max(*most);
            }
        }
        let needed = |file: &FileRow| {
            // What is staged waits in a folder of its own download, which does not exist yet.
            let place = if file.staged { None } else { Some(file.path.as_str()) };
            let bytes = place.map_or(file.size_bytes.unwrap_or(0), |place| self.bytes_lacking(file, place));
            let is_shared = matches!(file.existing, Existing::Share | Existing::Keep);
            let written_anyway = place.filter(|_| is_shared).and_then(|place| reserved.get(place)).copied();
            bytes.saturating_sub(written_anyway.unwrap_or(0))
        };
        let needed = wanted.iter().map(needed).sum();
        let free = self.folder.free_bytes().map_err(Error::internal)?;
        Ok((needed, free.saturating_sub(self.reserve).saturating_sub(reserved.values().sum())))
    }

    /// Bytes that a file of a download still lacks at `place`, as far as its exact size is known. A file that is only
    /// hashed lacks none: a `.part` beside it says that its hash was wrong and it is being fetched.
    fn bytes_lacking(&self, file: &FileRow, place: &str) -> u64 {
        let (FileState::Pending | FileState::Failed, Some(size), Ok(path)) =
            (file.state, file.size_bytes, ConfinedPath::parse(place))
        else {
            return 0;
        };
        let allocated = self.folder.part_allocated(&path);
        let is_only_hashed = file.existing == Existing::Verify && allocated == 0;
        if is_only_hashed { 0 } else { size.saturating_sub(allocated) }
    }
}
