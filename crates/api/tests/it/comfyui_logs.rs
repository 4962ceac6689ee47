//! ComfyUI's own log, followed: from its file or from what it tells, with no line twice and none missed.

use std::{fs, io::Write, path::Path, time::Duration};

use futures_util::{Stream, StreamExt};
use serde_json::{Value, json};
use service::logs::{LogLevel, LogLine, LogRing, LogService};
use test_support::fake_comfy::FakeComfy;

use crate::world::{Server, TIMEOUT, World};

const RAW: &str = "/internal/logs/raw";

async fn serve(world: &World, ring: &LogRing) -> Server {
    let change = |config: &mut api::Config| {
        config.service.logs = ring.clone();
        config.service.comfy.log_interval = Duration::from_millis(10);
        config.service.comfy.probe_interval = Duration::from_millis(20);
    };
    world.serve_with(change).await
}

/// What a follower heard.
struct Follower<S> {
    chunks: S,
    heard: String,
}

async fn follow(server: &Server, query: &str) -> Follower<impl Stream<Item = reqwest::Result<bytes::Bytes>> + Unpin> {
    let answer = server.client.get(server.url(&format!("/api/system/logs?follow=true&{query}"))).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    Follower { chunks: Box::pin(answer.bytes_stream()), heard: String::new() }
}

impl<S: Stream<Item = reqwest::Result<bytes::Bytes>> + Unpin> Follower<S> {
    /// Every message so far, once this one is heard.
    async fn until(&mut self, last: &str) -> Vec<String> {
        let listen = async {
            while self.messages().last().map(String::as_str) != Some(last) {
                self.heard += std::str::from_utf8(&self.chunks.next().await.unwrap().unwrap()).unwrap();
            }
        };
        tokio::time::timeout(TIMEOUT, listen)
            .await
            .unwrap_or_else(|_| panic!("{last:?} is heard after {}", self.heard));
        self.messages()
    }

    fn messages(&self) -> Vec<String> {
        let whole = self.heard.rsplit_once("\n\n").map_or("", |(whole, _)| whole);
        let lines = whole.split("\n\n").filter_map(|event| event.strip_prefix("data: "));
        lines.map(|line| message(&serde_json::from_str(line).unwrap())).collect()
    }
}

fn message(line: &Value) -> String {
    line["message"].as_str().unwrap().to_owned()
}

/// The same lines, asked for.
async fn asked(server: &Server, query: &str) -> Vec<String> {
    let answer = server.get(&format!("/api/system/logs?lines=5000&{query}")).await;
    answer["logs"].as_array().unwrap().iter().map(message).collect()
}

fn append(path: &Path, text: &str) {
    fs::File::options().create(true).append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn its_file_is_followed_through_a_rotation_and_a_truncation() {
    let world = World::new();
    let file = world.folder.path().join("comfyui.log");
    append(&file, "zero\none\n");
    let world = world.flag("--comfyui-log-file").flag(file.to_str().unwrap());
    let server = serve(&world, &LogRing::default()).await;
    let mut follower = follow(&server, "service=comfyui&lines=1").await;
    assert_eq!(follower.until("one").await, ["one"]);
    append(&file, "two\nthr");
    follower.until("two").await;
    append(&file, "ee\n");
    follower.until("three").await;
    fs::rename(&file, file.with_extension("1")).unwrap();
    append(&file.with_extension("1"), "the last of the old\n");
    append(&file, "the first of the new\n");
    follower.until("the first of the new").await;
    fs::write(&file, "written over\n").unwrap();
    let many: Vec<String> = (0..3000).map(|number| format!("line {number}")).collect();
    follower.until("written over").await;
    append(&file, &(many.join("\n") + "\n"));
    let heard = follower.until("line 2999").await;
    let before = ["one", "two", "three", "the last of the old", "the first of the new", "written over"];
    let wanted: Vec<String> = before.map(str::to_owned).into_iter().chain(many).collect();
    assert!(heard == wanted, "{:?} … of {}", &heard[..10], heard.len());
    assert_eq!(asked(&server, "service=comfyui").await[1..], wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn its_lines_and_ours_are_told_by_service_level_and_word() {
    let world = World::new();
    let file = world.folder.path().join("comfyui.log");
    append(&file, "[WARNING] an old cat\n");
    let world = world.flag("--comfyui-log-file").flag(file.to_str().unwrap());
    let ring = LogRing::default();
    let server = serve(&world, &ring).await;
    let ours = |level, text: &str| {
        let message = text.to_owned();
        let at = jiff::Timestamp::UNIX_EPOCH;
        ring.push(LogLine { at, level, service: LogService::Dashboard, message, request_id: None });
    };
    let mut of_both = follow(&server, "level=warn&search=CAT").await;
    let mut of_comfyui = follow(&server, "service=comfyui&level=warn").await;
    let mut of_ours = follow(&server, "service=dashboard").await;
    append(&file, "a cat\n[ERROR] a dog\n");
    of_comfyui.until("[ERROR] a dog").await;
    ours(LogLevel::Info, "our cat");
    ours(LogLevel::Warn, "our dog");
    ours(LogLevel::Error, "our last cat");
    of_ours.until("our last cat").await;
    append(&file, "[WARNING] the last cat\n");
    let heard = of_both.until("[WARNING] the last cat").await;
    assert_eq!(heard, ["[WARNING] an old cat", "our last cat", "[WARNING] the last cat"]);
    let heard = of_comfyui.until("[WARNING] the last cat").await;
    assert_eq!(heard, ["[WARNING] an old cat", "[ERROR] a dog", "[WARNING] the last cat"]);
    assert_eq!(of_ours.messages(), ["our cat", "our dog", "our last cat"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_file_it_is_asked_as_long_as_somebody_follows() {
    let comfy = FakeComfy::start();
    let tell = |texts: &[&str]| {
        let entry = |(at, text): (usize, &&str)| json!({"t": format!("2026-11-23T21:15:{at:02}.5"), "m": text});
        let entries: Vec<Value> = texts.iter().enumerate().map(entry).collect();
        comfy.answer_with(RAW, 200, "application/json", &json!({"entries": entries, "size": null}).to_string());
    };
    let times_asked = || comfy.requests().iter().filter(|seen| seen.target == RAW).count();
    tell(&["zero\n", "one\n"]);
    let server = serve(&World::new().beside(&comfy), &LogRing::default()).await;
    comfy.wait_until(|comfy| comfy.requests().iter().filter(|seen| seen.target == "/system_stats").count() > 3).await;
    assert_eq!(times_asked(), 0, "nobody wants to know");

    let mut follower = follow(&server, "service=comfyui&lines=1").await;
    follower.until("one").await;
    tell(&["zero\n", "one\n", "\r10%"]);
    follower.until("10%").await;
    // ComfyUI replaces the last line while it shows progress.
    tell(&["zero\n", "one\n", "\r99%"]);
    tell(&["zero\n", "one\n", "\r99%", "two\n"]);
    let heard = follower.until("two").await;
    assert!(heard == ["one", "10%", "99%", "two"], "{heard:?}");
    assert_eq!(asked(&server, "service=comfyui").await.last().unwrap(), "two");
}
