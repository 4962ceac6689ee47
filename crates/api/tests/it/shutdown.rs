//! How the server ends: sockets told, transfers parked, nothing lost.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::world::{World, client, program::Process, socket::Client};

#[tokio::test(flavor = "multi_thread")]
async fn sockets_are_closed_with_1001_and_a_transfer_goes_on_at_the_next_start() {
    let mut world = World::new();
    let gate = world.hold_a_preset();
    let server = world.serve().await;
    let mut client = Client::connect(&server).await;
    client.say(json!({"type": "subscribe", "channels": ["downloads"]})).await;
    let (_, started) = server.json("POST", "/api/presets/HELD/install", None).await;
    let download = started["download_id"].as_str().unwrap().to_owned();
    server.until(&download, |state| state == "downloading").await;

    let began = Instant::now();
    let (ended, frame) = tokio::join!(server.stop(), client.hear_end());
    ended.unwrap();
    assert_eq!(frame.map(|frame| frame.code), Some(CloseCode::Away));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());

    gate.open();
    let server = world.serve().await;
    assert_eq!(server.end_of(&download).await["status"], "completed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_ends_the_process_in_order() {
    for signal in ["-TERM", "-INT"] {
        let world = World::new();
        let process = Process::serve(&world).await;
        let answer = client().get(format!("http://{}/health", process.address)).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        process.signal(signal);
        assert!(process.end(Duration::from_secs(10)).await.success(), "{signal}");
    }
}
