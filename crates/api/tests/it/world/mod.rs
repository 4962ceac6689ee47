//! A small world for a test: a hub that stands in for Hugging Face, a registry of a few presets, and the server over them.

pub(crate) mod program;
pub(crate) mod schema;
pub(crate) mod socket;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use std::time::Duration;

use api::{Application, Config, Invocation};
use serde_json::{Map, Value, json};
use service::{Clock, SystemClock};
use test_support::{
    fake_comfy::FakeComfy,
    fake_hub::FakeHub,
    file_server::{Content, Gate},
};
use tokio::{sync::oneshot, task::JoinHandle};

/// How long a test waits for something that should come at once.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(20);

pub(crate) struct World {
    pub(crate) hub: FakeHub,
    pub(crate) folder: Arc<tempfile::TempDir>,
    presets: Map<String, Value>,
    flags: Vec<String>,
}

impl World {
    /// A world with one preset, `SMALL`, of two files.
    pub(crate) fn new() -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let mut world = Self { hub: FakeHub::start(), folder, presets: Map::new(), flags: Vec::new() };
        let one = world.file("small", "one.safetensors", &Content::pattern(1, 300_000));
        let two = world.file("small", "two.safetensors", &Content::pattern(2, 70_000));
        world.preset("SMALL", &[("loras/one.safetensors", &one), ("vae/two.safetensors", &two)]);
        world
    }

    /// Puts a file on the hub, in the repository `acme/<repo>`, and answers with its address at huggingface.co.
    pub(crate) fn file(&self, repo: &str, name: &str, content: &Content) -> String {
        self.hub.large_file(&format!("acme/{repo}"), name, content.clone());
        format!("https://huggingface.co/acme/{repo}/resolve/main/{name}")
    }

    /// Adds a preset, `HELD`, whose one file stops arriving after 100,000 of its 400,000 bytes until the gate is opened.
    pub(crate) fn hold_a_preset(&mut self) -> Gate {
        let file = self.hub.large_file("acme/held", "held.safetensors", Content::pattern(9, 400_000));
        let url = "https://huggingface.co/acme/held/resolve/main/held.safetensors";
        self.preset("HELD", &[("loras/held.safetensors", url)]);
        file.cdn.hold_at(100_000)
    }

    /// Writes a preset of these files, each a path and an address, into the registry.
    pub(crate) fn preset(&mut self, id: &str, files: &[(&str, &str)]) -> &mut Value {
        let files: Vec<Value> =
            files.iter().map(|(path, url)| json!({"path": path, "url": url, "size": "1GB"})).collect();
        let preset = json!({
            "id": id, "name": id, "category": "Image Generation", "type": "image", "version": "1.0.0",
            "description": "", "files": files, "tags": [],
        });
        self.presets.insert(id.to_owned(), preset);
        &mut self.presets[id]
    }

    /// One more flag for the server.
    pub(crate) fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }

    /// With a ComfyUI.
    pub(crate) fn beside(self, comfy: &FakeComfy) -> Self {
        self.flag("--comfyui-url").flag(&comfy.url())
    }

    pub(crate) fn model(&self, path: &str) -> PathBuf {
        self.folder.path().join("models").join(path)
    }

    pub(crate) fn holds(&self, model: &str, content: &Content) -> bool {
        std::fs::read(self.model(model)).is_ok_and(|bytes| bytes == content.to_vec())
    }

    /// The flags that a call of the program needs to work in this world.
    pub(crate) fn arguments(&self) -> Vec<OsString> {
        let registry = self.folder.path().join("registry-of-the-test.json");
        let document = json!({"version": "1", "schema_version": "1", "categories": {}, "presets": self.presets});
        std::fs::write(&registry, document.to_string()).unwrap();
        let pair = |flag: &str, value: &Path| [OsString::from(flag), value.into()];
        let mut arguments: Vec<OsString> = pair("--workspace-dir", self.folder.path()).into();
        arguments.extend(pair("--preset-config-path", &registry));
        arguments.extend(pair("--hf-endpoint", Path::new(&self.hub.endpoint())));
        let plain = [
            "--registry-sync-interval",
            "0",
            "--min-free-space",
            "0",
            // The hub's storage is another port of this machine, which the endpoint alone does not open.
            "--allow-private-sources",
            "127.0.0.1/32",
            "--stall-timeout",
            "500ms",
            "--rate-limit-anonymous",
            "0",
        ];
        arguments.extend(["--registry-url", "http://127.0.0.1:9/registry.json"].map(OsString::from));
        arguments.extend(plain.map(OsString::from));
        arguments.extend(self.flags.iter().map(OsString::from));
        arguments
    }

    /// The server, with its settings as the shell would make them.
    pub(crate) async fn serve(&self) -> Server {
        self.serve_with(|_| {}).await
    }

    /// The server, with times that a test cannot wait for made shorter.
    pub(crate) async fn serve_with(&self, change: impl FnOnce(&mut Config)) -> Server {
        self.serve_at(SystemClock, change).await
    }

    /// The same, with a clock of the test's own.
    pub(crate) async fn serve_at(&self, clock: impl Clock, change: impl FnOnce(&mut Config)) -> Server {
        let mut arguments = vec![OsString::from("comfyui-dashboard")];
        arguments.extend(self.arguments());
        arguments.extend(["--listen", "127.0.0.1:0"].map(OsString::from));
        let mut config = Invocation::of(arguments).unwrap().settings.config().unwrap();
        config.service.downloader.backoff.first = Duration::from_millis(5);
        config.service.downloader.backoff.max = Duration::from_millis(20);
        config.service.downloader.backoff.tries_without_progress = 3;
        change(&mut config);
        let application = Application::build(config, clock).await.unwrap();
        let port = application.addresses()[0].port();
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(application.run(async move {
            let _ = stopped.await;
        }));
        Server { port, client: client(), stop, _folder: Arc::clone(&self.folder), running }
    }
}

/// Keeps every processor busy until `work` is done.
pub(crate) fn with_busy_processors<T>(work: impl Future<Output = T>) -> T {
    let stop = AtomicBool::new(false);
    let burn = || {
        while !stop.load(Ordering::Relaxed) {
            std::hint::spin_loop();
        }
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().unwrap().get();
        (0..threads).for_each(|_| drop(scope.spawn(burn)));
        let _at_the_end = Raised(&stop);
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(work))
    })
}

/// A flag that goes up when this is dropped, a panic included: else nobody would come out of the scope.
struct Raised<'a>(&'a AtomicBool);

impl Drop for Raised<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A client that goes straight to where it is sent. Another crate of the workspace may bring a provider of TLS; none has to.
pub(crate) fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

pub(crate) struct Server {
    pub(crate) port: u16,
    pub(crate) client: reqwest::Client,
    stop: oneshot::Sender<()>,
    /// The folder lasts as long as the server, whatever becomes of the world.
    _folder: Arc<tempfile::TempDir>,
    running: JoinHandle<Result<(), api::ApplicationError>>,
}

impl Server {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Asks and reads the answer as JSON.
    pub(crate) async fn json(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let mut request = self.client.request(method.parse().unwrap(), self.url(path));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or_else(|_| panic!("{method} {path}: no JSON: {text}")))
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        let (status, body) = self.json("GET", path, None).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// Installs a preset and waits until its download has ended; the answer is the download.
    pub(crate) async fn install(&self, preset: &str, body: Value) -> Value {
        let (status, started) = self.json("POST", &format!("/api/presets/{preset}/install"), Some(body)).await;
        assert_eq!(status, 202, "{started}");
        self.end_of(started["download_id"].as_str().unwrap()).await
    }

    /// Waits until a download has ended.
    pub(crate) async fn end_of(&self, download: &str) -> Value {
        let ended = ["completed", "failed", "cancelled"];
        self.until(download, |state| ended.contains(&state)).await
    }

    /// Waits until the state of a download is as wanted.
    pub(crate) async fn until(&self, download: &str, wanted: impl Fn(&str) -> bool) -> Value {
        let watch = async {
            let mut look = tokio::time::interval(Duration::from_millis(10));
            loop {
                look.tick().await;
                let detail = self.get(&format!("/api/downloads/{download}")).await;
                if wanted(detail["status"].as_str().unwrap()) {
                    return detail;
                }
            }
        };
        tokio::time::timeout(TIMEOUT, watch).await.expect("the download stands as wanted in time")
    }

    /// Ends the server as a signal does.
    pub(crate) async fn stop(self) -> Result<(), api::ApplicationError> {
        let _ = self.stop.send(());
        tokio::time::timeout(TIMEOUT, self.running).await.expect("the server ends in time").unwrap()
    }
}
