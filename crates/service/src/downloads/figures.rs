//! Downloads as numbers, for those who measure.

use super::{DownloadState, Downloads};
use crate::Error;

/// Downloads as numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DownloadFigures {
    /// How many are and were in each state.
    pub by_state: Vec<(DownloadState, u64)>,
    /// Files that arrived whole since the start.
    pub files: u64,
    /// Bytes that crossed the network for them since the start, repeated ones included.
    pub wire_bytes: u64,
    /// What all downloads together receive at present.
    pub bytes_per_second: u64,
}

impl Downloads {
    /// The present figures.
    pub async fn figures(&self) -> Result<DownloadFigures, Error> {
        let by_state = self.store.downloads_by_state().await?;
        let (files, wire_bytes) = self.live.arrivals();
        let bytes_per_second = self.live.bytes_per_second().unwrap_or(0);
        Ok(DownloadFigures { by_state, files, wire_bytes, bytes_per_second })
    }
}
