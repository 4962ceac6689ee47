//! Every kind of failure has the same body, and says what was wrong and what is accepted.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::world::{TIMEOUT, World};

/// Method, address, content type, body; then the status, the code, and the parameter in the details.
type Row = (&'static str, &'static str, Option<&'static str>, &'static str, u16, &'static str, Option<&'static str>);

const JSON: Option<&str> = Some("application/json");
const FORM: Option<&str> = Some("application/x-www-form-urlencoded");

const ROWS: &[Row] = &[
    ("GET", "/api/nothing", None, "", 404, "NOT_FOUND", None),
    ("GET", "/nothing", None, "", 404, "NOT_FOUND", None),
    ("GET", "/docs/nothing.js", None, "", 404, "NOT_FOUND", None),
    ("POST", "/api/presets", None, "", 405, "METHOD_NOT_ALLOWED", None),
    ("DELETE", "/health", None, "", 405, "METHOD_NOT_ALLOWED", None),
    ("POST", "/", None, "", 405, "METHOD_NOT_ALLOWED", None),
    ("BREW", "/api/presets", None, "", 405, "METHOD_NOT_ALLOWED", None),
    ("GET", "/ws", None, "", 400, "INVALID_REQUEST", None),
    ("GET", "/api/presets/NONE", None, "", 404, "PRESET_NOT_FOUND", None),
    ("GET", "/api/presets/..%2f..%2fetc", None, "", 404, "PRESET_NOT_FOUND", None),
    ("GET", "/api/presets/%00", None, "", 404, "PRESET_NOT_FOUND", None),
    ("GET", "/api/presets/%ff", None, "", 404, "PRESET_NOT_FOUND", None),
    ("GET", "/api/presets/NONE/status", None, "", 404, "PRESET_NOT_FOUND", None),
    ("POST", "/api/presets/NONE/install", None, "", 404, "PRESET_NOT_FOUND", None),
    ("GET", "/api/downloads/dl_none", None, "", 404, "NOT_FOUND", None),
    ("POST", "/api/downloads/dl_none/pause", None, "", 404, "NOT_FOUND", None),
    ("DELETE", "/api/downloads/dl_none", None, "", 404, "NOT_FOUND", None),
    ("GET", "/api/presets?page=0", None, "", 400, "INVALID_REQUEST", Some("page")),
    ("GET", "/api/presets?page=-1", None, "", 400, "INVALID_REQUEST", Some("page")),
    ("GET", "/api/presets?page=99999999999", None, "", 400, "INVALID_REQUEST", Some("page")),
    ("GET", "/api/models?per_page=0", None, "", 400, "INVALID_REQUEST", Some("per_page")),
    ("GET", "/api/downloads?per_page=101", None, "", 400, "INVALID_REQUEST", Some("per_page")),
    ("GET", "/api/presets?sort=colour", None, "", 400, "INVALID_REQUEST", Some("sort")),
    ("GET", "/api/models?order=up", None, "", 400, "INVALID_REQUEST", Some("order")),
    ("GET", "/api/downloads?status=done", None, "", 400, "INVALID_REQUEST", Some("status")),
    ("GET", "/api/downloads/history?preset=a/b", None, "", 400, "INVALID_REQUEST", Some("preset")),
    ("GET", "/api/presets?installed=maybe", None, "", 400, "INVALID_REQUEST", Some("installed")),
    ("GET", "/api/presets?page=1&page=2", None, "", 400, "INVALID_REQUEST", Some("page")),
    ("POST", "/api/presets/SMALL/install", FORM, "force=true", 415, "UNSUPPORTED_MEDIA_TYPE", None),
    ("POST", "/api/presets/SMALL/install", None, "{}", 415, "UNSUPPORTED_MEDIA_TYPE", None),
    ("POST", "/api/presets/SMALL/install", JSON, "{", 400, "INVALID_REQUEST", None),
    ("POST", "/api/presets/SMALL/install", JSON, "{} {}", 400, "INVALID_REQUEST", None),
    ("POST", "/api/presets/SMALL/install", JSON, "[]", 400, "INVALID_REQUEST", None),
    ("POST", "/api/presets/SMALL/install", JSON, r#"{"priority": "now"}"#, 400, "INVALID_REQUEST", Some("priority")),
    ("POST", "/api/downloads", None, "", 400, "INVALID_REQUEST", Some("body")),
    ("POST", "/api/downloads", JSON, "{}", 400, "INVALID_REQUEST", Some("url")),
    ("POST", "/api/downloads", JSON, r#"{"url": "https://a.example/f"}"#, 400, "INVALID_REQUEST", Some("path")),
    ("POST", "/api/workflows/requirements", JSON, r#"{"workflow": [null]}"#, 400, "INVALID_WORKFLOW", Some("workflow")),
    ("GET", "/api/outputs/view?filename=a.png&type=models", None, "", 400, "INVALID_REQUEST", Some("type")),
    ("POST", "/api/models/repair", JSON, "{}", 400, "INVALID_REQUEST", None),
    ("DELETE", "/api/presets/SMALL", None, "", 400, "INVALID_REQUEST", Some("confirm")),
    ("DELETE", "/api/presets/SMALL?confirm=true", None, "", 409, "CONFLICT", None),
    ("DELETE", "/api/presets/SMALL", JSON, r#"{"confirm": true}"#, 409, "CONFLICT", None),
    ("DELETE", "/api/models?confirm=true", None, "", 400, "INVALID_REQUEST", Some("paths")),
    ("DELETE", "/api/models?paths=a/b&paths=c/d", None, "", 400, "INVALID_REQUEST", Some("confirm")),
    ("DELETE", "/api/models?confirm=true&paths=a/b&paths=c/d", None, "", 404, "MODEL_NOT_FOUND", None),
];

#[tokio::test(flavor = "multi_thread")]
async fn whatever_fails_has_the_same_body() {
    let server = World::new().serve().await;
    for (method, path, kind, body, status, code, parameter) in ROWS {
        let mut request = server.client.request(method.parse().unwrap(), server.url(path)).body(*body);
        if let Some(kind) = kind {
            request = request.header("Content-Type", *kind);
        }
        let answer = request.send().await.unwrap();
        let row = format!("{method} {path} {body}");
        assert_eq!(answer.status(), *status, "{row}");
        assert_eq!(answer.headers()["content-type"], "application/json", "{row}");
        assert!(answer.headers().contains_key("x-request-id") && answer.headers().contains_key("x-api-version"));
        if *status == 405 {
            assert!(answer.headers()["allow"].to_str().unwrap().contains("GET"), "{row}");
        }
        let body: Value = answer.json().await.unwrap();
        let error = &body["error"];
        assert_eq!(error["code"], *code, "{row}: {body}");
        assert!(!error["message"].as_str().unwrap().is_empty() && error["timestamp"].as_str().unwrap().ends_with('Z'));
        assert!(error["details"].is_object(), "{row}: {body}");
        if let Some(parameter) = parameter {
            assert_eq!(error["details"]["parameter"], *parameter, "{row}: {body}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_has_only_optional_keys_may_be_absent() {
    let world = World::new();
    let server = world.serve().await;
    let plain = server.client.post(server.url("/api/presets/SMALL/install")).send().await.unwrap();
    assert_eq!(plain.status(), 202);
    let form = server.client.post(server.url("/api/presets/SMALL/install")).header("Content-Type", FORM.unwrap());
    assert!([202, 409].contains(&form.send().await.unwrap().status().as_u16()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_large_is_refused_before_it_is_held() {
    let server = World::new().serve().await;
    let body = format!(r#"{{"url": "{}"}}"#, "a".repeat(2 << 20));
    let request = server.client.post(server.url("/api/downloads")).header("Content-Type", JSON.unwrap());
    let answer = request.body(body).send().await.unwrap();
    assert_eq!(answer.status(), 413);
    let body: Value = answer.json().await.unwrap();
    assert_eq!(
        (&body["error"]["code"], &body["error"]["details"]["limit_bytes"]),
        (&json!("PAYLOAD_TOO_LARGE"), &json!(1 << 20))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn deep_json_and_long_queries_are_refused_and_nothing_breaks() {
    let server = World::new().serve().await;
    let deep = format!(r#"{{"url": {}"#, "[".repeat(100_000));
    let request = server.client.post(server.url("/api/downloads")).header("Content-Type", JSON.unwrap());
    assert_eq!(request.body(deep).send().await.unwrap().status(), 413);
    let pairs = "a=b&".repeat(10_000);
    let answer = server.client.get(server.url(&format!("/api/presets?{pairs}"))).send().await.unwrap();
    assert_eq!(answer.status(), 400);
    server.get("/health").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_never_comes_is_given_up_and_its_connection_ended() {
    let server = World::new().serve_with(|config| config.body_pace.grace = Duration::from_millis(300)).await;
    for framing in ["Content-Length: 100\r\n\r\n{", "Transfer-Encoding: chunked\r\n\r\n5\r\n{"] {
        let address = format!("127.0.0.1:{}", server.port);
        let head =
            format!("POST /api/downloads HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n{framing}");
        let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        tokio::time::timeout(TIMEOUT, stream.read_to_string(&mut answer)).await.expect("it ends").unwrap();
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("too slowly"), "{framing}: {answer}");
    }
}
