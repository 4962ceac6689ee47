//! What the engine cannot compute by itself: the disk, the network, threads for what blocks, and chance. Everything else
//! in this crate follows from these and the (tokio) clock, so that a simulation that stands in for them can repeat any run.

use std::sync::Arc;

use crate::geometry::Geometry;
use crate::http::client;
use crate::http::network::Network;
use crate::storage::fs::Disk;
use crate::storage::unix::UnixDisk;
use crate::threads::Threads;
use crate::{Settings, StartError};

/// Where an engine runs.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) network: Arc<dyn Network>,
    pub(crate) threads: Threads,
    pub(crate) geometry: Geometry,
    /// From which every chance follows.
    pub(crate) seed: u64,
}

impl World {
    /// This machine.
    pub(crate) fn real(settings: &Settings) -> Result<Self, StartError> {
        let network = Arc::new(client::build(settings).map_err(StartError::Client)?);
        Ok(Self {
            disk: Arc::new(UnixDisk::default()),
            network,
            threads: Threads::pool(),
            geometry: Geometry::PRODUCTION,
            seed: rand::random(),
        })
    }
}
