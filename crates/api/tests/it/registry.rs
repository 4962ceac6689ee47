//! The registry and what it says about this machine: sync, updates, recommendations.

use std::time::Duration;

use serde_json::{Value, json};
use test_support::{
    fake_registry::FakeRegistry,
    file_server::{Content, FileServer, Reply},
};

use crate::world::{Server, TIMEOUT, World};

const SHIPPED: &str = include_str!("../../../registry/data/presets.json");

fn registry_of(id: &str, version: &str, url: &str) -> String {
    let preset = json!({
        "id": id, "name": id, "category": "Image Generation", "type": "image", "version": version, "description": "",
        "files": [{"path": "loras/one.safetensors", "url": url, "size": "1GB"}], "tags": [],
    });
    json!({"version": "2.0.0", "schema_version": "1", "categories": {}, "presets": {id: preset}}).to_string()
}

async fn serve(world: &World, registry: &FakeRegistry) -> Server {
    world.serve_with(|config| config.service.registry_url = registry.url()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_by_get_or_post_puts_the_new_registry_in_force_and_head_does_nothing() {
    let world = World::new();
    let url = world.file("new", "one.safetensors", &Content::pattern(3, 1000));
    let registry = FakeRegistry::serving(&registry_of("NEW", "1.0.0", &url));
    let server = serve(&world, &registry).await;
    let status = server.get("/api/presets/registry/status").await;
    assert_eq!((&status["total_presets"], &status["origin"]), (&json!(1), &json!("local")));
    assert!(status["last_sync"].is_null());

    let head = server.client.head(server.url("/api/presets/registry/sync")).send().await.unwrap();
    assert_eq!((head.status().as_u16(), registry.server().requests().len()), (200, 0));
    let synced = server.get("/api/presets/registry/sync").await;
    assert_eq!(
        (&synced["status"], &synced["presets_count"], &synced["changed"]),
        (&json!("synced"), &json!(1), &json!(true))
    );
    assert_eq!(synced["source"], registry.url());
    let (status, again) = server.json("POST", "/api/presets/registry/sync", None).await;
    assert_eq!((status, &again["changed"]), (200, &json!(false)), "the second time nothing is new");
    let status = server.get("/api/presets/registry/status").await;
    assert_eq!((&status["version"], &status["origin"]), (&json!("2.0.0"), &json!("synced")));
    assert_eq!(status["categories"], json!({"Image Generation": 1}));
    assert_eq!(server.get("/api/presets/NEW").await["in_registry"], true);

    registry.fail_with(Some(500));
    let (status, refused) = server.json("POST", "/api/presets/registry/sync", None).await;
    assert_eq!((status, refused["error"]["code"].as_str()), (502, Some("REGISTRY_UNAVAILABLE")));
    let details = &refused["error"]["details"];
    assert!(
        details["source"].is_string() && details["cause"].is_string() && details["age_seconds"].is_u64(),
        "{details}"
    );
    assert_eq!(server.get("/api/presets/registry/status").await["total_presets"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_version_of_what_is_installed_is_an_update_with_the_files_that_it_changes() {
    let world = World::new();
    let (old, new) = (
        world.file("a", "old.safetensors", &Content::pattern(3, 1000)),
        world.file("a", "new.safetensors", &Content::pattern(4, 1000)),
    );
    let registry = FakeRegistry::serving(&registry_of("ONE", "1.9.0", &old));
    let server = serve(&world, &registry).await;
    server.get("/api/presets/registry/sync").await;
    server.install("ONE", json!({})).await;
    assert_eq!(server.get("/api/presets/updates").await, json!({"total": 0, "updates": []}));
    registry.set(FakeRegistry::DOCUMENT, &registry_of("ONE", "1.10.0", &new));
    server.get("/api/presets/registry/sync").await;
    let updates = server.get("/api/presets/updates").await;
    let update = &updates["updates"][0];
    assert_eq!(updates["total"], 1);
    assert_eq!((&update["local_version"], &update["remote_version"]), (&json!("1.9.0"), &json!("1.10.0")));
    assert_eq!(update["changed_files"], json!(["loras/one.safetensors"]));
    assert!(update["download_bytes"].is_u64() && update["download_size"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_registry_is_synced_by_itself_and_its_copy_is_in_force_after_a_start_without_network() {
    let world = World::new();
    let url = world.file("new", "one.safetensors", &Content::pattern(3, 1000));
    let registry = FakeRegistry::serving(&registry_of("FIRST", "1.0.0", &url));
    let serve_with = async |interval| {
        let change = |config: &mut api::Config| {
            config.service.registry_url = registry.url();
            config.service.registry_sync_interval = interval;
        };
        world.serve_with(change).await
    };
    let server = serve_with(Duration::from_millis(30)).await;
    let appears = async |id: &str| {
        let path = format!("/api/presets/{id}");
        let watch = async { while server.json("GET", &path, None).await.0 != 200 {} };
        tokio::time::timeout(TIMEOUT, watch).await.unwrap_or_else(|_| panic!("{id} is synced in time"));
    };
    appears("FIRST").await;
    registry.set(FakeRegistry::DOCUMENT, &registry_of("SECOND", "1.0.0", &url));
    appears("SECOND").await;
    server.stop().await.unwrap();

    registry.fail_with(Some(503));
    let server = serve_with(Duration::ZERO).await;
    let status = server.get("/api/presets/registry/status").await;
    assert_eq!((&status["origin"], &status["total_presets"]), (&json!("synced"), &json!(1)));
    assert!(status["last_sync"].is_string());
    assert_eq!(server.get("/api/presets/SECOND").await["in_registry"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fits_best_is_recommended_first_and_what_was_not_declared_is_unknown() {
    let mut world = World::new();
    let url = world.file("a", "a.safetensors", &Content::pattern(3, 1000));
    for (id, vram_gb) in [("A8", 8.0), ("A26", 25.6), ("A16", 16.0), ("A48", 48.0), ("A27", 25.8), ("A24", 24.0)] {
        let path = format!("unet/{id}.safetensors");
        world.preset(id, &[(&path, &url)])["requirements"] = json!({"vram_gb": vram_gb});
    }
    let server = world.serve().await;
    server.install("A16", json!({})).await;
    let found = server.get("/api/presets/recommendations?vram_gb=24").await;
    let ids = |list: &str| -> Vec<String> {
        found[list].as_array().unwrap().iter().map(|preset| preset["id"].as_str().unwrap().to_owned()).collect()
    };
    // A card that is sold with 24 GB may say 22.5: up to 1.07 times 24 is 25.68.
    assert_eq!(ids("compatible"), ["A26", "A24", "A16", "A8"]);
    assert_eq!(ids("incompatible"), ["A27", "A48"]);
    assert_eq!(ids("unknown"), ["SMALL"]);
    let installed: Vec<bool> =
        found["compatible"].as_array().unwrap().iter().map(|preset| preset["installed"] == true).collect();
    assert_eq!(installed, [false, false, true, false]);
    let smaller = server.get("/api/presets/recommendations?vram_gb=10").await;
    assert_eq!(smaller["compatible"].as_array().unwrap().len(), 1);
}

/// A world of the catalogue that is shipped, whose smallest preset the hub has.
fn shipped() -> (World, Value, String) {
    let world = World::new();
    let document: Value = serde_json::from_str(SHIPPED).unwrap();
    let presets = document["presets"].as_object().unwrap();
    let (id, preset) = presets.iter().min_by_key(|(_, preset)| preset["files"].as_array().unwrap().len()).unwrap();
    for (number, file) in preset["files"].as_array().unwrap().iter().enumerate() {
        let url: url::Url = file["url"].as_str().unwrap().parse().unwrap();
        let parts: Vec<&str> = url.path_segments().unwrap().collect();
        let content = Content::pattern(number as u64, 1000);
        world.hub.large_file(&parts[..2].join("/"), &parts[4..].join("/"), content);
    }
    let id = id.clone();
    (world, document, id)
}

#[tokio::test(flavor = "multi_thread")]
async fn on_the_shipped_catalogue_every_list_has_something_to_say() {
    let (world, mut document, id) = shipped();
    document["presets"][&id]["version"] = json!("99.0.0");
    let registry = FakeRegistry::serving(&document.to_string());
    let server = world
        .serve_with(|config| {
            config.service.registry_url = registry.url();
            config.service.preset_config = None;
        })
        .await;
    assert!(server.get("/api/presets").await["total"].as_u64().unwrap() >= 56);
    let found = server.get("/api/presets/recommendations?vram_gb=16").await;
    for list in ["compatible", "incompatible"] {
        let first = &found[list][0];
        assert!(first["vram_gb"].is_number() && first["estimated_vram_gb"].is_number(), "{list}: {first}");
        assert!(first["estimate_basis"].is_string());
    }
    let unasked = server.get("/api/presets/recommendations").await;
    assert!(unasked["gpu"].is_object() || !unasked["unknown"].as_array().unwrap().is_empty());
    let preset = server.get("/api/presets/SDXL_BASE_V1").await;
    let workflows = server.get("/api/workflows?search=sdxl").await;
    assert_eq!(preset["workflows"], json!(["sdxl_text_to_image.json"]));
    assert_eq!(workflows["workflows"][0]["preset"], "SDXL_BASE_V1", "{workflows}");

    server.install(&id, json!({})).await;
    let models = server.get("/api/models").await;
    assert_eq!(models["models"][0]["preset"], id, "{models}");
    server.get("/api/presets/registry/sync").await;
    let updates = server.get("/api/presets/updates").await;
    assert_eq!((&updates["total"], &updates["updates"][0]["id"]), (&json!(1), &json!(id)));
}

/// A registry may be anywhere the operator says; where it redirects to is held to the policy of addresses.
#[tokio::test(flavor = "multi_thread")]
async fn registry_redirect_to_private_address_is_refused() {
    let (registry, inner) = (FakeRegistry::serving("{}"), FileServer::start());
    inner.handle("/registry.json", |_| Reply::json(200, &json!({"presets": {}})));
    let inside = inner.url("/registry.json").replace("127.0.0.1", "localhost");
    for (path, target) in [("/name.json", inside), ("/address.json", "http://169.254.169.254/registry.json".to_owned())]
    {
        registry.server().handle(path, move |_| Reply::redirect(&target));
        let world = World::new();
        let url = registry.server().url(path);
        let server = world
            .serve_with(|config| {
                config.service.registry_url = url;
                config.service.downloader.private_sources = service::PrivateSources::None;
            })
            .await;
        let (status, refused) = server.json("POST", "/api/presets/registry/sync", None).await;
        assert_eq!((status, &refused["error"]["code"]), (502, &json!("REGISTRY_UNAVAILABLE")));
        assert!(refused.to_string().contains("private or reserved"), "{refused}");
    }
    assert!(inner.requests().is_empty());
}
