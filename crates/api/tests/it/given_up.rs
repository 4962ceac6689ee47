//! Clients that go away in the middle: what they asked for is done to its end and noted, and what they send too slowly is
//! given up.

use std::time::Duration;

use api::extract::BodyPace;
use serde_json::{Value, json};
use socket2::SockRef;
use test_support::{
    fake_comfy::FakeComfy,
    file_server::{Content, Nth},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::world::{Server, TIMEOUT, World, socket::Client};

/// Ends a connection as a process that is killed does: the other side hears a reset.
fn reset(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    drop(stream);
}

async fn until(mut wanted: impl AsyncFnMut() -> bool) {
    let watch = async {
        let mut look = tokio::time::interval(Duration::from_millis(2));
        while !wanted().await {
            look.tick().await;
        }
    };
    tokio::time::timeout(TIMEOUT, watch).await.expect("it is as wanted in time");
}

/// The operations of the audit trail, the latest first.
async fn noted(server: &Server) -> Vec<String> {
    let trail = server.get("/api/audit?per_page=100").await;
    let entries = trail["entries"].as_array().unwrap();
    entries.iter().map(|entry| entry["operation"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_asked_for_is_done_to_its_end_and_noted_though_its_client_goes_away() {
    let world = World::new();
    let paths: Vec<String> = (0..300).map(|number| format!("loras/{number:03}.bin")).collect();
    std::fs::create_dir_all(world.model("loras")).unwrap();
    paths.iter().for_each(|path| std::fs::write(world.model(path), b"x").unwrap());
    let server = world.serve().await;
    let body = json!({"paths": paths, "confirm": true}).to_string();
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).await.unwrap();
    let head = format!(
        "DELETE /api/models HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        server.port,
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    until(async || !world.model(&paths[0]).exists()).await;
    assert!(world.model(&paths[299]).exists(), "it is at work");
    reset(stream);
    until(async || !world.model(&paths[299]).exists()).await;
    until(async || noted(&server).await.contains(&"delete_models".to_owned())).await;
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_action_is_done_and_noted_though_the_client_of_the_socket_has_gone() {
    let mut world = World::new();
    let file = world.hub.large_file("acme/slow", "slow.bin", Content::pattern(3, 1000));
    let asked = file.resolve.stall_before_head(Nth(1));
    world.preset("SLOW", &[("loras/slow.bin", "https://huggingface.co/acme/slow/resolve/main/slow.bin")]);
    let server = world.serve_with(|config| config.socket_pace.ping = Duration::from_millis(5)).await;
    let mut client = Client::connect(&server).await;
    client.say(json!({"type": "action", "action": "install_preset", "data": {"preset_id": "SLOW"}})).await;
    until(async || !asked.requests().is_empty()).await;
    reset(client.0.into_inner());
    until(async || noted(&server).await == ["install_preset"]).await;
    assert_eq!(server.get("/api/downloads").await["total"], 1);
    server.stop().await.unwrap();
}

/// Begins an upload that never comes to its end, and hears what becomes of it.
async fn begin_upload(server: &Server) -> (u16, Value) {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).await.unwrap();
    let head = format!(
        "POST /api/inputs?filename=face.png HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Length: 1000\r\n\r\n0123456789",
        server.port
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(TIMEOUT, stream.read_to_end(&mut answer));
    let _ = read.await.expect("the upload is given up in time");
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), serde_json::from_str(body).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_does_not_go_on_is_given_up_and_its_connection_ended() {
    let comfy = FakeComfy::start();
    let world = World::new().beside(&comfy);
    let pace = BodyPace { grace: Duration::from_millis(200), bytes_per_second: 1 << 20 };
    let server = world.serve_with(|config| config.body_pace = pace).await;
    let (status, refused) = begin_upload(&server).await;
    assert_eq!((status, &refused["error"]["code"]), (400, &json!("INVALID_REQUEST")), "{refused}");
    assert!(refused["error"]["message"].as_str().unwrap().contains("too slowly"), "{refused}");
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_comfyui_does_not_take_is_answered_before_the_rest_has_come() {
    let comfy = FakeComfy::start();
    let world = World::new().beside(&comfy);
    comfy.go_down();
    let server = world.serve().await;
    let (status, refused) = begin_upload(&server).await;
    assert_eq!((status, &refused["error"]["code"]), (503, &json!("COMFYUI_UNAVAILABLE")), "{refused}");
    server.stop().await.unwrap();
}
