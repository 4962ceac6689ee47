//! The log of the program itself: in an answer, as a stream, and on disk.

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::Value;

use crate::world::{TIMEOUT, World, client, program::Process};

async fn ask(process: &Process, path: &str) -> reqwest::Response {
    client().get(format!("http://{}{path}", process.address)).send().await.unwrap()
}

async fn lines(process: &Process, query: &str) -> Vec<Value> {
    let answer: Value =
        ask(process, &format!("/api/system/logs?service=dashboard&{query}")).await.json().await.unwrap();
    answer["logs"].as_array().unwrap_or_else(|| panic!("{answer}")).clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_logged_is_found_by_service_level_word_and_request() {
    let world = World::new();
    let process = Process::serve(&world).await;
    let asked = ask(&process, "/api/presets/NONE").await;
    let id = asked.headers()["x-request-id"].to_str().unwrap().to_owned();
    let found = lines(&process, "search=/API/presets/none").await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((&found[0]["level"], &found[0]["service"]), (&"INFO".into(), &"dashboard".into()));
    assert_eq!(found[0]["request_id"], id);
    assert!(found[0]["message"].as_str().unwrap().contains("status=404"), "{found:?}");
    assert_eq!(lines(&process, "lines=1").await.len(), 1);
    assert!(lines(&process, "level=error").await.is_empty());
    for wrong in ["lines=0", "lines=5001", "level=loud", "follow=maybe"] {
        assert_eq!(ask(&process, &format!("/api/system/logs?{wrong}")).await.status(), 400, "{wrong}");
    }
    assert_eq!(ask(&process, "/api/system/logs?service=other").await.status(), 400);
    assert_eq!(ask(&process, "/api/system/logs?service=comfyui").await.status(), 503, "it does not run here");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_change_logs_has_the_id_of_its_request() {
    let world = World::new();
    let process = Process::serve(&world).await;
    let (_, started) = process.json("POST", "/api/presets/SMALL/install", None).await;
    process.until(&started["download_id"], "completed").await;
    let url = format!("http://{}/api/presets/SMALL?confirm=true", process.address);
    let gone = client().delete(url).header("X-Request-Id", "of-the-change").send().await.unwrap();
    assert_eq!(gone.status(), 200);
    let (_, found) = process.json("GET", "/api/system/logs?search=a preset was uninstalled", None).await;
    assert_eq!(found.pointer("/logs/0/request_id"), Some(&"of-the-change".into()), "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_hears_what_was_and_then_what_comes_until_the_server_ends() {
    let world = World::new();
    let process = Process::serve(&world).await;
    ask(&process, "/api/presets/BEFORE").await;
    let stream = ask(&process, "/api/system/logs?follow=true&search=/api/presets/").await;
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let mut heard = String::new();
    let mut chunks = stream.bytes_stream();
    let listen = async {
        while !heard.contains("/api/presets/BEFORE") {
            heard += std::str::from_utf8(&chunks.next().await.unwrap().unwrap()).unwrap();
        }
        ask(&process, "/api/presets/AFTER").await;
        while !heard.contains("/api/presets/AFTER") {
            heard += std::str::from_utf8(&chunks.next().await.unwrap().unwrap()).unwrap();
        }
        process.signal("-TERM");
        while chunks.next().await.is_some_and(|chunk| chunk.is_ok()) {}
    };
    tokio::time::timeout(TIMEOUT, listen).await.expect("the lines are heard in time");
    for event in heard.split("\n\n").filter(|event| event.starts_with("data: ")) {
        let line: Value = serde_json::from_str(event.trim_start_matches("data: ")).unwrap();
        assert!(line["message"].as_str().unwrap().contains("/api/presets/"), "{line}");
    }
    assert!(process.end(Duration::from_secs(10)).await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_on_disk_one_json_object_a_line() {
    let world = World::new();
    let process = Process::serve(&world).await;
    ask(&process, "/api/presets/ON-DISK").await;
    process.signal("-TERM");
    assert!(process.end(Duration::from_secs(10)).await.success());
    let folder = world.folder.path().join("data/logs");
    let files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    let text = std::fs::read_to_string(&files[0]).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().any(|line| line["path"] == "/api/presets/ON-DISK"), "{text}");
}

/// A client's text of any length takes little room, and what asks for health or the page leaves no line.
#[tokio::test(flavor = "multi_thread")]
async fn log_lines_cut_what_a_client_sent() {
    let world = World::new();
    let process = Process::serve(&world).await;
    ask(&process, &format!("/needle{}", "A".repeat(30_000))).await;
    ask(&process, "/livez").await;
    ask(&process, "/").await;
    let found = lines(&process, "search=needle").await;
    let message = found[0]["message"].as_str().unwrap();
    assert!(found.len() == 1 && message.len() < 300, "{found:?}");
    assert!(lines(&process, "search=path=/livez").await.is_empty());
    assert_eq!(lines(&process, "search=answered").await.len(), 1, "looks at the log leave no line either");
}

/// Reads are told at DEBUG, changes and mistakes of clients at INFO, failures of the server at ERROR with their cause.
#[tokio::test(flavor = "multi_thread")]
async fn level_of_a_request_is_that_of_its_outcome() {
    let comfy = test_support::fake_comfy::FakeComfy::start();
    let world = World::new().flag("--log-level=debug").beside(&comfy);
    drop(comfy);
    let process = Process::serve(&world).await;
    let rows = [
        ("GET", "/api/presets", 200, "DEBUG"),
        ("GET", "/", 200, "DEBUG"),
        ("GET", "/livez", 200, "DEBUG"),
        ("POST", "/api/models/rescan", 200, "INFO"),
        ("GET", "/api/presets/NONE", 404, "INFO"),
        ("POST", "/api/presets/NONE/install", 404, "INFO"),
        ("GET", "/api/comfyui/health", 503, "ERROR"),
    ];
    for (at, (method, path, status, _)) in rows.into_iter().enumerate() {
        let request = client().request(method.parse().unwrap(), format!("http://{}{path}", process.address));
        let answer = request.header("X-Request-Id", format!("row-{at}")).send().await.unwrap();
        assert_eq!(answer.status(), status, "{method} {path}");
    }
    let found = lines(&process, "lines=5000&search=status=").await;
    for (at, (method, path, status, level)) in rows.into_iter().enumerate() {
        let of_request: Vec<_> =
            found.iter().filter(|line| line["request_id"] == format!("row-{at}").as_str()).collect();
        assert_eq!(of_request.len(), 1, "{method} {path}: {of_request:?}");
        let message = of_request[0]["message"].as_str().unwrap();
        assert_eq!(of_request[0]["level"], level, "{message}");
        assert!(
            message.contains(&format!("path={path}")) && message.contains(&format!("status={status}")),
            "{message}"
        );
        assert_eq!(message.contains("cause="), level == "ERROR", "{message}");
    }
}
