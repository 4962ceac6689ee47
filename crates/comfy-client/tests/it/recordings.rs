//! The recordings of a real ComfyUI, replayed one by one: the fake answers as it did, and the client understands it.

use std::time::Duration;

use comfy_client::{Backoff, ComfyEvent, Outcome, Submission, Submitted, watch};
use serde_json::{Value, json};
use test_support::fake_comfy::FakeComfy;

use crate::client::client_of;
use crate::data;

fn recorded(name: &str) -> Value {
    data::json(data::folder("recordings").join(name).with_extension("json"))
}

fn body(name: &str) -> Value {
    recorded(name)["response"]["body"].clone()
}

/// Every recorded exchange of that kind, by name.
fn all(prefix: &str, extension: &str) -> Vec<String> {
    let names = std::fs::read_dir(data::folder("recordings")).unwrap().map(|entry| entry.unwrap().path());
    let fits = names.filter(|path| path.extension().is_some_and(|own| own == extension));
    let mut names: Vec<String> = fits.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect();
    names.retain(|name| name.starts_with(prefix));
    names.sort();
    names
}

/// Ids are made anew by every server, and numbers count what it was asked before.
fn without_id(mut body: Value) -> Value {
    for field in ["prompt_id", "number"] {
        if let Some(fields) = body.as_object_mut() {
            fields.remove(field);
        }
    }
    body
}

#[tokio::test]
async fn the_fake_answers_each_recorded_request_as_comfyui_did() {
    // What depends on prompts that ran before is compared in the other tests.
    let depends = ["history-", "queue-running", "prompt-get-busy"];
    let mut compared = 0;
    for name in all("", "json") {
        let exchange = recorded(&name);
        let (request, expected) = (&exchange["request"], &exchange["response"]);
        if depends.iter().any(|prefix| name.starts_with(prefix)) && request["method"] == "GET" {
            continue;
        }
        let fake = FakeComfy::start();
        let url = format!("{}{}", fake.url(), request["path"].as_str().unwrap());
        let method = request["method"].as_str().unwrap().parse().unwrap();
        let mut call = reqwest::Client::new().request(method, url);
        if let Some(body) = request.get("body").filter(|body| !body.is_null()) {
            call = call.body(body.as_str().map_or_else(|| body.to_string(), str::to_owned));
        }
        let answer = call.send().await.unwrap();
        assert_eq!(json!(answer.status().as_u16()), expected["status"], "{name}");
        let content_type = answer.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
        assert_eq!(json!(content_type), expected["content_type"], "{name}");
        let text = answer.text().await.unwrap();
        let got = serde_json::from_str(&text).unwrap_or(Value::String(text));
        assert!(alike(&without_id(got.clone()), &without_id(expected["body"].clone())), "{name}: {got}");
        compared += 1;
    }
    assert!(compared >= 45, "{compared}");
}

/// Equal, but for the order in which Python's sets list missing inputs.
fn alike(one: &Value, other: &Value) -> bool {
    let key = |value: &Value| value["extra_info"]["input_name"].to_string();
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, value)| other.get(key).is_some_and(|other| alike(value, other)))
        }
        (Value::Array(one), Value::Array(other)) if one.iter().all(|value| value.get("extra_info").is_some()) => {
            let (mut one, mut other) = (one.clone(), other.clone());
            one.sort_by_key(key);
            other.sort_by_key(key);
            one == other
        }
        _ => one == other,
    }
}

#[tokio::test]
async fn every_recorded_answer_to_a_prompt_is_understood() {
    let fake = FakeComfy::start();
    let client = client_of(&fake);
    for name in all("prompt-", "json") {
        let exchange = recorded(&name);
        if exchange["request"]["method"] != "POST" {
            continue;
        }
        let (status, body) = (exchange["response"]["status"].as_u64().unwrap(), body(&name));
        let text = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
        fake.answer_with("/prompt", u16::try_from(status).unwrap(), "application/json", &text);
        let submitted = client.submit(&Submission::default()).await;
        match (status, submitted) {
            (200, Ok(Submitted::Accepted { prompt_id, number, node_errors })) => {
                assert_eq!(json!(prompt_id), body["prompt_id"], "{name}");
                assert_eq!(Some(number), body["number"].as_f64(), "{name}");
                assert_eq!(node_errors, body["node_errors"], "{name}");
            }
            (400, Ok(Submitted::Rejected { error, node_errors })) => {
                assert_eq!((error, node_errors), (body["error"].clone(), body["node_errors"].clone()), "{name}");
            }
            (500, Err(error)) => assert!(error.is_unavailable(), "{name}"),
            (status, other) => panic!("{name}: {status} became {other:?}"),
        }
    }
}

#[tokio::test]
async fn every_recorded_history_tells_how_the_prompt_ended() {
    let fake = FakeComfy::start();
    let client = client_of(&fake);
    let cases = [
        ("history-success", "completed", 0, 1),
        ("history-cached", "completed", 2, 1),
        ("history-slow", "completed", 0, 1),
        ("history-two-outputs", "completed", 0, 3),
        ("history-error", "failed at 5", 0, 0),
        ("history-interrupted", "interrupted at 5", 0, 0),
    ];
    for (name, ended, cached, outputs) in cases {
        let body = body(name);
        let id = body.as_object().unwrap().keys().next().unwrap().clone();
        fake.answer_with(&format!("/history/{id}"), 200, "application/json", &body.to_string());
        let execution = client.history(&id).await.unwrap().unwrap();
        let outcome = match &execution.outcome {
            Outcome::Completed => "completed".to_owned(),
            Outcome::Failed(failure) => format!("failed at {}", failure.node.as_deref().unwrap()),
            Outcome::Interrupted { node, .. } => format!("interrupted at {}", node.as_deref().unwrap()),
        };
        assert_eq!(outcome, ended, "{name}");
        assert_eq!((execution.cached.len(), execution.outputs.len()), (cached, outputs), "{name}");
        assert!(execution.started_at_ms < execution.ended_at_ms || name == "history-cached", "{name}");
    }
    for name in ["history-unknown", "history-while-running", "history-empty"] {
        fake.answer_with("/history/any", 200, "application/json", &body(name).to_string());
        assert_eq!(client.history("any").await.unwrap(), None, "{name}");
    }
}

#[tokio::test]
async fn the_recorded_queue_and_machine_are_understood() {
    let fake = FakeComfy::start();
    let client = client_of(&fake);
    fake.answer_with("/queue", 200, "application/json", &body("queue-running-and-pending").to_string());
    let queue = client.queue().await.unwrap();
    assert_eq!(queue.running[0].prompt_id, "2ed75a5c-2b21-437d-8b30-ae63a93940bc");
    assert_eq!(queue.running[0].client_id.as_deref(), Some("client-a"));
    assert!(queue.running[0].node_types.contains(&"SaveImage".to_owned()), "{:?}", queue.running[0].node_types);
    let numbers: Vec<f64> = queue.pending.iter().map(|row| row.number).collect();
    assert_eq!(numbers, [-5.5, -4.0, 3.0, 5.0, 6.0]);

    let stats = client.system_stats().await.unwrap();
    assert_eq!(stats.comfyui_version.as_deref(), Some("0.3.64"));
    assert_eq!(stats.python_version.as_deref(), Some("3.11.7"));
    assert_eq!((stats.devices[0].kind.as_str(), stats.devices[0].vram_total), ("cpu", 25_276_063_744));
}

#[tokio::test]
async fn every_frame_of_every_recorded_socket_session_becomes_its_event() {
    for name in all("ws-", "jsonl") {
        let text = std::fs::read_to_string(data::folder("recordings").join(&name).with_extension("jsonl")).unwrap();
        let frames: Vec<Value> =
            text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["json"].clone()).collect();
        let fake = FakeComfy::start();
        let (mut events, watching) = watch(&client_of(&fake), "replay", Backoff::default());
        let watching = tokio::spawn(watching);
        fake.wait_until(|fake| fake.sockets() == ["replay"]).await;
        frames.iter().for_each(|frame| fake.send_frame(frame));
        fake.send_frame(&json!({"type": "status", "data": {"status": {"exec_info": {"queue_remaining": 777}}}}));
        let mut got = Vec::new();
        loop {
            let event = tokio::time::timeout(Duration::from_secs(10), events.recv()).await.unwrap().unwrap();
            if event == (ComfyEvent::Status { queue_remaining: 777 }) {
                break;
            }
            got.push(kind_of(&event));
        }
        let known = frames.iter().map(|frame| frame["type"].as_str().unwrap()).filter(|kind| *kind != "feature_flags");
        let expected: Vec<&str> = ["connected", "status"].into_iter().chain(known).collect();
        assert_eq!(got, expected, "{name}");
        watching.abort();
    }
}

fn kind_of(event: &ComfyEvent) -> &'static str {
    match event {
        ComfyEvent::Connected => "connected",
        ComfyEvent::Disconnected { .. } => "disconnected",
        ComfyEvent::Status { .. } => "status",
        ComfyEvent::Started { .. } => "execution_start",
        ComfyEvent::Cached { .. } => "execution_cached",
        ComfyEvent::Executing { .. } => "executing",
        ComfyEvent::Progress { .. } => "progress",
        ComfyEvent::ProgressState { .. } => "progress_state",
        ComfyEvent::Executed { .. } => "executed",
        ComfyEvent::Succeeded { .. } => "execution_success",
        ComfyEvent::Failed { .. } => "execution_error",
        ComfyEvent::Interrupted { .. } => "execution_interrupted",
        ComfyEvent::Preview { .. } => "preview",
    }
}
