//! The socket: what a client can say, what it hears, and how it ends.

use std::collections::BTreeMap;
use std::time::Duration;

use api::ws::SocketPace;

use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio_tungstenite::tungstenite::{Message, protocol::frame::coding::CloseCode};

use crate::world::{World, socket::Client, with_busy_processors};

#[tokio::test(flavor = "multi_thread")]
async fn an_install_is_heard_from_its_queueing_to_its_end() {
    let world = World::new();
    let server = world.serve().await;
    let mut client = Client::connect(&server).await;
    client.say(json!({"type": "subscribe", "channels": ["downloads"], "request_id": 7})).await;
    let subscribed = client.hear().await;
    assert_eq!((&subscribed["type"], &subscribed["request_id"]), (&json!("subscribed"), &json!(7)));
    assert_eq!(subscribed["data"]["channels"], json!(["downloads"]));

    let action =
        json!({"type": "action", "action": "install_preset", "data": {"preset_id": "SMALL"}, "request_id": "a"});
    client.say(action).await;
    let mut heard = vec![subscribed];
    while heard.last().unwrap()["type"] != "download_complete" {
        heard.push(client.hear().await);
    }
    let numbers: Vec<u64> = heard.iter().map(|message| message["seq"].as_u64().unwrap()).collect();
    assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
    assert!(heard.iter().all(|message| message["timestamp"].as_str().unwrap().ends_with('Z')));
    let of = |kind: &str| {
        heard.iter().find(|message| message["type"] == kind).unwrap_or_else(|| panic!("{kind}: {heard:#?}"))
    };
    let result = &of("action_result")["data"];
    assert_eq!((&result["status"], &result["request_id"]), (&json!("success"), &json!("a")));
    let download = result["result"]["download_id"].clone();
    assert_eq!(of("download_queued")["data"]["download_id"], download);
    let complete = &of("download_complete")["data"];
    assert_eq!((&complete["download_id"], &complete["preset_id"]), (&download, &json!("SMALL")));
    assert_eq!(complete["status"], "success");
    assert!(complete["time_taken_seconds"].is_u64());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_begins_with_how_things_stand() {
    let mut world = World::new();
    let gate = world.hold_a_preset();
    let server = world.serve().await;
    let (_, started) = server.json("POST", "/api/presets/HELD/install", None).await;
    let download = started["download_id"].as_str().unwrap();
    server.until(download, |state| state == "downloading").await;

    let mut client = Client::connect(&server).await;
    client.say(json!({"type": "subscribe", "channels": ["downloads", "queue", "system", "workflows"]})).await;
    assert_eq!(client.hear().await["type"], "subscribed");
    // Ticks may come between them, and in which order the channels come is nobody's business.
    let mut standing = BTreeMap::new();
    while !(standing.contains_key("download_progress") && standing.contains_key("system_status")) {
        let message = client.hear().await;
        assert!(message["seq"].as_u64().unwrap() < 100, "no snapshot came: {standing:?}");
        if message["snapshot"] == true {
            standing.insert(message["type"].as_str().unwrap().to_owned(), message);
        }
    }
    let (system, snapshot) = (&standing["system_status"], &standing["download_progress"]);
    assert!(system["data"]["memory_usage"].is_number(), "{system}");
    assert_eq!(snapshot["data"]["download_id"], download);
    for key in ["preset_id", "progress", "current_file", "speed", "eta", "files"] {
        assert!(snapshot["data"].get(key).is_some(), "{key}");
    }
    gate.open();
    client.hear_one_of(&["download_complete"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn system_status_follows_the_machine() {
    let server = World::new().serve_with(|config| config.service.sample_interval = Duration::from_millis(50)).await;
    let mut client = Client::connect(&server).await;
    client.say(json!({"type": "subscribe", "channels": ["system"]})).await;
    let mut usage = async || client.hear_one_of(&["system_status"]).await["data"]["cpu_usage"].clone();
    let first = usage().await;
    // How busy a machine gets is not for a test to say: others run on it, and a container may have less than one processor.
    with_busy_processors(async { while usage().await == first {} });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_is_paused_resumed_and_cancelled_by_actions() {
    let mut world = World::new();
    let _gate = world.hold_a_preset();
    let server = world.serve().await;
    let (_, started) = server.json("POST", "/api/presets/HELD/install", None).await;
    let download = started["download_id"].as_str().unwrap();
    server.until(download, |state| state == "downloading").await;
    let mut client = Client::connect(&server).await;
    client.say(json!({"type": "subscribe", "channels": ["downloads"]})).await;
    for (action, event) in [
        ("pause_download", "download_paused"),
        ("resume_download", "download_resumed"),
        ("cancel_download", "download_cancelled"),
    ] {
        client.say(json!({"type": "action", "action": action, "data": {"download_id": download}})).await;
        let mut waited = vec!["action_result", event];
        while !waited.is_empty() {
            let message = client.hear_one_of(&waited).await;
            waited.retain(|kind| message["type"] != *kind);
            if message["type"] == "action_result" {
                assert_eq!(
                    (&message["data"]["status"], &message["data"]["action"]),
                    (&json!("success"), &json!(action))
                );
                assert!(message["data"]["request_id"].is_null());
            }
        }
    }
    client.say(json!({"type": "action", "action": "cancel_download", "data": {"download_id": "dl_none"}})).await;
    let refused = client.hear_one_of(&["action_result"]).await;
    assert_eq!((&refused["data"]["status"], &refused["data"]["error"]["code"]), (&json!("error"), &json!("NOT_FOUND")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_heard_as_an_error_and_as_a_failed_download() {
    let mut world = World::new();
    world.preset(
        "GONE",
        &[("loras/gone.safetensors", "https://huggingface.co/acme/none/resolve/main/gone.safetensors")],
    );
    let server = world.serve().await;
    let mut client = Client::connect(&server).await;
    client.say(json!({"type": "subscribe", "channels": ["downloads"]})).await;
    let (_, started) = server.json("POST", "/api/presets/GONE/install", None).await;
    let error = client.hear_one_of(&["error"]).await["data"].clone();
    assert_eq!(error["code"], "DOWNLOAD_FAILED");
    assert_eq!(error["details"]["download_id"], started["download_id"]);
    assert_eq!(error["details"]["file"], "loras/gone.safetensors");
    assert!(error["details"]["error"].is_string(), "{error}");
    let failed = client.hear_one_of(&["download_failed"]).await["data"].clone();
    assert_eq!(
        (&failed["download_id"], &failed["error"]["code"]),
        (&started["download_id"], &json!("DOWNLOAD_FAILED"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_understood_is_answered_and_the_connection_stays() {
    let server = World::new().serve().await;
    let mut client = Client::connect(&server).await;
    for (said, parameter) in [
        ("{", "message"),
        ("[1]", "message"),
        (r#"{"type": 3}"#, "message"),
        (r#"["ping", [], false, "", {}, 1]"#, "message"),
        ("{}", "type"),
        (r#"{"type": "dance"}"#, "type"),
        (r#"{"type": "subscribe"}"#, "channels"),
        (r#"{"type": "subscribe", "channels": ["weather"]}"#, "channels"),
        (r#"{"type": "action", "action": "format_disk"}"#, "action"),
    ] {
        client.say_text(said).await;
        let answer = client.hear_one_of(&["error"]).await;
        assert_eq!(answer["data"]["code"], "INVALID_REQUEST", "{said}: {answer}");
        assert_eq!(answer["data"]["details"]["parameter"], parameter, "{said}: {answer}");
    }
    client.say_text(r#"{"type": "action", "action": "install_preset", "data": {}}"#).await;
    let refused = client.hear_one_of(&["action_result"]).await;
    assert_eq!(refused["data"]["error"]["details"]["parameter"], "data.preset_id");
    client.say(json!({"type": "ping", "request_id": "still here"})).await;
    assert_eq!(client.hear_one_of(&["pong"]).await["request_id"], "still here");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_unsubscribes_hears_no_more() {
    let world = World::new();
    let server = world.serve().await;
    let mut client = Client::connect(&server).await;
    client.say(json!({"type": "subscribe", "channels": ["downloads", "queue"]})).await;
    client.say(json!({"type": "unsubscribe", "channels": ["downloads"]})).await;
    assert_eq!(client.hear_one_of(&["unsubscribed"]).await["data"]["channels"], json!(["queue"]));
    server.install("SMALL", json!({})).await;
    client.say(json!({"type": "ping"})).await;
    assert_eq!(client.hear().await["type"], "pong");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_pings_and_a_silent_client_is_closed() {
    let pace = SocketPace { ping: Duration::from_millis(50), silence: Duration::from_millis(1500) };
    let server = World::new().serve_with(|config| config.socket_pace = pace).await;
    // This client answers pings by itself, as long as somebody reads.
    let mut lively = Client::connect(&server).await;
    let silent = Client::connect(&server).await;
    let until = tokio::time::Instant::now() + 2 * pace.silence;
    let mut pings = 0;
    while let Ok(Some(Ok(message))) = tokio::time::timeout_at(until, futures_util::StreamExt::next(&mut lively.0)).await
    {
        pings += usize::from(matches!(message, Message::Ping(_)));
    }
    assert!(pings >= 3, "{pings} pings");
    lively.say(json!({"type": "ping"})).await;
    assert_eq!(lively.hear().await["type"], "pong");
    // Read as bytes: a client would answer the pings that wait before the farewell.
    let mut waiting = Vec::new();
    silent.0.into_inner().read_to_end(&mut waiting).await.unwrap();
    let policy = 1008_u16.to_be_bytes();
    let farewell = waiting.windows(4).any(|frame| frame[0] == 0x88 && frame[2..] == policy);
    assert!(farewell, "{waiting:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_beyond_one_mebibyte_ends_the_connection() {
    let server = World::new().serve().await;
    let mut client = Client::connect(&server).await;
    let large = json!({"type": "ping", "request_id": "a".repeat(1 << 20)}).to_string();
    let _ = futures_util::SinkExt::send(&mut client.0, Message::text(large)).await;
    assert_eq!(client.hear_end().await.expect("a farewell").code, CloseCode::Size);
    let mut other = Client::connect(&server).await;
    let nearly = json!({"type": "ping", "request_id": "a".repeat((1 << 20) - 100)});
    other.say(nearly).await;
    assert_eq!(other.hear().await["type"], "pong");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_named_subprotocol_is_selected() {
    let server = World::new().serve().await;
    let offered: &[(&str, &str)] = &[("sec-websocket-protocol", "comfyui-dashboard")];
    let mut client = Client::try_connect(&server, "/api/ws", offered).await.unwrap();
    client.say(json!({"type": "ping"})).await;
    let pong: Value = client.hear().await;
    assert_eq!(pong["type"], "pong");
}
