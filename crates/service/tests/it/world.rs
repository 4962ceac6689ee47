//! A small world for a test: a hub, a workspace, a registry of a few presets, and a service over them.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::{Value, json};
use service::{
    Clock, Dashboard, DatabasePlace, PresetId, Settings, Supervisor, SystemClock,
    downloads::{DownloadState, DownloadView},
    models::ExtraModelPaths,
    presets::{InstallOptions, InstallStarted},
};
use test_support::{fake_hub::FakeHub, file_server::Content};

/// How long a test waits for something that should come at once.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);

pub(crate) struct World {
    pub(crate) hub: FakeHub,
    folder: tempfile::TempDir,
    presets: serde_json::Map<String, Value>,
    pub(crate) min_free_space: u64,
    pub(crate) concurrent_downloads: usize,
    pub(crate) extra_models: ExtraModelPaths,
    pub(crate) settling_time: Duration,
}

impl World {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            hub: FakeHub::start(),
            folder,
            presets: serde_json::Map::new(),
            min_free_space: 0,
            concurrent_downloads: 3,
            extra_models: ExtraModelPaths::default(),
            settling_time: Duration::from_secs(5),
        }
    }

    /// Puts a file on the hub, in the repository `acme/<repo>`, and answers with its address.
    pub(crate) fn file(&self, repo: &str, name: &str, content: &Content) -> String {
        self.hub.large_file(&format!("acme/{repo}"), name, content.clone());
        format!("https://huggingface.co/acme/{repo}/resolve/main/{name}")
    }

    /// Takes a preset out of the registry.
    pub(crate) fn drop_preset(&mut self, id: &str) {
        self.presets.remove(id);
    }

    /// A world whose presets `ONE` and `TWO` ask for different contents at `clip/clip_l.bin`, and those contents.
    pub(crate) fn with_conflicting_presets() -> (Self, Content, Content) {
        let mut world = Self::new();
        let (first, second) = (content(1, 40_000), content(2, 50_000));
        let (first_url, second_url) = (world.file("one", "clip.bin", &first), world.file("two", "clip.bin", &second));
        world.preset("ONE", "1.0.0", &[("clip/clip_l.bin", &first_url)]);
        world.preset("TWO", "1.0.0", &[("clip/clip_l.bin", &second_url)]);
        (world, first, second)
    }

    /// Writes a preset of these files, each a path and an address, into the registry.
    pub(crate) fn preset(&mut self, id: &str, version: &str, files: &[(&str, &str)]) -> &mut Value {
        let files: Vec<Value> =
            files.iter().map(|(path, url)| json!({"path": path, "url": url, "size": "1GB"})).collect();
        let preset = json!({
            "id": id, "name": id, "category": "Image Generation", "type": "image", "version": version,
            "description": "", "files": files, "tags": [],
        });
        self.presets.insert(id.to_owned(), preset);
        &mut self.presets[id]
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.folder.path().join("data/dashboard.db")
    }

    pub(crate) fn models(&self) -> PathBuf {
        self.folder.path().join("models")
    }

    pub(crate) fn path(&self, model: &str) -> PathBuf {
        self.models().join(model)
    }

    pub(crate) fn holds(&self, model: &str, content: &Content) -> bool {
        std::fs::read(self.path(model)).is_ok_and(|bytes| bytes == content.to_vec())
    }

    pub(crate) fn place(&self, model: &str, bytes: &[u8]) {
        std::fs::create_dir_all(self.path(model).parent().unwrap()).unwrap();
        std::fs::write(self.path(model), bytes).unwrap();
    }

    /// Every file below the models folder, sorted.
    pub(crate) fn everything(&self) -> Vec<String> {
        let mut found = Vec::new();
        collect(&self.models(), &self.models(), &mut found);
        found.sort();
        found
    }

    pub(crate) async fn start(&self) -> Running {
        self.start_at(SystemClock).await
    }

    /// The same, with a clock of the test's own.
    pub(crate) async fn start_at(&self, clock: impl Clock) -> Running {
        let registry = self.folder.path().join("registry.json");
        let document = json!({"version": "1", "schema_version": "1", "categories": {}, "presets": self.presets});
        std::fs::write(&registry, document.to_string()).unwrap();
        let (dashboard, supervisor) = Dashboard::start(self.settings(registry), clock).await.unwrap();
        Running { dashboard, supervisor }
    }

    fn settings(&self, registry: PathBuf) -> Settings {
        let workspace = self.folder.path().to_owned();
        let milliseconds = Duration::from_millis;
        Settings {
            models: self.models(),
            extra_models: self.extra_models.clone(),
            database: DatabasePlace(self.database()),
            preset_config: (!self.presets.is_empty()).then_some(registry),
            registry_url: "http://127.0.0.1:9/registry.json".to_owned(),
            registry_copy: workspace.join("data/registry.json"),
            registry_sync_interval: Duration::ZERO,
            size_question_timeout: milliseconds(1500),
            settling_time: self.settling_time,
            downloader: downloader::Settings {
                hf_endpoint: self.hub.endpoint().parse().unwrap(),
                // The hub's storage is another port of this machine, which the endpoint alone does not open.
                private_sources: service::PrivateSources::Networks(vec!["127.0.0.1/32".parse().unwrap()]),
                min_free_space: self.min_free_space,
                max_concurrent_downloads: self.concurrent_downloads,
                stall_timeout: milliseconds(500),
                backoff: downloader::Backoff {
                    first: milliseconds(5),
                    max: milliseconds(20),
                    tries_without_progress: 3,
                },
                storage_poll: milliseconds(20),
                progress_interval: milliseconds(20),
                ..downloader::Settings::default()
            },
            ..Settings::in_folder(workspace)
        }
    }
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        if entry.file_type().unwrap().is_dir() {
            collect(root, &entry.path(), found);
        } else {
            found.push(entry.path().strip_prefix(root).unwrap().to_string_lossy().into_owned());
        }
    }
}

pub(crate) struct Running {
    pub(crate) dashboard: Dashboard,
    supervisor: Supervisor,
}

impl Running {
    pub(crate) async fn install(&self, id: &str, options: InstallOptions) -> InstallStarted {
        self.dashboard.presets.install(&preset_id(id), options).await.unwrap()
    }

    /// Installs and waits for the end.
    pub(crate) async fn install_whole(&self, id: &str) -> DownloadView {
        let started = self.install(id, InstallOptions::default()).await;
        self.end_of(&started.download_id).await
    }

    /// Waits until a download has ended.
    pub(crate) async fn end_of(&self, download: &str) -> DownloadView {
        self.until(download, |view| !view.state.is_unfinished()).await
    }

    /// Waits until a download is in a state.
    pub(crate) async fn state_of(&self, download: &str, state: DownloadState) -> DownloadView {
        self.until(download, |view| view.state == state).await
    }

    /// Waits until a download is as wanted: looks at each event.
    pub(crate) async fn until(&self, download: &str, wanted: impl Fn(&DownloadView) -> bool) -> DownloadView {
        let mut events = self.dashboard.bus.subscribe();
        let watch = async {
            loop {
                let view = self.dashboard.downloads.get(download).await.unwrap();
                if wanted(&view) {
                    return view;
                }
                let _ = events.recv().await;
            }
        };
        match tokio::time::timeout(TIMEOUT, watch).await {
            Ok(view) => view,
            Err(_) => panic!("waited in vain; the download is {:?}", self.dashboard.downloads.get(download).await),
        }
    }

    pub(crate) async fn stop(self) {
        self.supervisor.shutdown().await;
    }
}

pub(crate) fn preset_id(id: &str) -> PresetId {
    PresetId::parse(id).unwrap()
}

/// Bytes that no shift and no repetition leaves alike.
pub(crate) fn content(seed: u64, size: u64) -> Content {
    Content::pattern(seed, size)
}
