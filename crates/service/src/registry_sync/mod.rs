//! Keeps the registry in force fresh: fetches it when asked and from time to time, and says how old it is.

pub(crate) mod worker;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use registry::{Client, ClientSettings, Fault, Fetched};

use crate::{
    Clock, Error, Settings,
    presets::{Catalogue, RegistryOrigin, with_causes},
};

/// How long one fetch may take, all files of an index included.
const TIME_LIMIT: std::time::Duration = std::time::Duration::from_secs(60);

/// The registry in force and the way to a newer one. Cheap to clone.
#[derive(Clone)]
pub struct RegistrySync {
    catalogue: Catalogue,
    client: Arc<Client>,
    source: String,
    clock: Arc<dyn Clock>,
    last_success: Arc<Mutex<Option<Timestamp>>>,
}

/// What a sync did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Synced {
    /// When.
    pub at: Timestamp,
    /// Whether another registry came than the one that was in force.
    pub changed: bool,
    /// How many presets are in force now.
    pub presets: usize,
    /// Where it was asked.
    pub source: String,
}

/// The registry in force.
#[derive(Debug, Clone)]
pub struct RegistryStatus {
    /// Its own version.
    pub version: Option<String>,
    /// When it was made.
    pub generated_at: Option<Timestamp>,
    /// How many presets it has.
    pub total_presets: usize,
    /// Its categories and how many presets each has, in its order.
    pub categories: Vec<(String, usize)>,
    /// When it was last asked for with success, by this or an earlier run.
    pub last_sync: Option<Timestamp>,
    /// Where the one in force comes from.
    pub origin: RegistryOrigin,
    /// Where a newer one would come from.
    pub source: String,
    /// Presets that were left out, and why.
    pub skipped: Vec<Fault>,
}

impl RegistrySync {
    /// Puts the copy that an earlier run kept in force. Blocks: reads a file.
    pub(crate) fn open(settings: &Settings, catalogue: Catalogue, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let source = settings.registry_url.clone();
        let url = source.parse().map_err(|cause| {
            Error::invalid("REGISTRY_URL", format!("{source:?} is no URL ({cause}); give an http or https address"))
        })?;
        let guarded = downloader::GuardedHttp::new(&settings.downloader);
        let http = registry::HttpClient::new(move |address| guarded.client_for(address));
        let client = ClientSettings { url, last_good: settings.registry_copy.clone(), http, time_limit: TIME_LIMIT };
        let (client, copy) = Client::open(client);
        let last_success = copy.as_ref().map(|copy| copy.fetched_at);
        if let Some(copy) = copy {
            catalogue.replace(copy.catalog, copy.fetched_at);
        }
        let last_success = Arc::new(Mutex::new(last_success));
        Ok(Self { catalogue, client: Arc::new(client), source, clock, last_success })
    }

    /// Asks for the registry now. One that cannot be read leaves the present one in force.
    pub async fn sync(&self) -> Result<Synced, Error> {
        let at = self.clock.now();
        let fetched = self.client.fetch(at).await.map_err(|cause| self.unavailable(&cause))?;
        let changed = matches!(fetched, Fetched::New(_));
        if let Fetched::New(catalog) = fetched {
            self.catalogue.replace(catalog, at);
        }
        *self.last_success.lock().unwrap_or_else(PoisonError::into_inner) = Some(at);
        let presets = self.catalogue.current().len();
        tracing::info!(changed, presets, "the registry was synced");
        Ok(Synced { at, changed, presets, source: self.source.clone() })
    }

    /// The registry in force, as it is.
    pub fn status(&self) -> RegistryStatus {
        let in_force = self.catalogue.in_force();
        let catalog = &in_force.catalog;
        RegistryStatus {
            version: catalog.version().map(str::to_owned),
            generated_at: catalog.generated_at(),
            total_presets: catalog.len(),
            categories: catalog.categories().into_iter().map(|category| (category.name, category.count)).collect(),
            last_sync: *self.last_success.lock().unwrap_or_else(PoisonError::into_inner),
            origin: in_force.origin,
            source: self.source.clone(),
            skipped: catalog.skipped().to_vec(),
        }
    }

    fn unavailable(&self, cause: &registry::RegistryError) -> Error {
        let age = self.catalogue.in_force().fetched_at.map(|at| self.clock.now().duration_since(at).as_secs());
        Error::RegistryUnavailable {
            source_url: self.source.clone(),
            cause: with_causes(cause),
            age_seconds: age.and_then(|age| u64::try_from(age).ok()),
        }
    }
}
