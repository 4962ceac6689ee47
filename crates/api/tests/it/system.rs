//! The machine as the interface shows it, when the machine changes.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use test_support::{
    fake_comfy::FakeComfy,
    fake_nvml::{self, FakeNvml, Machine},
};

use crate::world::{
    Server, TIMEOUT, World, client,
    program::{Process, call_in},
    with_busy_processors,
};

/// A server that looks at the machine and at ComfyUI many times a second.
async fn watchful(world: &World, change: impl FnOnce(&mut service::Settings)) -> Server {
    world
        .serve_with(|config| {
            config.service.sample_interval = Duration::from_millis(50);
            config.service.comfy.probe_interval = Duration::from_millis(20);
            change(&mut config.service);
        })
        .await
}

/// Asks until the answer is as wanted.
async fn until(server: &Server, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    eventually(path, async || Some(server.get(path).await).filter(|answer| wanted(answer))).await
}

async fn eventually<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let watch = async {
        let mut turns = tokio::time::interval(Duration::from_millis(20));
        loop {
            turns.tick().await;
            if let Some(seen) = look().await {
                return seen;
            }
        }
    };
    tokio::time::timeout(TIMEOUT, watch).await.unwrap_or_else(|_| panic!("{what} is as wanted in time"))
}

#[tokio::test(flavor = "multi_thread")]
async fn comfyui_is_running_while_it_answers_and_stopped_when_it_does_not() {
    let comfy = FakeComfy::start();
    let server = watchful(&World::new(), |settings| settings.comfy.url = comfy.url().parse().unwrap()).await;
    let state = |word: &'static str| move |status: &Value| status["services"]["comfyui"] == word;
    let status = until(&server, "/api/system/status", state("running")).await;
    assert_eq!((&status["status"], &status["services"]["preset_manager"]), (&json!("running"), &json!("running")));
    comfy.go_down();
    until(&server, "/api/system/status", state("stopped")).await;
    let measures = server.client.get(server.url("/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(measures.contains("comfyui_up 0"), "{measures}");
}

#[tokio::test(flavor = "multi_thread")]
async fn processors_that_work_show_and_their_count_is_what_may_be_used() {
    let server = watchful(&World::new(), |_| {}).await;
    let first = server.get("/api/system/resources").await["cpu"]["percent"].clone();
    let resources = with_busy_processors(until(&server, "/api/system/resources", |resources| {
        resources["cpu"]["percent"].as_f64().is_some_and(|percent| percent > 0.0 && json!(percent) != first)
    }));
    assert!(resources["cpu"]["count"].as_u64().unwrap() >= 1);
    let memory = &resources["memory"];
    assert!(memory["total_bytes"].as_u64() > memory["used_bytes"].as_u64(), "{memory}");
    assert!(memory["used_bytes"].as_u64().unwrap() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_disk_is_the_file_system_of_the_workspace_and_fills_when_that_is_written_to() {
    let world = World::new();
    let server = watchful(&world, |_| {}).await;
    let used = |status: &Value| status["resources"]["disk_used_bytes"].as_u64().unwrap();
    let before = used(&server.get("/api/system/status").await);
    let block = vec![7_u8; 1 << 20];
    let written = AtomicU32::new(0);
    eventually("the disk", async || {
        let number = written.fetch_add(1, Ordering::Relaxed);
        std::fs::write(world.folder.path().join(format!("filler-{number}")), block.repeat(16)).unwrap();
        (used(&server.get("/api/system/status").await) >= before + (16 << 20)).then_some(())
    })
    .await;
    let storage = server.get("/api/system/storage").await;
    assert_eq!(storage["workspace"]["path"], world.folder.path().to_str().unwrap());
    assert!(storage["detail"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_gpu_and_eight_are_shown_as_the_driver_names_them_and_a_reading_that_fails_is_null() {
    for (machine, warm) in [
        (Machine::default(), true),
        (Machine { gpus: 8, ..Machine::default() }, true),
        (Machine { temperature_code: fake_nvml::NOT_SUPPORTED, ..Machine::default() }, false),
    ] {
        let driver = FakeNvml::new(&machine).unwrap();
        let server = watchful(&World::new(), |settings| settings.nvml_library = Some(driver.path())).await;
        let gpu = &server.get("/api/system/resources").await["gpu"];
        assert_eq!(gpu["count"], machine.gpus);
        assert_eq!(gpu["devices"].as_array().unwrap().len(), machine.gpus as usize);
        let first = &gpu["devices"][0];
        assert_eq!((&first["id"], &first["memory_total_gb"]), (&json!(0), &json!(24.0)));
        assert_eq!(first["utilization_percent"], json!(10.0));
        assert_eq!(first["temperature_c"], if warm { json!(40.0) } else { Value::Null });
        assert!(gpu["reason"].is_null());
        let measures = server.client.get(server.url("/metrics")).send().await.unwrap().text().await.unwrap();
        assert!(measures.contains("gpu_memory_total_bytes{gpu=\"0\""), "{measures}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_driver_that_does_not_start_is_no_gpu_and_everything_is_unknown() {
    let machine = Machine { init_code: fake_nvml::DRIVER_NOT_LOADED, ..Machine::default() };
    let driver = FakeNvml::new(&machine).unwrap();
    let server = watchful(&World::new(), |settings| settings.nvml_library = Some(driver.path())).await;
    let resources = server.get("/api/system/resources").await;
    assert_eq!((&resources["gpu"]["count"], &resources["gpu"]["devices"]), (&json!(0), &json!([])));
    assert!(resources["gpu"]["reason"].is_string());
    assert!(server.get("/api/system/status").await["resources"]["gpu_percent"].is_null());
    let found = server.get("/api/presets/recommendations").await;
    assert!(found["gpu"].is_null() && found["vram_gb"].is_null());
    assert_eq!((found["compatible"].as_array(), found["incompatible"].as_array()), (Some(&vec![]), Some(&vec![])));
    assert_eq!(found["unknown"].as_array().unwrap().len(), 1);
    let asked = server.get("/api/presets/recommendations?vram_gb=24").await;
    assert!(asked["gpu"].is_null() && asked["vram_gb"] == json!(24.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_driver_answers_comfyui_says_what_it_computes_on() {
    let comfy = FakeComfy::start();
    let card = json!({
        "name": "cuda:0 AMD Radeon RX 7900 XTX : native", "type": "cuda", "index": 0, "vram_total": 24_u64 << 30,
        "vram_free": 20_u64 << 30, "torch_vram_total": 0, "torch_vram_free": 0
    });
    let stats = json!({"system": {"comfyui_version": "0.3.64"}, "devices": [card]});
    comfy.answer_with("/system_stats", 200, "application/json", &stats.to_string());
    let nowhere = std::path::PathBuf::from("/nowhere/libnvidia-ml.so.1");
    let server = watchful(&World::new(), |settings| {
        settings.comfy.url = comfy.url().parse().unwrap();
        settings.nvml_library = Some(nowhere);
        settings.gpu_vram_gb = Some(3.0);
    })
    .await;
    let measured = |resources: &Value| resources["gpu"]["devices"][0]["source"] == "comfyui";
    let resources = until(&server, "/api/system/resources", measured).await;
    let card = &resources["gpu"]["devices"][0];
    assert_eq!((&card["name"], &card["memory_used_gb"]), (&json!("AMD Radeon RX 7900 XTX"), &json!(4.0)));
    comfy.go_down();
    let stated = |resources: &Value| resources["gpu"]["devices"][0]["source"] == "setting";
    let resources = until(&server, "/api/system/resources", stated).await;
    assert_eq!(resources["gpu"]["devices"][0]["memory_total_gb"], json!(3.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn storage_in_detail_names_copies_orphans_and_what_nobody_finishes() {
    let world = World::new();
    let server = watchful(&world, |_| {}).await;
    server.install("SMALL", json!({})).await;
    let one = std::fs::read(world.model("loras/one.safetensors")).unwrap();
    std::fs::write(world.model("loras/copy.safetensors"), &one).unwrap();
    std::fs::write(world.model("loras/left.safetensors.part"), [1; 5000]).unwrap();
    server.json("POST", "/api/models/rescan", None).await;
    let detail = server.get("/api/system/storage?detail=true").await;
    let (models, detail) = (&detail["models"], &detail["detail"]);
    assert_eq!((&models["count"], &models["by_type"]), (&json!(3), &json!({"loras": 2, "vae": 1})));
    assert_eq!(detail["by_preset"][0]["id"], "SMALL");
    assert_eq!(detail["by_preset"][0]["size_bytes"], 370_000);
    assert_eq!(detail["orphans"][0]["path"], "loras/copy.safetensors");
    assert_eq!(detail["partial"][0]["path"], "loras/left.safetensors");
    assert!(detail["partial"][0]["download_id"].is_null());
    assert!(detail["reclaimable"]["total_bytes"].as_u64().unwrap() >= 5000);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_itself_opens_the_driver_where_the_loader_finds_it() {
    let world = World::new();
    let driver = FakeNvml::new(&Machine { gpus: 2, ..Machine::default() }).unwrap();
    let mut command = call_in(&world, &["serve", "--listen", "127.0.0.1:0"]);
    command.env("LD_LIBRARY_PATH", driver.folder());
    let process = Process::started(command).await;
    let answer = client().get(format!("http://{}/api/system/resources", process.address)).send().await.unwrap();
    let resources: Value = answer.json().await.unwrap();
    assert_eq!(resources["gpu"]["count"], 2, "{resources}");
    assert_eq!(resources["gpu"]["devices"][1]["temperature_c"], json!(41.0));
}

/// The uptime is what has passed, whatever somebody does to the clock.
#[tokio::test(flavor = "multi_thread")]
async fn uptime_does_not_follow_the_wall_clock() {
    let clock = service::ManualClock::at(1_767_225_600_000);
    let server = World::new().serve_at(clock.clone(), |_| {}).await;
    for step in [-3_600_000, 36_000_000] {
        clock.advance(step);
        let uptime = server.get("/api/system/status").await["uptime"].as_u64().unwrap();
        assert!(uptime < 600, "{uptime}");
    }
}
