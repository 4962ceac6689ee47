//! Every operation of the document, asked once: the table below must name them all, and each answers as its document says.

use std::collections::BTreeSet;

use api::operations::{Operations, ROLES, Role};
use serde_json::{Value, json};

use crate::world::{Server, World, schema};

/// An operation, how it is asked, and the status that it answers with. `HELD` and `FAILED` stand for downloads.
struct Sample {
    operation: &'static str,
    method: &'static str,
    path: &'static str,
    body: Option<Value>,
    status: u16,
}

fn sample(operation: &'static str, method: &'static str, path: &'static str, status: u16) -> Sample {
    Sample { operation, method, path, body: None, status }
}

fn with_body(operation: &'static str, method: &'static str, path: &'static str, body: Value, status: u16) -> Sample {
    Sample { operation, method, path, body: Some(body), status }
}

/// In an order in which each finds what it needs.
fn samples() -> Vec<Sample> {
    let link = json!({"url": "https://huggingface.co/acme/small/resolve/main/one.safetensors", "path": "loras/link.safetensors"});
    vec![
        sample("health", "GET", "/health", 200),
        sample("api_health", "GET", "/api/health", 200),
        sample("livez", "GET", "/livez", 200),
        sample("readyz", "GET", "/readyz", 200),
        sample("metrics", "GET", "/metrics", 200),
        sample("openapi", "GET", "/api/openapi.json", 200),
        sample("system_status", "GET", "/api/system/status", 200),
        sample("storage", "GET", "/api/system/storage?detail=true", 200),
        sample("resources", "GET", "/api/system/resources", 200),
        sample("logs", "GET", "/api/system/logs?lines=5", 200),
        sample("recommendations", "GET", "/api/presets/recommendations?vram_gb=24", 200),
        sample("updates", "GET", "/api/presets/updates", 200),
        sample("registry_status", "GET", "/api/presets/registry/status", 200),
        sample("sync_registry", "POST", "/api/presets/registry/sync", 502),
        sample("sync_registry_by_get", "GET", "/api/presets/registry/sync", 502),
        sample("list_presets", "GET", "/api/presets?sort=size&order=desc&per_page=5", 200),
        sample("preset_detail", "GET", "/api/presets/SMALL", 200),
        sample("preset_status", "GET", "/api/presets/HELD/status", 200),
        sample("install_preset", "POST", "/api/presets/HELD/install", 202),
        sample("list_downloads", "GET", "/api/downloads", 200),
        sample("get_download", "GET", "/api/downloads/HELD", 200),
        with_body(
            "change_download",
            "PATCH",
            "/api/downloads/HELD",
            json!({"priority": "high", "rate_limit": null}),
            200,
        ),
        sample("pause_download", "POST", "/api/downloads/HELD/pause", 200),
        sample("resume_download", "POST", "/api/downloads/HELD/resume", 200),
        sample("cancel_download", "DELETE", "/api/downloads/HELD", 200),
        with_body("add_download", "POST", "/api/downloads", link, 202),
        sample("download_history", "GET", "/api/downloads/history", 200),
        sample("rescan_models", "POST", "/api/models/rescan", 200),
        with_body("repair_models", "POST", "/api/models/repair", json!({"paths": ["no/such.file"]}), 409),
        sample("list_models", "GET", "/api/models?sort=size", 200),
        sample("list_model_types", "GET", "/api/models/types", 200),
        sample("model_detail", "GET", "/api/models/loras/one.safetensors", 200),
        sample("validate_models", "GET", "/api/models/validate?background=true", 202),
        sample("list_jobs", "GET", "/api/jobs", 200),
        sample("get_job", "GET", "/api/jobs/job_none", 404),
        sample("cancel_job", "DELETE", "/api/jobs/job_none", 404),
        sample(
            "delete_models",
            "DELETE",
            "/api/models?paths=loras/one.safetensors&paths=no/such.file&confirm=true",
            200,
        ),
        sample("uninstall_preset", "DELETE", "/api/presets/SMALL?confirm=true", 200),
        with_body("log_in", "POST", "/api/auth/login", json!({"password": "a guess"}), 401),
        sample("me", "GET", "/api/auth/me", 200),
        sample("log_out", "POST", "/api/auth/logout", 200),
        sample("list_keys", "GET", "/api/auth/keys", 200),
        sample("revoke_key", "DELETE", "/api/auth/keys/key_0", 404),
        sample("revoke_named_key", "DELETE", "/api/auth/keys?id=key_0", 404),
        sample("list_sessions", "GET", "/api/auth/sessions", 200),
        sample("revoke_session", "DELETE", "/api/auth/sessions/ses_0", 404),
        sample("revoke_all_sessions", "DELETE", "/api/auth/sessions", 200),
        sample("get_settings", "GET", "/api/settings", 200),
        with_body("change_settings", "PATCH", "/api/settings", json!({"download_rate_limit": 0}), 200),
        with_body("set_token", "PUT", "/api/settings/tokens/civitai", json!({"token": "abc"}), 200),
        sample("clear_token", "DELETE", "/api/settings/tokens/civitai", 200),
        sample("list_audit", "GET", "/api/audit?per_page=5", 200),
        sample("open_socket", "GET", "/ws", 400),
        sample("open_api_socket", "GET", "/api/ws", 400),
        // The last one: from here on, everybody needs a key.
        sample("generate_key", "POST", "/api/auth/keys", 201),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_of_the_document_answers_as_documented() {
    let mut world = World::new();
    let _gate = world.hold_a_preset();
    let server = world.serve().await;
    let document = server.get("/api/openapi.json").await;
    let named: BTreeSet<&str> = samples().iter().map(|sample| sample.operation).collect();
    let documented: BTreeSet<&str> = operations(&document).map(|(_, _, operation)| id(operation)).collect();
    assert_eq!(named, documented, "the table of samples and the document name the same operations");

    server.install("SMALL", json!({})).await;
    let (_, held) = server.json("POST", "/api/presets/HELD/install", None).await;
    let held = held["download_id"].as_str().unwrap().to_owned();
    for sample in samples() {
        answers_as_documented(&server, &document, &sample, &held).await;
    }
}

async fn answers_as_documented(server: &Server, document: &Value, sample: &Sample, held: &str) {
    let path = sample.path.replace("downloads/HELD", &format!("downloads/{held}"));
    let mut request = server.client.request(sample.method.parse().unwrap(), server.url(&path));
    if let Some(body) = &sample.body {
        request = request.json(body);
    }
    let answer = request.send().await.unwrap();
    let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
    assert_eq!(status, sample.status, "{}: {text}", sample.operation);
    let (_, _, operation) = operations(document).find(|(_, _, operation)| id(operation) == sample.operation).unwrap();
    let content = &operation["responses"][status.to_string()]["content"];
    assert!(content.is_object(), "{}: {status} has no documented body", sample.operation);
    if let Some(schema) = content.pointer("/application~1json/schema") {
        let body: Value = serde_json::from_str(&text).unwrap();
        let faults = schema::faults(document, schema, &body, sample.operation);
        assert!(faults.is_empty(), "{faults:#?}\n{body:#}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_is_described_in_full() {
    let document = serde_json::to_value(api::openapi::document()).unwrap();
    let mut seen = BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        let place = format!("{method} {path}");
        assert!(seen.insert(id(operation).to_owned()), "{place}: its id is another's too");
        assert!(operation["summary"].as_str().is_some_and(|summary| !summary.is_empty()), "{place} has no summary");
        assert_eq!(operation["tags"].as_array().map(Vec::len), Some(1), "{place} has one tag");
        for (status, response) in operation["responses"].as_object().unwrap() {
            assert!(response["description"].as_str().is_some_and(|words| !words.is_empty()), "{place} {status}");
            let content = response["content"].as_object().and_then(|content| content.values().next());
            match status.as_bytes()[0] {
                b'2' => assert!(
                    content.is_some_and(|content| !content["example"].is_null()),
                    "{place} {status}: no example"
                ),
                b'4' | b'5' => assert!(content.is_some(), "{place} {status}: no body"),
                _ => {}
            }
        }
        if !operation["requestBody"].is_null() {
            assert!(!operation.pointer("/requestBody/content/application~1json/example").unwrap().is_null(), "{place}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_examples_of_the_document_are_as_their_schemas_say() {
    let document = serde_json::to_value(api::openapi::document()).unwrap();
    for (method, path, operation) in operations(&document) {
        for (status, response) in operation["responses"].as_object().unwrap() {
            let Some(content) = response.pointer("/content/application~1json") else { continue };
            if !content["example"].is_null() {
                let faults = schema::faults(&document, &content["schema"], &content["example"], path);
                assert!(faults.is_empty(), "{method} {status}: {faults:#?}");
            }
        }
    }
}

#[test]
fn every_operation_has_its_role_and_no_role_is_without_operation() {
    let operations = Operations::of(&api::openapi::document());
    let documented: BTreeSet<String> = operations.iter().map(|operation| operation.id.clone()).collect();
    let table: BTreeSet<String> = ROLES.iter().map(|(id, _)| (*id).to_owned()).collect();
    assert_eq!(documented, table);
    let open: Vec<&str> = ROLES.iter().filter(|(_, role)| *role == Role::Open).map(|(id, _)| *id).collect();
    assert_eq!(open, ["health", "api_health", "livez", "readyz", "log_in"]);
}

#[test]
fn the_committed_document_is_what_the_server_serves() {
    let committed = include_str!("../../../../openapi/openapi.json");
    let served = api::openapi::Document::from(&api::openapi::document()).json();
    assert!(committed == served, "openapi/openapi.json is behind the routes: run `cargo xtask openapi` and commit it");
}

/// Method, address and operation, for each operation.
fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    document["paths"].as_object().unwrap().iter().flat_map(|(path, item)| {
        item.as_object().unwrap().iter().map(move |(method, operation)| (method.as_str(), path.as_str(), operation))
    })
}

fn id(operation: &Value) -> &str {
    operation["operationId"].as_str().unwrap()
}
