//! Links and the queue over HTTP: what a client sends, and what it is told.

use serde_json::{Value, json};
use test_support::file_server::Content;

use crate::world::World;

fn code(answer: &Value) -> &str {
    answer["error"]["code"].as_str().unwrap_or_default()
}

/// No place in the queue stops later downloads; a place that is none is refused by name.
#[tokio::test(flavor = "multi_thread")]
async fn places_in_the_queue_are_bounded() {
    let mut world = World::new();
    let _gate = world.hold_a_preset();
    let server = world.serve().await;
    let (status, held) = server.json("POST", "/api/presets/HELD/install", None).await;
    assert_eq!(status, 202, "{held}");
    let held = format!("/api/downloads/{}", held["download_id"].as_str().unwrap());
    let refused = [
        (json!({"position": i64::MAX}), "position"),
        (json!({"position": -1}), "position"),
        (json!({"position": 2_147_483_649_u64}), "position"),
        (json!({"before": "dl_x", "position": 1}), "before"),
        (json!({"before": "dl_x", "priority": "low"}), "before"),
    ];
    for (change, parameter) in refused {
        let (status, answer) = server.json("PATCH", &held, Some(change.clone())).await;
        assert_eq!((status, code(&answer)), (400, "INVALID_REQUEST"), "{change}: {answer}");
        assert_eq!(answer["error"]["details"]["parameter"], parameter);
    }
    let (status, answer) = server.json("PATCH", &held, Some(json!({"before": "dl_none"}))).await;
    assert_eq!((status, code(&answer)), (404, "NOT_FOUND"));
    let (status, changed) = server.json("PATCH", &held, Some(json!({"position": 2_147_483_648_u64}))).await;
    assert_eq!((status, &changed["position"]), (200, &json!(2_147_483_648_u64)));
    let url = world.file("next", "next.safetensors", &Content::pattern(5, 1_000));
    let (status, added) = server.json("POST", "/api/downloads", Some(json!({"url": url, "type": "loras"}))).await;
    assert_eq!(status, 202, "{added}");
    let ended = server.end_of(added["download_id"].as_str().unwrap()).await;
    assert_eq!(ended["status"], "completed");
    assert!(ended["duration_ms"].is_u64());
    let is_in_milliseconds =
        |key: &str| ended[key].as_str().is_some_and(|time| time.len() == 24 && time.ends_with('Z'));
    assert!(["created_at", "started_at", "ended_at"].into_iter().all(is_in_milliseconds), "{ended}");

    let (status, cleared) = server.json("DELETE", "/api/downloads/history", None).await;
    assert_eq!((status, cleared), (200, json!({"deleted": 1})));
    assert_eq!(server.get("/api/downloads/history").await["total"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn dry_run_fetches_nothing() {
    let world = World::new();
    let url = world.file("dry", "vae/ae.safetensors", &Content::pattern(5, 1_000));
    let server = world.serve().await;
    let (status, preview) = server.json("POST", "/api/downloads?dry_run=true", Some(json!({"url": url}))).await;
    let expected = json!({
        "name": "ae.safetensors", "name_from": "link", "size_bytes": 1_000, "folder": "vae", "folder_from": "link",
        "path": "vae/ae.safetensors", "exists": false, "gate": null, "problem": null,
        "sha256": Content::pattern(5, 1_000).sha256(),
    });
    assert_eq!((status, preview), (200, expected));
    assert_eq!(server.get("/api/downloads").await["total"], 0);
    let (status, refused) = server.json("PUT", "/api/settings/tokens/example", Some(json!({"token": "abc"}))).await;
    assert_eq!((status, code(&refused)), (400, "INVALID_REQUEST"));
}

/// Another program downloads to the same path: neither its unfinished file nor the place of it is taken.
#[tokio::test(flavor = "multi_thread")]
async fn link_onto_a_foreign_marker_is_a_conflict() {
    let world = World::new();
    let url = world.file("marked", "x.safetensors", &Content::pattern(5, 1_000));
    let server = world.serve().await;
    let marker = world.model("loras/x.safetensors.aria2");
    std::fs::create_dir_all(marker.parent().unwrap()).unwrap();
    std::fs::write(&marker, b"control").unwrap();
    for is_beside in [false, true] {
        if is_beside {
            std::fs::write(world.model("loras/x.safetensors"), b"half").unwrap();
        }
        for overwrite in [false, true] {
            let body = json!({"url": url, "path": "loras/x.safetensors", "overwrite": overwrite});
            let (status, refused) = server.json("POST", "/api/downloads", Some(body)).await;
            assert_eq!((status, code(&refused)), (409, "CONFLICT"), "{refused}");
            assert_eq!(refused["error"]["details"]["marker"], "loras/x.safetensors.aria2");
        }
    }
    assert_eq!(std::fs::read(world.model("loras/x.safetensors")).unwrap(), b"half");
    assert_eq!(server.get("/api/downloads").await["total"], 0);
}

/// A link that is being fetched already is no new download, also where there may be no more.
#[tokio::test(flavor = "multi_thread")]
async fn unfinished_downloads_are_bounded() {
    let world = World::new();
    let url = "https://huggingface.co/acme/held/resolve/main/held.safetensors";
    let held = world.hub.large_file("acme/held", "held.safetensors", Content::pattern(9, 400_000));
    let gate = held.cdn.hold_at(100_000);
    let other = world.file("next", "next.safetensors", &Content::pattern(5, 1_000));
    let server = world
        .serve_with(|config| {
            assert_eq!(config.service.most_unfinished_downloads, 2_000);
            config.service.most_unfinished_downloads = 1;
        })
        .await;
    let add = async |url: &str| server.json("POST", "/api/downloads", Some(json!({"url": url, "type": "loras"}))).await;
    let (status, first) = add(url).await;
    assert_eq!(status, 202, "{first}");
    let (status, refused) = add(&other).await;
    assert_eq!((status, code(&refused)), (409, "CONFLICT"));
    assert_eq!(refused["error"]["details"], json!({"unfinished": "1", "limit": "1"}));
    assert_eq!(add(url).await, (202, first.clone()));
    gate.open();
    server.end_of(first["download_id"].as_str().unwrap()).await;
    assert_eq!(add(&other).await.0, 202);
}
