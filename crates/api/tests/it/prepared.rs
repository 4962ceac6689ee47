//! Answers that are made once: they are the same until something changes, and true right after that.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::world::{Server, World};

const PATHS: [&str; 6] = [
    "/api/presets",
    "/api/presets/SMALL",
    "/api/presets/recommendations?vram_gb=24",
    "/api/models?sort=size",
    "/api/models/types",
    "/api/system/storage",
];

/// The tag and the body of an answer.
async fn ask(server: &Server, path: &str) -> (String, Value) {
    let answer = server.client.get(server.url(path)).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK, "{path}");
    assert_eq!(answer.headers()["content-type"], "application/json", "{path}");
    (answer.headers()["etag"].to_str().unwrap().to_owned(), answer.json().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_made_once_is_true_after_every_change() {
    let world = World::new();
    let server = world.serve().await;
    let mut before = Vec::new();
    for path in PATHS {
        let (first, again) = (ask(&server, path).await, ask(&server, path).await);
        if path != "/api/system/storage" {
            assert_eq!(first, again, "{path}");
            let known = server.client.get(server.url(path)).header("If-None-Match", &first.0).send().await.unwrap();
            assert_eq!(known.status(), StatusCode::NOT_MODIFIED, "{path}");
            assert_eq!(known.bytes().await.unwrap().len(), 0, "{path}");
        }
        before.push(again);
    }
    assert_eq!(server.install("SMALL", json!({})).await["status"], "completed");
    for (path, (tag, body)) in PATHS.into_iter().zip(&before) {
        let (new_tag, new_body) = ask(&server, path).await;
        assert!(new_tag != *tag && new_body != *body, "{path} is as before the install");
    }
    let gone = server.client.delete(server.url("/api/presets/SMALL?confirm=true")).send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::OK);
    for (path, (_, body)) in PATHS.into_iter().zip(&before).take(5) {
        let (_, new_body) = ask(&server, path).await;
        // Sizes are exact once a server named them.
        let installed = |body: &Value| body.to_string().matches("\"installed\":true").count();
        assert_eq!(installed(&new_body), installed(body), "{path}");
    }
    let wrapped = server.get("/api/presets?envelope=true").await;
    assert_eq!(wrapped["data"], server.get("/api/presets").await);
}
