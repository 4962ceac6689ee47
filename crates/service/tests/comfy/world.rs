//! A small world for a test: a ComfyUI, a workspace, and a service over both that can be stopped and started again.

use std::time::Duration;

use comfy_client::Backoff;
use serde_json::{Value, json};
use service::{
    Dashboard, Error, Settings, Supervisor, SystemClock,
    comfy::ComfySettings,
    events::Event,
    prompts::{GraphToRun, NewPrompt, PromptAccepted, PromptRecord, PromptState, WhenUnavailable},
};
use test_support::{fake_comfy::FakeComfy, fake_hub::FakeHub};
use tokio::sync::broadcast::{Receiver, error::TryRecvError};

/// How long a test waits for something that should come at once.
const TIMEOUT: Duration = Duration::from_secs(20);

pub(crate) struct World {
    pub(crate) comfy: FakeComfy,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) max_queue: u32,
    pub(crate) ahead: u32,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { comfy: FakeComfy::start(), folder: tempfile::tempdir().unwrap(), max_queue: 100, ahead: 2 }
    }

    pub(crate) async fn start(&self) -> Running {
        self.start_with(self.settings()).await
    }

    pub(crate) async fn start_with(&self, settings: Settings) -> Running {
        let (dashboard, supervisor) = Dashboard::start(settings, SystemClock).await.unwrap();
        Running { dashboard, supervisor }
    }

    /// Starts with a hub that stands in for Hugging Face.
    pub(crate) async fn start_beside(&self, hub: &FakeHub) -> Running {
        let mut settings = self.settings();
        settings.downloader.hf_endpoint = hub.endpoint().parse().unwrap();
        settings.downloader.min_free_space = 0;
        // The hub's storage is another port of this machine, which the endpoint alone does not open.
        settings.downloader.private_sources = service::PrivateSources::Networks(vec!["127.0.0.1/32".parse().unwrap()]);
        self.start_with(settings).await
    }

    /// Reads one text of the database, as a person with `sqlite3` does.
    pub(crate) async fn text(&self, query: &'static str, id: &str) -> Option<String> {
        let path = self.folder.path().join("data/dashboard.db");
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(path).read_only(true);
        let mut connection = sqlx::ConnectOptions::connect(&options).await.unwrap();
        sqlx::query_scalar(query).bind(id).fetch_one(&mut connection).await.unwrap()
    }

    pub(crate) fn settings(&self) -> Settings {
        let milliseconds = Duration::from_millis;
        Settings {
            registry_sync_interval: Duration::ZERO,
            size_question_timeout: milliseconds(300),
            comfy: ComfySettings {
                url: self.comfy.url().parse().unwrap(),
                user: None,
                log_file: None,
                max_queue: self.max_queue,
                ahead: self.ahead,
                timeout: milliseconds(500),
                probe_interval: milliseconds(100),
                log_interval: milliseconds(20),
                look_interval: milliseconds(50),
                missing_for: milliseconds(100),
                backoff: Backoff {
                    first: milliseconds(5),
                    longest: milliseconds(20),
                    connect: milliseconds(500),
                    silence: milliseconds(500),
                },
                interrupt_timeout: Duration::from_secs(60),
                silence_timeout: Duration::from_secs(600),
            },
            ..Settings::in_folder(self.folder.path().to_owned())
        }
    }
}

pub(crate) struct Running {
    pub(crate) dashboard: Dashboard,
    supervisor: Supervisor,
}

impl Running {
    pub(crate) async fn execute(&self, graph: &Value) -> PromptAccepted {
        self.execute_with(graph, 0).await
    }

    pub(crate) async fn execute_with(&self, graph: &Value, priority: u32) -> PromptAccepted {
        self.dashboard.prompts.execute(NewPrompt { priority, ..prompt(graph) }).await.unwrap()
    }

    pub(crate) async fn record(&self, id: &str) -> PromptRecord {
        self.dashboard.prompts.get(id).await.unwrap()
    }

    /// Waits until a prompt is in a state: looks at each event.
    pub(crate) async fn until(&self, id: &str, state: PromptState) -> PromptRecord {
        let mut events = self.dashboard.bus.subscribe();
        let watch = async {
            loop {
                let record = self.record(id).await;
                if record.state == state {
                    return record;
                }
                assert!(record.state.is_unfinished(), "it ended otherwise: {record:?}");
                let _ = tokio::time::timeout(Duration::from_millis(50), events.recv()).await;
            }
        };
        match tokio::time::timeout(TIMEOUT, watch).await {
            Ok(record) => record,
            Err(_) => panic!("waited in vain for {state:?}; the prompt is {:?}", self.record(id).await),
        }
    }

    pub(crate) async fn completed(&self, id: &str) -> PromptRecord {
        self.until(id, PromptState::Completed).await
    }

    /// Ids of the queue in its order: what runs, then what waits.
    pub(crate) async fn queue(&self) -> Vec<String> {
        let queue = self.dashboard.prompts.queue().await.unwrap();
        queue.running.into_iter().chain(queue.pending).map(|entry| entry.prompt_id).collect()
    }

    /// Stops in order.
    pub(crate) async fn stop(self) {
        self.supervisor.shutdown().await;
    }

    /// Stops as a kill does: nothing is brought to an end.
    pub(crate) fn kill(self) {
        drop(self);
    }
}

/// A graph that counts to `steps`; `color` tells it from others, so that nothing is cached.
pub(crate) fn counting(color: u64, steps: u64) -> Value {
    json!({
        "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": color}},
        "5": {"class_type": "ProbeSleep", "inputs": {"image": ["1", 0], "steps": steps, "seconds": 0.2},
              "_meta": {"title": "Count"}},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["5", 0], "filename_prefix": "probe"}},
    })
}

/// A graph whose second node fails.
pub(crate) fn failing() -> Value {
    let mut graph = counting(99, 1);
    graph["5"] = json!({"class_type": "ProbeFail", "inputs": {"image": ["1", 0]}});
    graph
}

pub(crate) fn prompt(graph: &Value) -> NewPrompt {
    let graph = GraphToRun::Given(graph.clone());
    NewPrompt {
        graph,
        priority: 0,
        client_id: None,
        extra_data: None,
        fix_paths: false,
        targets: None,
        when_unavailable: WhenUnavailable::Refuse,
    }
}

/// Hands a graph to ComfyUI as another client does.
pub(crate) async fn submit_as_another_client(comfy: &FakeComfy, graph: &Value, id: &str) {
    let client = comfy_client::Client::new(comfy.url().parse().unwrap(), TIMEOUT).unwrap();
    let submission = comfy_client::Submission {
        prompt: graph.as_object().unwrap().clone(),
        client_id: Some("somebody".to_owned()),
        prompt_id: Some(id.to_owned()),
        ..comfy_client::Submission::default()
    };
    assert!(matches!(client.submit(&submission).await.unwrap(), comfy_client::Submitted::Accepted { .. }));
}

/// Every event that came so far.
pub(crate) fn so_far(events: &mut Receiver<Event>) -> Vec<Event> {
    let mut found = Vec::new();
    loop {
        match events.try_recv() {
            Ok(event) => found.push(event),
            Err(TryRecvError::Lagged(missed)) => panic!("{missed} events are lost"),
            Err(_) => return found,
        }
    }
}

/// Waits until something holds, looking again and again.
pub(crate) async fn eventually<T, Looking: Future<Output = Option<T>>>(mut look: impl FnMut() -> Looking) -> T {
    let watch = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(TIMEOUT, watch).await.unwrap()
}

pub(crate) fn is_unavailable<T: std::fmt::Debug>(outcome: Result<T, Error>) -> bool {
    match outcome {
        Err(Error::ComfyUnavailable { tried, .. }) => tried.contains("http://127.0.0.1"),
        other => panic!("{other:?}"),
    }
}
