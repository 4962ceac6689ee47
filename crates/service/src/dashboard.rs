//! The facade: the bundle of what the service can do, and how it is put together. No method here sees all state.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use downloader::Downloader;
use jiff::Timestamp;
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    Clock, DatabasePlace, Error, MayReplace, Settings, Supervisor,
    access::{Access, SourceTokens},
    comfy::Comfy,
    database::{Store, lease::DatabaseLock},
    downloads::{self, Downloads},
    events::Bus,
    jobs::Jobs,
    live::Live,
    logs::Logs,
    model_dir::ModelDir,
    models::{self, ModelIndex, Models, Remembered},
    outputs::Outputs,
    presets::{Catalogue, InstallOptions, Presets},
    prompts::{self, Prompts},
    registry_sync::{self, RegistrySync},
    retention,
    system::{self, Sources, System, readiness::Readiness, space::Space, storage::Storage},
    tasks,
    workflows::{UserFolder, Workflows},
};

/// Everything that can be asked of the service. Cheap to clone.
#[derive(Clone)]
pub struct Dashboard {
    /// Presets: list, install, uninstall.
    pub presets: Presets,
    /// Downloads: list, add, steer.
    pub downloads: Downloads,
    /// Model files: list, delete.
    pub models: Models,
    /// The registry in force.
    pub catalogue: Catalogue,
    /// The way to a newer registry.
    pub registry: RegistrySync,
    /// What fills the disk.
    pub storage: Storage,
    /// The machine.
    pub system: System,
    /// The ComfyUI of this machine.
    pub comfy: Comfy,
    /// Workflows: templates, those that people save, and what each needs.
    pub workflows: Workflows,
    /// The queue of prompts, and what became of each.
    pub prompts: Prompts,
    /// The files that ComfyUI made.
    pub outputs: Outputs,
    /// The last lines of the log, ours and ComfyUI's.
    pub logs: Logs,
    /// Who may come in.
    pub access: Access,
    /// Tokens for the hosts that models come from.
    pub source_tokens: SourceTokens,
    /// Background jobs.
    pub jobs: Jobs,
    /// What happens, for those who watch.
    pub bus: Bus,
    store: Store,
    readiness: Readiness,
    clock: Arc<dyn Clock>,
    started_at: Timestamp,
    /// For the uptime, which no change of the wall clock moves.
    started: Instant,
}

impl Dashboard {
    /// Opens the database and the models folder, takes up the unfinished downloads where they stood, and starts what
    /// runs by itself.
    pub async fn start(settings: Settings, clock: impl Clock) -> Result<(Self, Supervisor), Error> {
        let (engine, updates, engine_runs) = Downloader::new(settings.downloader.clone()).map_err(Error::internal)?;
        let (stop, background) = (CancellationToken::new(), TaskTracker::new());
        let jobs = |bus: Bus, clock| Jobs::new(bus, clock, background.clone(), stop.clone());
        let clock: Arc<dyn Clock> = Arc::new(clock);
        let (database, clock_of_lease) = (settings.database.0.clone(), Arc::clone(&clock));
        let lease = tasks::blocking(move || DatabaseLock::take(&database, clock_of_lease.as_ref())).await??;
        let settings = Settings { database: DatabasePlace(lease.database.clone()), ..settings };
        let dashboard = Self::assemble(&settings, Arc::clone(&clock), engine.clone(), jobs).await?;
        let mut supervisor = Supervisor::new(engine, dashboard.store.clone(), stop.clone(), background);
        supervisor.spawn("lease", lease.keep(clock, stop.clone()));
        supervisor.hold(lease);
        let engine_runs = async {
            engine_runs.await;
            Ok(())
        };
        let (downloads, catalogue) = (dashboard.downloads.clone(), dashboard.catalogue.clone());
        let interval = settings.registry_sync_interval;
        supervisor.spawn("download engine", engine_runs);
        supervisor.spawn("transfers", downloads::worker::run(downloads, catalogue, updates, stop.clone()));
        supervisor
            .spawn("rescan", models::rescan::run(dashboard.models.clone(), settings.rescan_interval, stop.clone()));
        let (store, kept) = (dashboard.store.clone(), settings.history_retention);
        supervisor.spawn("retention", retention::run(store, Arc::clone(&dashboard.clock), kept, stop.clone()));
        supervisor.spawn("watch", models::watch::run(dashboard.models.clone(), stop.clone()));
        supervisor.spawn("shell token", dashboard.access.clone().remove_shell_token_after(stop.clone()));
        supervisor.spawn("uses of credentials", dashboard.access.clone().write_uses_until(stop.clone()));
        supervisor
            .spawn("registry sync", registry_sync::worker::run(dashboard.registry.clone(), interval, stop.clone()));
        supervisor.spawn("readiness", dashboard.readiness.clone().renew(dashboard.store.clone(), stop.clone()));
        dashboard.talk_with_comfy(&mut supervisor, &stop).await?;
        supervisor.spawn("sampler", system::sampler::run(dashboard.sampler(&settings), stop));
        dashboard.take_up_unfinished().await?;
        supervisor.spawn_once(dashboard.clone().install_at_start(settings));
        Ok((dashboard, supervisor))
    }

    async fn assemble(
        settings: &Settings,
        clock: Arc<dyn Clock>,
        engine: Downloader,
        jobs: impl FnOnce(Bus, Arc<dyn Clock>) -> Jobs,
    ) -> Result<Self, Error> {
        let store = Store::open(&settings.database.0).await?;
        let catalogue = Catalogue::load(settings.preset_config.as_deref())?;
        let registry = RegistrySync::open(settings, catalogue.clone(), Arc::clone(&clock))?;
        let index = index_over(settings, &store).await?;
        let access = Access::start(store.clone(), Arc::clone(&clock), settings).await?;
        let source_tokens = SourceTokens::start(settings, engine.clone(), Arc::clone(&clock));
        let downloads =
            downloads_over(settings, engine, store.clone(), catalogue.clone(), index.clone(), Arc::clone(&clock));
        let presets = Presets::new(catalogue.clone(), index.clone(), downloads.clone());
        let (bus, started_at) = (downloads.bus.clone(), clock.now());
        let jobs = jobs(bus.clone(), Arc::clone(&clock));
        let models = models_over(settings, &downloads, jobs.clone());
        let (system, comfy) = (System::new(), Comfy::new(&settings.comfy)?);
        let logs = Logs::new(settings.logs.clone(), comfy.clone());
        let folder = workflow_folder(settings).await?;
        let workflows = Workflows::new(folder, comfy.clone(), presets.clone(), system.clone());
        let prompts = Prompts::new(store.clone(), comfy.clone(), workflows.clone(), bus.clone(), Arc::clone(&clock));
        let storage = Storage {
            workspace: settings.workspace.clone(),
            models: models.clone(),
            presets: presets.clone(),
            system: system.clone(),
        };
        Ok(Self {
            presets,
            downloads,
            models,
            catalogue,
            registry,
            storage,
            system,
            outputs: Outputs::new(comfy.clone(), store.clone()),
            comfy,
            workflows,
            prompts,
            logs,
            access,
            source_tokens,
            jobs,
            bus,
            store,
            readiness: Readiness::new(),
            clock,
            started_at,
            started: Instant::now(),
        })
    }

    /// Looks after ComfyUI, listens to it, and brings prompts there and back.
    async fn talk_with_comfy(&self, supervisor: &mut Supervisor, stop: &CancellationToken) -> Result<(), Error> {
        let settings = &self.comfy.settings;
        let name = self.store.socket_name().await?;
        let (events, socket) = comfy_client::watch(&self.comfy.client, &name, settings.backoff);
        let socket = async {
            socket.await;
            Ok(())
        };
        supervisor.spawn("ComfyUI's health", self.comfy.clone().look_after(stop.clone()));
        supervisor.spawn("ComfyUI's output folder", self.outputs.clone().learn_folder(stop.clone()));
        supervisor.spawn("ComfyUI's socket", socket);
        let (logs, log_interval) = (self.logs.clone(), settings.log_interval);
        supervisor.spawn("ComfyUI's log", logs.hear_comfyui_for_followers(log_interval, stop.clone()));
        supervisor.spawn("prompts", prompts::worker::run(self.prompts.clone(), events, stop.clone()));
        Ok(())
    }

    fn sampler(&self, settings: &Settings) -> system::sampler::Sampler {
        let options =
            gpu_probe::Options { nvml_library: settings.nvml_library.clone(), fixed_vram_gb: settings.gpu_vram_gb };
        system::sampler::Sampler {
            system: self.system.clone(),
            sources: Sources {
                probe: Arc::new(gpu_probe::Probe::detect(options)),
                workspace: settings.workspace.clone(),
            },
            comfy: self.comfy.clone(),
            store: self.store.clone(),
            bus: self.bus.clone(),
            clock: Arc::clone(&self.clock),
            interval: settings.sample_interval,
        }
    }

    /// When the service started.
    pub fn started_at(&self) -> Timestamp {
        self.started_at
    }

    /// How long the service has run. Setting the clock does not change it.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// The present time, by the service's clock.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Whether the database answers, as last looked at.
    pub fn is_ready(&self) -> bool {
        self.readiness.is_ready()
    }

    /// The rows are the queue: what a stop or a crash left unfinished goes back to the engine, paused ones paused.
    async fn take_up_unfinished(&self) -> Result<(), Error> {
        self.downloads.clear_abandoned_staging().await?;
        for stored in self.downloads.store.unfinished_downloads().await? {
            tracing::info!(download = %stored.row.id, state = stored.row.state.as_str(), "an unfinished download is taken up");
            let id = stored.row.id.clone();
            if let Err(cause) = self.downloads.take_up(stored).await {
                tracing::error!(download = %id, error = ?cause, "an unfinished download is not taken up; the next start tries again");
            }
        }
        Ok(())
    }

    /// Presets that the operator wants to be there. What cannot be installed is a warning, never a failed start.
    async fn install_at_start(self, settings: Settings) {
        let (wanted, unknown) = settings.presets_at_start();
        for word in unknown {
            tracing::warn!(preset = %word, "a preset to install at start is no preset id");
        }
        // The operator's own word is an admin's.
        let options = InstallOptions { may_replace: MayReplace::Any, ..InstallOptions::default() };
        for id in wanted {
            match self.presets.install(&id, options).await {
                Ok(started) => {
                    tracing::info!(preset = %id, download = %started.download_id, "a preset is installed at start")
                }
                Err(Error::PresetAlreadyInstalled(_)) => {
                    tracing::debug!(preset = %id, "a preset to install at start is there")
                }
                Err(cause) => tracing::warn!(preset = %id, error = %cause, "a preset could not be installed at start"),
            }
        }
    }
}

/// The folder of the user's workflows, without what an earlier server left half written.
async fn workflow_folder(settings: &Settings) -> Result<UserFolder, Error> {
    let folder = UserFolder::below(&settings.workflows, settings.downloader.min_free_space);
    let swept = folder.clone();
    tasks::blocking(move || swept.remove_unfinished()).await?;
    Ok(folder)
}

/// The models folder, and what the database remembers of what lies in it.
async fn index_over(settings: &Settings, store: &Store) -> Result<ModelIndex, Error> {
    let folder = ModelDir::open(&settings.models).map_err(|cause| {
        Error::invalid("MODEL_BASE_PATH", format!("{} cannot be used: {cause}", settings.models.display()))
    })?;
    let extra = models::extra::read(&settings.extra_models)?;
    let remembered = Remembered {
        records: store.file_records().await?,
        validations: store.validations().await?,
        facts: store.source_facts().await?,
    };
    Ok(ModelIndex::new(folder, extra, remembered))
}

fn models_over(settings: &Settings, downloads: &Downloads, jobs: Jobs) -> Models {
    Models {
        index: downloads.index.clone(),
        catalogue: downloads.catalogue.clone(),
        store: downloads.store.clone(),
        clock: Arc::clone(&downloads.clock),
        may_delete_extra: settings.extra_models.may_delete,
        planning: Arc::clone(&downloads.planning),
        reading: Arc::new(Semaphore::new(models::FILES_AT_ONCE)),
        inspecting: Arc::new(Semaphore::new(models::FILES_AT_ONCE)),
        scanning: Arc::default(),
        scans_asked: Arc::default(),
        jobs,
    }
}

fn downloads_over(
    settings: &Settings,
    engine: Downloader,
    store: Store,
    catalogue: Catalogue,
    index: ModelIndex,
    clock: Arc<dyn Clock>,
) -> Downloads {
    Downloads {
        space: Space::new(index.folder().clone(), settings.downloader.min_free_space),
        question_timeout: settings.size_question_timeout,
        most_unfinished: settings.most_unfinished_downloads,
        settling_time: settings.settling_time,
        live: Live::default(),
        bus: Bus::default(),
        planning: Arc::default(),
        store,
        engine,
        catalogue,
        index,
        clock,
    }
}
