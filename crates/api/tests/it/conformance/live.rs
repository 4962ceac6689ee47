//! A server in a world where every example has something to say, and its answers and messages.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};
use service::logs::{LogLevel, LogLine, LogService};
use test_support::{
    fake_comfy::FakeComfy,
    fake_nvml::{FakeNvml, Machine},
    fake_registry::FakeRegistry,
    file_server::{Content, Gate},
};

use super::examples_of;
use crate::world::{Server, World, socket::Client};

/// The preset of the examples.
const PRESET: &str = "WAN_22_5B_TIV2";

/// The server and all that it talks to.
struct Stage {
    world: World,
    server: Server,
    gate: Gate,
    _registry: FakeRegistry,
    _driver: FakeNvml,
    comfy: FakeComfy,
}

impl Stage {
    async fn set() -> Self {
        let mut world = World::new();
        let gate = world.hold_a_preset();
        let url = world.file("wan", "wan21.safetensors", &Content::pattern(5, 50_000));
        let preset = world.preset(PRESET, &[("checkpoints/wan21.safetensors", &url)]);
        preset["requirements"] = json!({"vram_gb": 16});
        (preset["tags"], preset["workflows"]) = (json!(["wan"]), json!(["wan_t2v_basic.json"]));
        world.preset("FLUX_DEV_FULL", &[("unet/flux.safetensors", &url)])["requirements"] = json!({"vram_gb": 32});
        world.preset("LEGACY_MODEL", &[("unet/old.safetensors", &url)]);
        world.preset("BROKEN", &[("vae/none.safetensors", &url.replace("wan21", "nothing"))]);
        let newer = json!({
            "id": PRESET, "name": PRESET, "category": "Video Generation", "type": "video", "version": "1.1.0",
            "description": "", "tags": ["wan"],
            "files": [{"path": "checkpoints/wan21.safetensors", "url": url.clone() + "?download=true", "size": "1GB"}],
        });
        let document = json!({"version": "1", "schema_version": "1", "categories": {}, "presets": {PRESET: newer}});
        let registry = FakeRegistry::serving(&document.to_string());
        let (driver, comfy) = (FakeNvml::new(&Machine::default()).unwrap(), FakeComfy::start());
        let server = world
            .serve_with(|config| {
                config.service.registry_url = registry.url();
                config.service.nvml_library = Some(driver.path());
                config.service.comfy.url = comfy.url().parse().unwrap();
                config.service.logs.push(LogLine {
                    at: jiff::Timestamp::UNIX_EPOCH,
                    level: LogLevel::Info,
                    service: LogService::Dashboard,
                    message: "a line".to_owned(),
                    request_id: None,
                });
            })
            .await;
        Self { world, server, gate, _registry: registry, _driver: driver, comfy }
    }

    fn place(&self, path: &str) {
        fs::create_dir_all(self.world.model(path).parent().unwrap()).unwrap();
        fs::write(self.world.model(path), b"no head of weights").unwrap();
    }
}

/// Answers by method and address as the examples name them, with their status.
pub(super) async fn answers() -> BTreeMap<String, (u16, Value)> {
    let stage = Stage::set().await;
    let mut taken = Taken { server: &stage.server, bodies: examples_of("request"), answers: BTreeMap::new() };
    taken.of("GET /health", "/health").await;
    taken.of("GET /api/system/status", "/api/system/status").await;
    taken.of("GET /api/system/resources", "/api/system/resources").await;
    taken.of("GET /api/system/logs", "/api/system/logs").await;

    let started = taken.of("POST /api/presets/{preset_id}/install", &format!("/api/presets/{PRESET}/install")).await;
    stage.server.end_of(started["download_id"].as_str().unwrap()).await;
    taken.of("GET /api/presets", "/api/presets").await;
    taken.of("GET /api/presets/{preset_id}", &format!("/api/presets/{PRESET}")).await;
    let (_, held) = stage.server.json("POST", "/api/presets/HELD/install", None).await;
    let held = held["download_id"].as_str().unwrap();
    stage.server.until(held, |state| state == "downloading").await;
    taken.of("GET /api/presets/{preset_id}/status", "/api/presets/HELD/status").await;
    taken.of("GET /api/downloads", "/api/downloads").await;
    taken.of("POST /api/downloads/{download_id}/pause", &format!("/api/downloads/{held}/pause")).await;
    taken.of("POST /api/downloads/{download_id}/resume", &format!("/api/downloads/{held}/resume")).await;
    taken.of("DELETE /api/downloads/{download_id}", &format!("/api/downloads/{held}")).await;
    stage.gate.open();

    taken.of("GET /api/presets/recommendations", "/api/presets/recommendations").await;
    taken.of("GET /api/presets/registry/sync", "/api/presets/registry/sync").await;
    taken.of("GET /api/presets/registry/status", "/api/presets/registry/status").await;
    taken.of("GET /api/presets/updates", "/api/presets/updates").await;

    for path in
        ["checkpoints/corrupt.safetensors", "checkpoints/old_model.safetensors", "loras/unused_lora.safetensors"]
    {
        stage.place(path);
    }
    stage.server.json("POST", "/api/models/rescan", None).await;
    taken.of("GET /api/system/storage", "/api/system/storage").await;
    taken.of("GET /api/models", "/api/models").await;
    taken.of("GET /api/models/types", "/api/models/types").await;
    taken.of("GET /api/models/validate", "/api/models/validate").await;
    taken.of("DELETE /api/models", "/api/models").await;
    of_comfyui(&mut taken, &stage.comfy).await;
    of_workflows(&mut taken).await;
    taken.of("DELETE /api/presets/{preset_id}", &format!("/api/presets/{PRESET}")).await;
    taken.answers
}

/// The example's own graph lacks most of its inputs: one that runs takes its place.
async fn of_comfyui(taken: &mut Taken<'_>, comfy: &FakeComfy) {
    comfy.hold();
    taken.of("GET /api/comfyui/health", "/api/comfyui/health").await;
    let execute = "POST /api/comfyui/execute";
    taken.bodies.insert(execute.to_owned(), json!({"workflow": counting(1), "priority": 1}));
    let first = taken.of(execute, "/api/comfyui/execute").await;
    taken.bodies.insert(execute.to_owned(), json!({"workflow": counting(2)}));
    taken.of(execute, "/api/comfyui/execute").await;
    let both = |queue: &Value| queue["queue_running"][0].is_object() && queue["queue_pending"][0].is_object();
    while !both(&taken.of("GET /api/comfyui/queue", "/api/comfyui/queue").await) {}
    comfy.go_on();
    let path = format!("/api/comfyui/history/{}", first["prompt_id"].as_str().unwrap());
    while taken.of("GET /api/comfyui/history/{prompt_id}", &path).await["completed"].is_null() {}
    taken.of("POST /api/comfyui/interrupt", "/api/comfyui/interrupt").await;
    taken.of("DELETE /api/comfyui/queue", "/api/comfyui/queue").await;
}

async fn of_workflows(taken: &mut Taken<'_>) {
    let saved = taken.of("POST /api/workflows", "/api/workflows").await;
    let path = format!("/api/workflows/{}", saved["id"].as_str().unwrap());
    taken.of("GET /api/workflows", "/api/workflows").await;
    taken.of("GET /api/workflows/{workflow_id}", &path).await;
    let change = taken.bodies.get("PUT /api/workflows/{workflow_id}").cloned();
    assert_eq!(taken.server.json("PUT", &path, change).await.0, 200);
    taken.of("DELETE /api/workflows/{workflow_id}", &path).await;
}

fn counting(color: u64) -> Value {
    json!({
        "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": color}},
        "5": {"class_type": "ProbeSleep", "inputs": {"image": ["1", 0], "steps": 3, "seconds": 0.2}},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["5", 0], "filename_prefix": "probe"}},
    })
}

/// Answers as they are gathered. A request has the body of its example.
struct Taken<'a> {
    server: &'a Server,
    bodies: BTreeMap<String, Value>,
    answers: BTreeMap<String, (u16, Value)>,
}

impl Taken<'_> {
    async fn of(&mut self, place: &str, path: &str) -> Value {
        let (method, _) = place.split_once(' ').unwrap();
        let (status, answer) = self.server.json(method, path, self.bodies.get(place).cloned()).await;
        assert!((200..300).contains(&status), "{place}: {status} {answer}");
        self.answers.insert(place.to_owned(), (status, answer.clone()));
        answer
    }
}

/// The first message of each type that a client hears who says what the examples say.
pub(super) async fn messages(said: &BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    let stage = Stage::set().await;
    let mut client = Client::connect(&stage.server).await;
    let mut told = BTreeMap::new();
    client.say(said["subscribe"].clone()).await;
    client.say(said["action"].clone()).await;
    client.say(json!({"type": "action", "action": "install_preset", "data": {"preset_id": "BROKEN"}})).await;
    let awaited = ["download_progress", "download_complete", "system_status", "error"];
    while !awaited.iter().all(|kind| told.contains_key(*kind)) {
        let message = client.hear().await;
        told.entry(message["type"].as_str().unwrap().to_owned()).or_insert(message);
    }
    told.extend(messages_of_comfyui(&stage).await);
    client.say(said["unsubscribe"].clone()).await;
    let left = client.hear_one_of(&["unsubscribed"]).await;
    assert_eq!(left["data"]["channels"], json!(["queue", "system"]));
    told
}

/// What those hear who watch the queue and the workflows while a prompt runs.
async fn messages_of_comfyui(stage: &Stage) -> BTreeMap<String, Value> {
    let mut client = Client::connect(&stage.server).await;
    client.say(json!({"type": "subscribe", "channels": ["queue", "workflows"]})).await;
    client.hear_one_of(&["subscribed"]).await;
    stage.server.json("POST", "/api/comfyui/execute", Some(json!({"workflow": counting(1)}))).await;
    let mut told = BTreeMap::new();
    while told.len() < 3 {
        let message = client.hear_one_of(&["queue_update", "workflow_progress", "workflow_output"]).await;
        if message["data"]["current_task"].is_object() || message["type"] != "queue_update" {
            told.entry(message["type"].as_str().unwrap().to_owned()).or_insert(message);
        }
    }
    told
}
