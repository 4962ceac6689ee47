//! What the engine cannot compute by itself: the disk, the network, threads for what blocks, and chance. Everything else
//! in this crate follows from these and the (tokio) clock, so that a simulation that stands in for them can repeat any run.

use std::sync::Arc;

use reqwest::{Request, Response};
use tokio::task::JoinHandle;

use crate::http::classify::{self, OpenError};
use crate::http::client;
use crate::http::source::host_of;
use crate::storage::fs::Disk;
use crate::storage::unix::UnixDisk;
use crate::{Settings, StartError};
#[cfg(test)]
use crate::{engine::tests::panics, simulation};

/// Where an engine runs.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) network: Network,
    pub(crate) threads: Threads,
    /// From which every chance follows.
    pub(crate) seed: u64,
}

impl World {
    /// This machine.
    pub(crate) fn real(settings: &Settings) -> Result<Self, StartError> {
        let network = Network::Http(client::build(settings).map_err(StartError::Client)?);
        Ok(Self { disk: Arc::new(UnixDisk::default()), network, threads: Threads::Pool, seed: rand::random() })
    }
}

/// Who carries requests.
#[derive(Debug)]
pub(crate) enum Network {
    Http(reqwest::Client),
    #[cfg(test)]
    Simulated(Arc<simulation::Internet>),
}

impl Network {
    /// Sends one request and waits for the head of its answer. Follows no redirects, retries nothing.
    pub(crate) async fn send(&self, request: Request) -> Result<Response, OpenError> {
        match self {
            Self::Http(client) => {
                let host = host_of(request.url());
                client.execute(request).await.map_err(|error| classify::of_network(&error, host))
            }
            #[cfg(test)]
            Self::Simulated(internet) => internet.send(request).await,
        }
    }
}

/// Who does what blocks.
#[derive(Debug, Clone)]
pub(crate) enum Threads {
    /// The threads that tokio keeps for it.
    Pool,
    #[cfg(test)]
    Simulated(Arc<simulation::Delays>),
    #[cfg(test)]
    Dying(Arc<panics::Deaths>),
}

impl Threads {
    /// Does the work elsewhere. It is done even if nobody waits for it.
    #[cfg_attr(test, track_caller)]
    pub(crate) fn spawn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        match self {
            Self::Pool => tokio::task::spawn_blocking(work),
            #[cfg(test)]
            Self::Simulated(delays) => delays.spawn(work),
            #[cfg(test)]
            Self::Dying(deaths) => deaths.spawn(std::panic::Location::caller(), work),
        }
    }
}
