//! What all transfers of an engine share.

use std::sync::{Arc, Mutex, PoisonError};

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio::sync::Semaphore;

use crate::Settings;
use crate::geometry::Geometry;
use crate::http::source::Web;
use crate::storage::direct_buffers;
use crate::storage::disk_budget::DiskBudget;
use crate::storage::fs::Disk;
use crate::threads::Threads;
use crate::transfer::path_locks::Destinations;
use crate::transfer::rate_limit::Bandwidth;
use crate::transfer::world::World;

#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) settings: Settings,
    pub(crate) web: Arc<Web>,
    pub(crate) space: Arc<DiskBudget>,
    pub(crate) bandwidth: Arc<Bandwidth>,
    pub(crate) destinations: Destinations,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) threads: Threads,
    pub(crate) geometry: Geometry,
    /// For the files that have block buffers at present.
    pub(crate) block_buffers: Arc<Semaphore>,
    chance: Mutex<SmallRng>,
}

impl Engine {
    pub(crate) fn new(settings: Settings, world: World) -> Self {
        Self {
            web: Arc::new(Web::new(&settings, world.network)),
            space: Arc::new(DiskBudget::new(settings.min_free_space)),
            bandwidth: Arc::new(Bandwidth::new(settings.rate_limit)),
            destinations: Destinations::default(),
            disk: world.disk,
            threads: world.threads,
            geometry: world.geometry,
            block_buffers: direct_buffers::passes(),
            chance: Mutex::new(SmallRng::seed_from_u64(world.seed)),
            settings,
        }
    }

    /// A number from 0 up to, not including, 1.
    pub(crate) fn chance(&self) -> f64 {
        self.chance.lock().unwrap_or_else(PoisonError::into_inner).random()
    }
}
