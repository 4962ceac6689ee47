//! Replacing what this server did not fetch is for admins, by every way in.

use serde_json::{Value, json};
use service::access::Role;
use test_support::file_server::Content;

use super::callers::{key, shell};
use crate::world::{Server, World, socket::Client};

async fn post(server: &Server, key: &str, path: &str, body: Value) -> (u16, Value) {
    let request = server.client.post(server.url(path)).bearer_auth(key).json(&body);
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn operate_is_forbidden_to_replace_hand_placed_files() {
    let mut world = World::new();
    let (ours, by_hand) = (Content::pattern(2, 70_000), Content::pattern(7, 70_000));
    let url = world.file("plain", "plain.bin", &ours);
    world.preset("PLAIN", &[("vae/plain.bin", &url)]);
    std::fs::create_dir_all(world.model("vae")).unwrap();
    std::fs::write(world.model("vae/plain.bin"), by_hand.to_vec()).unwrap();
    let server = world.serve().await;
    let access = shell(&world).await;
    let (operate, admin) = (key(&access, Role::Operate).await, key(&access, Role::Admin).await);
    let refetch = json!({"force": true, "refetch": true});
    let overwrite = json!({"url": url, "path": "vae/plain.bin", "overwrite": true});
    for (path, body) in [("/api/presets/plain/install", &refetch), ("/api/downloads", &overwrite)] {
        let (status, answer) = post(&server, &operate, path, body.clone()).await;
        let error = &answer["error"];
        assert_eq!((status, &error["code"]), (403, &json!("FORBIDDEN")), "{path}: {answer}");
        assert_eq!(error["details"]["paths"], json!(["vae/plain.bin"]), "{path}: {answer}");
    }
    let bearer = format!("Bearer {operate}");
    let mut socket = Client::try_connect(&server, "/ws", &[("authorization", &bearer)]).await.unwrap();
    let data = json!({"preset_id": "PLAIN", "force": true, "refetch": true});
    socket.say(json!({"type": "action", "action": "install_preset", "request_id": "1", "data": data})).await;
    let told = socket.hear_one_of(&["action_result"]).await;
    assert_eq!(told["data"]["error"]["code"], "FORBIDDEN", "{told}");
    assert!(world.holds("vae/plain.bin", &by_hand));

    let (status, started) = post(&server, &admin, "/api/presets/plain/install", refetch).await;
    assert_eq!(status, 202, "{started}");
    let download = started["download_id"].as_str().unwrap();
    let mut look = tokio::time::interval(std::time::Duration::from_millis(20));
    loop {
        look.tick().await;
        let answer =
            server.client.get(server.url(&format!("/api/downloads/{download}"))).bearer_auth(&admin).send().await;
        let found: Value = answer.unwrap().json().await.unwrap();
        match found["status"].as_str().unwrap() {
            "queued" | "downloading" | "verifying" => {}
            ended => break assert_eq!(ended, "completed", "{found}"),
        }
    }
    assert!(world.holds("vae/plain.bin", &ours));
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn preset_ids_in_addresses_take_any_spelling() {
    let mut world = World::new();
    let url = world.file("own", "own.bin", &Content::pattern(4, 1_000));
    world.preset("own-preset", &[("vae/own.bin", &url)]);
    let server = world.serve().await;
    for spelling in ["OWN_PRESET", "own-preset", "Own_Preset"] {
        assert_eq!(server.get(&format!("/api/presets/{spelling}")).await["id"], "OWN_PRESET");
        assert_eq!(server.get(&format!("/api/presets/{spelling}/status")).await["preset_id"], "OWN_PRESET");
    }
    assert_eq!(server.install("own-preset", json!({})).await["preset_id"], "OWN_PRESET");
    server.stop().await.unwrap();
}
