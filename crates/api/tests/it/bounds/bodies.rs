//! Bodies: what they become in memory, how many are held at once, and how much of them an error repeats.

use api::LargeBodyLimits;
use serde_json::{Value, json};
use service::access::Role;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::frames::anonymous_memory;
use crate::access::{key, shell};
use crate::world::{Server, TIMEOUT, World, client, program::Process, socket::Client};

const REQUIREMENTS: &str = "/api/workflows/requirements";

/// A body with this many arrays in it.
fn arrays(count: usize) -> String {
    let arrays = vec!["[0]"; count].join(",");
    format!(r#"{{"workflow":{{"a":[{arrays}]}}}}"#)
}

async fn post(address: &str, path: &str, body: String) -> (u16, Value) {
    let request = client().post(format!("http://{address}{path}")).header("Content-Type", "application/json");
    let answer = request.body(body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

fn address(server: &Server) -> String {
    format!("127.0.0.1:{}", server.port)
}

#[tokio::test(flavor = "multi_thread")]
async fn json_of_too_many_values_or_levels_is_413() {
    let server = World::new().serve().await;
    let deep = format!(r#"{{"workflow":{}1{}}}"#, r#"{"a":"#.repeat(64), "}".repeat(64));
    for (body, detail, limit) in [
        (arrays(2_500_000), "limit_values", 200_000),
        (arrays(100_000), "limit_values", 200_000),
        (deep, "limit_levels", 64),
    ] {
        let (status, refused) = post(&address(&server), REQUIREMENTS, body).await;
        assert_eq!((status, &refused["error"]["code"]), (413, &json!("PAYLOAD_TOO_LARGE")), "{refused}");
        assert_eq!(refused["error"]["details"][detail], limit, "{refused}");
    }
    let (status, answer) = post(&address(&server), REQUIREMENTS, arrays(99_000)).await;
    assert_ne!(status, 413, "{answer}");
    let text = json!({"workflow": {"a": "[[{,".repeat(1 << 20)}}).to_string();
    let (status, answer) = post(&address(&server), REQUIREMENTS, text).await;
    assert_ne!(status, 413, "brackets in a string are no values: {answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_socket_message_of_too_many_values_is_refused() {
    let server = World::new().serve().await;
    let mut client = Client::connect(&server).await;
    client.say_text(&format!(r#"{{"type":"ping","data":[{}0]}}"#, "[0],".repeat(100_000))).await;
    let refused = client.hear_one_of(&["error"]).await;
    assert_eq!(refused["data"]["code"], "PAYLOAD_TOO_LARGE", "{refused}");
    client.say(json!({"type": "ping", "request_id": {"any": ["value", 1.0]}})).await;
    assert_eq!(client.hear_one_of(&["pong"]).await["request_id"], json!({"any": ["value", 1.0]}));
}

/// Data that would be refused by its parser is not even looked at for a key that may not act.
#[tokio::test(flavor = "multi_thread")]
async fn the_role_is_judged_before_the_data_is_parsed() {
    let world = World::new();
    let server = world.serve().await;
    let access = shell(&world).await;
    for (role, code) in [(Role::Read, "FORBIDDEN"), (Role::Operate, "INVALID_REQUEST")] {
        let bearer = format!("Bearer {}", key(&access, role).await);
        let mut client = Client::try_connect(&server, "/ws", &[("authorization", &bearer)]).await.unwrap();
        for data in [r#"["no object"]"#, r#"{"workflow": 1, "priority": "high"}"#] {
            client.say_text(&format!(r#"{{"type":"action","action":"execute_workflow","data":{data}}}"#)).await;
            let result = client.hear_one_of(&["action_result"]).await;
            assert_eq!(result["data"]["error"]["code"], code, "{data}: {result}");
        }
    }
}

/// Begins a large body and leaves the rest of it unsent.
async fn begin_body(server: &Server, bytes: usize) -> TcpStream {
    let mut stream = TcpStream::connect(address(server)).await.unwrap();
    let head = format!(
        "POST {REQUIREMENTS} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n",
        address(server)
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&vec![b' '; bytes]).await.unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_share_a_room_and_small_ones_need_none() {
    let limits = LargeBodyLimits { total_bytes: 1 << 20, caller_bytes: 300_000 };
    let server = World::new().serve_with(|config| config.large_bodies = limits).await;
    // A body that arrives while another one is read is refused itself, so each try begins one more: one of them holds the room.
    let mut held = Vec::new();
    let large = || json!({"workflow": {"a": "x".repeat(100_000)}}).to_string();
    let until_refused = async {
        loop {
            held.push(begin_body(&server, 250_000).await);
            let request = server.client.post(server.url(REQUIREMENTS)).header("Content-Type", "application/json");
            let answer = request.body(large()).send().await.unwrap();
            if answer.status() == 503 && answer.headers().contains_key("retry-after") {
                return answer.json::<Value>().await.unwrap();
            }
        }
    };
    let refused = tokio::time::timeout(TIMEOUT, until_refused).await.expect("the room is taken");
    assert_eq!(refused["error"]["code"], "SERVER_BUSY", "{refused}");
    let small = json!({"workflow": {"a": "x".repeat(60_000)}}).to_string();
    let (status, answer) = post(&address(&server), REQUIREMENTS, small).await;
    assert_ne!(answer["error"]["code"], "SERVER_BUSY", "{status}");
    drop(held);
    let until_free =
        async { while post(&address(&server), REQUIREMENTS, large()).await.1["error"]["code"] == "SERVER_BUSY" {} };
    tokio::time::timeout(TIMEOUT, until_free).await.expect("the room of a body that is gone is free again");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_repeats_little_of_what_was_sent() {
    let world = World::new();
    let process = Process::serve(&world).await;
    let long = "A".repeat(50_000);
    for (method, path, body) in [
        ("POST", "/api/presets/SMALL/install".to_owned(), Some(json!({"priority": "x".repeat(900_000)}))),
        ("POST", "/api/downloads".to_owned(), Some(json!({"x".repeat(900_000): 1, "url": 3}))),
        ("POST", "/api/downloads".to_owned(), Some(json!({"url": "y".repeat(900_000), "path": "a"}))),
        ("GET", format!("/api/presets/{long}"), None),
        ("GET", format!("/api/{long}"), None),
        ("GET", format!("/api/presets?envelope={}", &long[..10_000]), None),
        ("GET", format!("/api/models/{long}"), None),
    ] {
        let (status, refused) = process.json(method, &path, body).await;
        assert!((400..500).contains(&status), "{status}");
        let message = refused["error"]["message"].as_str().unwrap();
        assert!(message.chars().count() <= 400, "{message}");
        let details = refused["error"]["details"].as_object().unwrap();
        for (name, detail) in details {
            let chars = detail.as_str().map_or(0, |text| text.chars().count());
            assert!(chars <= 200, "{name} of {chars} characters");
        }
    }
    let (_, log) = process.json("GET", "/api/system/logs?lines=1000", None).await;
    let lines = log["logs"].as_array().unwrap();
    assert!(lines.iter().any(|line| line["message"].as_str().unwrap().contains("AAA")), "the refusals are logged");
    assert!(lines.iter().all(|line| line["message"].as_str().unwrap().len() < 1000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_body_is_refused_and_not_unpacked() {
    let server = World::new().serve().await;
    for encoding in ["gzip", "br", "zstd", "deflate", "identity, gzip"] {
        let request = server.client.post(server.url("/api/downloads")).header("Content-Type", "application/json");
        let answer = request.header("Content-Encoding", encoding).body("{}").send().await.unwrap();
        assert_eq!(answer.status(), 415, "{encoding}");
    }
}

/// Large bodies of as many values as are accepted: what they took is given back to the machine. An allocator that keeps it
/// holds 150 MB and more after ten of them; some 50 MB remain in a debug build.
#[tokio::test(flavor = "multi_thread")]
async fn memory_of_large_bodies_is_given_back() {
    let world = World::new();
    let process = Process::serve(&world).await;
    let arrays = vec!["[0]"; 99_000].join(",");
    let body = format!(r#"{{"workflow":{{"a":[{arrays}],"b":"{}"}}}}"#, "x".repeat(9_500_000));
    post(&process.address, REQUIREMENTS, arrays_only()).await;
    let before = anonymous_memory(&process);
    for _ in 0..10 {
        let (status, answer) = post(&process.address, REQUIREMENTS, body.clone()).await;
        assert_ne!(status, 413, "{answer}");
    }
    let settles = async {
        let mut look = tokio::time::interval(std::time::Duration::from_millis(50));
        loop {
            look.tick().await;
            let grown = anonymous_memory(&process).saturating_sub(before);
            if grown < 100 << 20 {
                return;
            }
        }
    };
    let outcome = tokio::time::timeout(TIMEOUT, settles).await;
    let grown = anonymous_memory(&process).saturating_sub(before);
    assert!(outcome.is_ok(), "{} MB stay of ten bodies", grown >> 20);
}

fn arrays_only() -> String {
    arrays(10)
}
