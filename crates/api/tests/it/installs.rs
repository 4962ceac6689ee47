//! Installs over the API, against a hub that behaves as the real one does on its bad days.

use std::time::Duration;

use serde_json::{Value, json};
use test_support::file_server::{Always, Content, Times};

use crate::world::{TIMEOUT, World, client, program::Process};

/// The address of a file of `acme/<repo>`.
fn url(repo: &str, name: &str) -> String {
    format!("https://huggingface.co/acme/{repo}/resolve/main/{name}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_stated_size_fails_nothing_and_the_real_one_is_told_afterwards() {
    let mut world = World::new();
    let one = world.file("sizes", "one.safetensors", &Content::pattern(1, 500_000));
    world.preset("SIZES", &[("loras/one.safetensors", &one)])["files"][0]["size"] = json!("9.8GB");
    let server = world.serve().await;
    let download = server.install("SIZES", json!({})).await;
    assert_eq!(download["status"], "completed", "{download}");
    let detail = server.get("/api/presets/SIZES").await;
    assert_eq!((&detail["installed"], &detail["files"][0]["size_bytes"]), (&json!(true), &json!(500_000)));
    let (status, refused) = server.json("POST", "/api/presets/SIZES/install", None).await;
    assert_eq!((status, &refused["error"]["code"]), (409, &json!("PRESET_ALREADY_INSTALLED")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_link_is_fetched_as_the_file_behind_it() {
    let mut world = World::new();
    let content = Content::pattern(3, 200_000);
    let link = world.file("pages", "a.safetensors", &content).replace("/resolve/", "/blob/");
    world.preset("PAGE", &[("vae/a.safetensors", &link)]);
    let server = world.serve().await;
    assert_eq!(server.install("PAGE", json!({})).await["status"], "completed");
    assert!(world.holds("vae/a.safetensors", &content));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_of_two_presets_is_one_file_where_it_is_the_same_and_a_conflict_where_not() {
    let mut world = World::new();
    let shared = world.file("shared", "clip.safetensors", &Content::pattern(4, 100_000));
    let other = world.file("other", "clip.safetensors", &Content::pattern(5, 100_000));
    world.preset("FIRST", &[("text_encoders/clip.safetensors", &shared)]);
    world.preset("SAME", &[("text_encoders/clip.safetensors", &shared)]);
    world.preset("OTHER", &[("text_encoders/clip.safetensors", &other)]);
    let server = world.serve().await;
    assert_eq!(server.install("FIRST", json!({})).await["status"], "completed");
    let before = world.hub.cdn().total_body_bytes_sent();
    let (status, _) = server.json("POST", "/api/presets/SAME/install", None).await;
    assert!(status == 202 || status == 409, "{status}");
    assert_eq!(world.hub.cdn().total_body_bytes_sent(), before, "a shared file is fetched once");

    let (status, refused) = server.json("POST", "/api/presets/OTHER/install", None).await;
    assert_eq!((status, &refused["error"]["code"]), (409, &json!("CONFLICT")), "{refused}");
    let words = refused.to_string();
    assert!(words.contains("FIRST") || words.contains("SAME"), "{words}");
    assert!(words.contains("OTHER"), "{words}");

    assert_eq!(server.install("OTHER", json!({"force": true})).await["status"], "completed");
    assert!(world.holds("text_encoders/clip.safetensors", &Content::pattern(5, 100_000)));
    let replaced = server.get("/api/presets/FIRST").await["replaced_files"].clone();
    assert_eq!(replaced, json!(["text_encoders/clip.safetensors"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_file_never_becomes_one_and_the_message_says_what_to_do() {
    let mut world = World::new();
    let page = world.hub.large_file("acme/html", "page.safetensors", Content::pattern(6, 100_000));
    page.cdn.login_page(Always);
    world.file("gated", "g.safetensors", &Content::pattern(7, 100_000));
    world.hub.gate("acme/gated");
    world.preset("HTML", &[("loras/page.safetensors", &url("html", "page.safetensors"))]);
    world.preset("GATED", &[("loras/g.safetensors", &url("gated", "g.safetensors"))]);
    world.preset("MISSING", &[("loras/m.safetensors", &url("html", "missing.safetensors"))]);
    let server = world.serve().await;
    for (preset, path, words) in [
        ("HTML", "loras/page.safetensors", &["HTML"][..]),
        ("GATED", "loras/g.safetensors", &["HF_TOKEN", "huggingface.co/acme/gated"]),
        ("MISSING", "loras/m.safetensors", &["404"]),
    ] {
        let download = server.install(preset, json!({})).await;
        assert_eq!((&download["status"], &download["error"]["code"]), (&json!("failed"), &json!("DOWNLOAD_FAILED")));
        let message = download["error"]["message"].as_str().unwrap();
        assert!(words.iter().all(|word| message.to_lowercase().contains(&word.to_lowercase())), "{preset}: {message}");
        assert_eq!(download["error"]["file"], path);
        assert!(!world.model(path).exists(), "{preset}");
        assert_eq!(server.get(&format!("/api/presets/{preset}/status")).await["status"], "failed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registered_token_without_the_licence_is_told_where_to_accept_it() {
    let mut world = World::new();
    world.file("gated", "g.safetensors", &Content::pattern(7, 100_000));
    world.hub.gate("acme/gated");
    world.hub.know_token("hf_known");
    world.preset("GATED", &[("loras/g.safetensors", &url("gated", "g.safetensors"))]);
    let world = world.flag("--hf-token=hf_known");
    let server = world.serve().await;
    let download = server.install("GATED", json!({})).await;
    let message = download["error"]["message"].as_str().unwrap();
    assert!(message.contains("huggingface.co/acme/gated") && !message.contains("hf_known"), "{message}");
    assert!(!world.hub.cdn_saw("hf_known"));
    world.hub.grant("hf_known", "acme/gated");
    let (status, _) = server.json("POST", &format!("/api/downloads/{}/resume", id(&download)), None).await;
    assert_eq!(status, 200);
    assert_eq!(server.end_of(id(&download)).await["status"], "completed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_with_a_broken_entry_serves_the_others() {
    let mut world = World::new();
    world.preset("BROKEN", &[("../outside.safetensors", &url("small", "one.safetensors"))]);
    let server = world.serve().await;
    assert_eq!(server.get("/api/presets").await["total"], 1);
    assert_eq!(server.install("SMALL", json!({})).await["status"], "completed");
    let (status, _) = server.json("POST", "/api/presets/BROKEN/install", None).await;
    assert_eq!(status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_path_leaves_the_models_folder_wherever_it_comes_in() {
    let world = World::new();
    let server = world.serve().await;
    let outside = world.folder.path().join("outside");
    std::fs::create_dir_all(world.model("")).unwrap();
    std::fs::create_dir_all(&outside).unwrap();
    std::fs::write(outside.join("kept.safetensors"), b"kept").unwrap();
    std::os::unix::fs::symlink(&outside, world.model("link")).unwrap();
    let source = url("small", "one.safetensors");
    for path in [
        "../outside/kept.safetensors",
        "/etc/passwd",
        "loras/../../x",
        "a\\b",
        "C:\\x",
        "loras/\u{0}x",
        "link/kept.safetensors",
        "",
        "loras/",
        "..",
    ] {
        let body = json!({"url": source, "path": path, "overwrite": true});
        let (status, refused) = server.json("POST", "/api/downloads", Some(body)).await;
        assert!((400..500).contains(&status), "{path:?}: {status} {refused}");
        let (status, answer) =
            server.json("DELETE", "/api/models", Some(json!({"paths": [path], "confirm": true}))).await;
        assert!((400..500).contains(&status) || answer["deleted"] == 0, "{path:?}: {status} {answer}");
    }
    for kind in ["..", "../outside", "/", "loras/../..", "a\\b"] {
        let body = json!({"url": source, "type": kind});
        let (status, refused) = server.json("POST", "/api/downloads", Some(body)).await;
        assert!((400..500).contains(&status), "{kind:?}: {status} {refused}");
    }
    let entries: Vec<_> = std::fs::read_dir(&outside).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(entries, ["kept.safetensors"]);
    assert_eq!(std::fs::read(outside.join("kept.safetensors")).unwrap(), b"kept");
}

/// How often the program is killed.
const KILLS: u64 = 20;
/// What may be fetched again for each unfinished file and kill.
const REFETCHED: u64 = 64 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn an_install_of_six_files_survives_twenty_kills() {
    let mut world = World::new();
    let contents: Vec<Content> = (0..6).map(|seed| Content::pattern(seed, 1_500_000)).collect();
    let mut files = Vec::new();
    for (number, content) in contents.iter().enumerate() {
        let name = format!("{number}.safetensors");
        let file = world.hub.large_file("acme/killed", &name, content.clone());
        file.cdn.cut_after(700_000, Times(1));
        files.push((format!("loras/{name}"), url("killed", &name)));
    }
    world.hub.cdn().set_rate_per_connection(300_000);
    let files: Vec<(&str, &str)> = files.iter().map(|(path, url)| (path.as_str(), url.as_str())).collect();
    world.preset("KILLED", &files);

    let mut process = Process::serve(&world).await;
    let install = format!("http://{}/api/presets/KILLED/install", process.address);
    let started: Value = client().post(install).send().await.unwrap().json().await.unwrap();
    for kill in 0..KILLS {
        // A different share of the next bytes each time, and at times before the first one.
        let more = (kill * 7919) % 11 * 20_000;
        let wanted = world.hub.cdn().total_body_bytes_sent() + more;
        let mut look = tokio::time::interval(Duration::from_millis(5));
        while world.hub.cdn().total_body_bytes_sent() < wanted {
            look.tick().await;
        }
        process.signal("-KILL");
        process.end(TIMEOUT).await;
        process = Process::serve(&world).await;
    }
    let total: u64 = contents.iter().map(Content::size).sum();
    assert!(whole_files(&world) < 6, "every kill met an install under way");
    world.hub.cdn().set_rate_per_connection(100_000_000);
    process.signal("-KILL");
    process.end(TIMEOUT).await;

    let server = world.serve().await;
    let ended = server.end_of(id(&started)).await;
    assert_eq!(ended["status"], "completed", "{ended}");
    for (number, content) in contents.iter().enumerate() {
        assert!(world.holds(&format!("loras/{number}.safetensors"), content), "{number}");
    }
    let left: Vec<_> = std::fs::read_dir(world.model("loras")).unwrap().flatten().collect();
    assert_eq!((left.len(), whole_files(&world)), (6, 6), "nothing but the files is left: {left:?}");
    assert!(world.hub.cdn().total_body_bytes_sent() <= total + KILLS * 6 * REFETCHED);
    let history = server.get("/api/downloads/history").await;
    assert_eq!((&history["total"], &history["downloads"][0]["id"]), (&json!(1), &started["download_id"]), "one story");
}

/// How many models are under their final name.
fn whole_files(world: &World) -> usize {
    let names = std::fs::read_dir(world.model("loras")).unwrap().flatten().map(|entry| entry.file_name());
    names.filter(|name| name.to_string_lossy().ends_with(".safetensors")).count()
}

/// The id of a download, in its own answer or in that of an install.
fn id(answer: &Value) -> &str {
    answer["download_id"].as_str().or(answer["id"].as_str()).unwrap()
}
