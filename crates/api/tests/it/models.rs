//! Models as the interface shows them, when files change by hand.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};
use service::models::ExtraModelPaths;
use test_support::{fake_comfy::FakeComfy, file_server::Content};

use crate::world::{Server, TIMEOUT, World, socket::Client};

/// A whole safetensors file of one tensor of `n` bytes.
fn safetensors(n: usize) -> Vec<u8> {
    let head = format!(
        "{{\"__metadata__\":{{\"format\":\"pt\"}},\"t\":{{\"dtype\":\"U8\",\"shape\":[{n}],\"data_offsets\":[0,{n}]}}}}"
    );
    let mut bytes = (head.len() as u64).to_le_bytes().to_vec();
    bytes.extend(head.as_bytes());
    bytes.extend((0..n).map(|at| (at % 251) as u8));
    bytes
}

fn place(world: &World, path: &str, bytes: &[u8]) {
    fs::create_dir_all(world.model(path).parent().unwrap()).unwrap();
    fs::write(world.model(path), bytes).unwrap();
}

async fn until(server: &Server, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let watch = async {
        let mut turns = tokio::time::interval(Duration::from_millis(20));
        loop {
            turns.tick().await;
            let answer = server.get(path).await;
            if wanted(&answer) {
                return answer;
            }
        }
    };
    tokio::time::timeout(TIMEOUT, watch).await.expect("the answer is as wanted in time")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_shows_what_its_head_declares_and_is_gone_when_its_file_is() {
    let world = World::new();
    place(&world, "loras/deep/mine.safetensors", &safetensors(500));
    place(&world, "loras/evil.pt", b"\x80\x02cposix\nsystem\nq\x00X\x02\x00\x00\x00lsq\x01\x85q\x02Rq\x03.");
    let server = world.serve().await;
    let detail = server.get("/api/models/loras/deep/mine.safetensors").await;
    assert_eq!((&detail["format"], &detail["whole"]), (&json!("safetensors"), &json!(true)));
    assert_eq!(detail["header"]["dtypes"], json!({"U8": 500}));
    assert_eq!(detail["header"]["metadata"], json!({"format": "pt"}));
    assert!(detail["safety"].is_null());
    let evil = server.get("/api/models/loras%2Fevil.pt").await;
    assert_eq!((&evil["safety"], &evil["safety_reason"]), (&json!("unsafe"), &json!("posix.system")));
    assert!(evil["header"].is_null());
    fs::remove_file(world.model("loras/deep/mine.safetensors")).unwrap();
    for gone in ["loras/deep/mine.safetensors", "loras/deep", "..%2Fdata%2Fdashboard.db", "%00", "loras"] {
        let (status, refused) = server.json("GET", &format!("/api/models/{gone}"), None).await;
        assert_eq!((status, refused["error"]["code"].as_str()), (404, Some("MODEL_NOT_FOUND")), "{gone}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn models_are_filtered_sorted_and_cut_into_pages() {
    let world = World::new();
    // Path, bytes of its tensor, and when it was written.
    for (path, bytes, second) in
        [("vae/b.sft", 30, 1), ("loras/Cat.sft", 10, 4), ("loras/dog.sft", 40, 2), ("clip/a.sft", 20, 3)]
    {
        place(&world, path, &safetensors(bytes));
        let file = fs::File::options().write(true).open(world.model(path)).unwrap();
        file.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(second)).unwrap();
    }
    let server = world.serve().await;
    for (query, wanted) in [
        ("", vec!["clip/a.sft", "loras/Cat.sft", "loras/dog.sft", "vae/b.sft"]),
        ("sort=path&order=desc", vec!["vae/b.sft", "loras/dog.sft", "loras/Cat.sft", "clip/a.sft"]),
        ("sort=size", vec!["loras/Cat.sft", "clip/a.sft", "vae/b.sft", "loras/dog.sft"]),
        ("sort=size&order=desc", vec!["loras/dog.sft", "vae/b.sft", "clip/a.sft", "loras/Cat.sft"]),
        ("sort=modified", vec!["vae/b.sft", "loras/dog.sft", "clip/a.sft", "loras/Cat.sft"]),
        ("sort=type&order=desc", vec!["vae/b.sft", "loras/Cat.sft", "loras/dog.sft", "clip/a.sft"]),
        ("type=loras", vec!["loras/Cat.sft", "loras/dog.sft"]),
        ("type=none", vec![]),
        ("search=CAT", vec!["loras/Cat.sft"]),
        ("per_page=3&page=2", vec!["vae/b.sft"]),
        ("per_page=3&page=9", vec![]),
    ] {
        let list = server.get(&format!("/api/models?{query}")).await;
        let paths: Vec<&str> =
            list["models"].as_array().unwrap().iter().map(|model| model["path"].as_str().unwrap()).collect();
        assert_eq!(paths, wanted, "{query}");
    }
    let part = server.get("/api/models?per_page=2&page=2&type=loras").await;
    let keys = ["total", "page", "per_page", "has_next", "has_prev"].map(|key| part[key].clone());
    assert_eq!(keys, [json!(2), json!(2), json!(2), json!(false), json!(true)]);
    assert_eq!(part["total_size_bytes"], safetensors(10).len() + safetensors(40).len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_byte_is_found_and_the_block_that_it_is_in_is_named() {
    let mut world = World::new();
    let one = world.file("whole", "one.safetensors", &Content::bytes(safetensors(300_000)));
    let two = world.file("whole", "two.safetensors", &Content::bytes(safetensors(1000)));
    world.preset("WHOLE", &[("loras/one.safetensors", &one), ("vae/two.safetensors", &two)]);
    let server = world.serve().await;
    server.install("WHOLE", json!({})).await;
    let validation = server.get("/api/models/validate").await;
    assert_eq!((&validation["validated"], &validation["errors"]), (&json!(2), &json!([])));
    let mut bytes = fs::read(world.model("loras/one.safetensors")).unwrap();
    bytes[200_000] ^= 1;
    fs::write(world.model("loras/one.safetensors"), bytes).unwrap();
    let validation = server.get("/api/models/validate?preset=WHOLE&force=true").await;
    let found = &validation["errors"][0];
    assert_eq!((&found["path"], &found["code"]), (&json!("loras/one.safetensors"), &json!("checksum_mismatch")));
    let block = &found["damaged_blocks"][0];
    assert!(block["start"].as_u64().unwrap() <= 200_000 && block["end"].as_u64().unwrap() > 200_000, "{found}");
    fs::remove_file(world.model("loras/one.safetensors")).unwrap();
    let validation = server.get("/api/models/validate?preset=WHOLE").await;
    assert_eq!(validation["errors"][0]["code"], "missing");
    assert_eq!(server.get("/api/models/validate?type=vae").await["validated"], 1);
    let (status, refused) = server.json("GET", "/api/models/validate?preset=NONE", None).await;
    assert_eq!((status, refused["error"]["code"].as_str()), (404, Some("PRESET_NOT_FOUND")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_tells_how_far_it_is_keeps_its_result_and_can_be_cancelled() {
    let world = World::new();
    place(&world, "loras/cut.safetensors", &safetensors(500)[..400]);
    let server = world.serve().await;
    let mut client = Client::connect(&server).await;
    client.say(json!({"type": "subscribe", "channels": ["system"]})).await;
    let head = server.client.head(server.url("/api/models/validate?background=true")).send().await.unwrap();
    assert_eq!((head.status(), &server.get("/api/jobs").await["total"]), (200.try_into().unwrap(), &json!(0)));
    let (status, job) = server.json("GET", "/api/models/validate?background=true", None).await;
    assert_eq!((status, &job["type"]), (202, &json!("validate_models")));
    let id = job["id"].as_str().unwrap();
    let done = until(&server, &format!("/api/jobs/{id}"), |job| job["status"] == "completed").await;
    assert_eq!((&done["progress"], &done["result"]["errors"][0]["code"]), (&json!(100.0), &json!("damaged")));
    loop {
        let told = client.hear_one_of(&["job_progress"]).await;
        if told["data"]["job_id"] == id && told["data"]["status"] == "completed" {
            break;
        }
    }
    let list = server.get("/api/jobs").await;
    assert_eq!((&list["total"], &list["jobs"][0]["id"]), (&json!(1), &json!(id)));
    let (status, same) = server.json("DELETE", &format!("/api/jobs/{id}"), None).await;
    assert_eq!((status, &same["status"]), (200, &json!("completed")), "one that has ended stays as it is");
    let (status, refused) = server.json("GET", "/api/jobs/job_none", None).await;
    assert_eq!((status, refused["error"]["details"]["resource"].as_str()), (404, Some("job")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_validation_under_way_is_cancelled_in_the_middle_of_a_file() {
    let world = World::new();
    place(&world, "checkpoints/endless.ckpt", b"");
    let file = fs::File::options().write(true).open(world.model("checkpoints/endless.ckpt")).unwrap();
    file.set_len(1 << 40).unwrap();
    let server = world.serve().await;
    let (_, job) = server.json("GET", "/api/models/validate?background=true", None).await;
    let path = format!("/api/jobs/{}", job["id"].as_str().unwrap());
    until(&server, &path, |job| job["current"].is_string()).await;
    let (status, cancelled) = server.json("DELETE", &path, None).await;
    assert_eq!((status, &cancelled["status"]), (200, &json!("cancelled")), "{cancelled}");
    assert!(server.get(&path).await["result"].is_null());
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_folder_that_comfyui_knows_has_a_readable_name_and_counts_what_lies_in_it() {
    let comfy = FakeComfy::start();
    let world = World::new().beside(&comfy);
    place(&world, "loras/a.safetensors", &safetensors(10));
    place(&world, "of_my_own/b.safetensors", &safetensors(20));
    let server = world.serve().await;
    let answer = server.get("/api/models/types").await;
    let found = |id: &str| answer["types"].as_array().unwrap().iter().find(|kind| kind["id"] == id).cloned();
    let known: Vec<String> = server.client.get(comfy.url() + "/models").send().await.unwrap().json().await.unwrap();
    assert!(known.len() > 15, "{known:?}");
    for folder in known.iter().filter(|folder| *folder != "custom_nodes") {
        let kind = found(folder).unwrap_or_else(|| panic!("{folder} is missing"));
        assert_ne!(kind["name"], json!(folder), "that is no readable name");
    }
    let loras = found("loras").unwrap();
    assert_eq!((&loras["name"], &loras["count"]), (&json!("LoRAs"), &json!(1)));
    assert_eq!(loras["size_bytes"], safetensors(10).len());
    assert_eq!(found("of_my_own").unwrap()["name"], "of_my_own");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_not_changed_is_not_sent_again_and_what_has_is() {
    let world = World::new();
    place(&world, "loras/mine.safetensors", &safetensors(10));
    let server = world.serve().await;
    let catalogue = ["/api/presets", "/api/presets/SMALL", "/api/presets/registry/status", "/api/presets/updates"];
    let lists =
        ["/api/models", "/api/models/types", "/api/downloads", "/api/downloads/history", "/api/workflows", "/api/jobs"];
    for path in catalogue.into_iter().chain(lists) {
        let first = server.client.get(server.url(path)).send().await.unwrap();
        let tag = first.headers()["etag"].clone();
        let again = server.client.get(server.url(path)).header("If-None-Match", &tag).send().await.unwrap();
        assert_eq!((again.status().as_u16(), &again.headers()["etag"]), (304, &tag), "{path}");
        assert!(again.bytes().await.unwrap().is_empty());
    }
    let tag = server.client.head(server.url("/api/models")).send().await.unwrap().headers()["etag"].clone();
    fs::remove_file(world.model("loras/mine.safetensors")).unwrap();
    server.json("POST", "/api/models/rescan", None).await;
    let again = server.client.get(server.url("/api/models")).header("If-None-Match", &tag).send().await.unwrap();
    assert_eq!(again.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_placed_by_hand_is_listed_by_itself() {
    let world = World::new();
    let server = world.serve().await;
    assert_eq!(server.get("/api/models").await["total"], 0);
    place(&world, "vae/new/fresh.safetensors", &safetensors(10));
    let list = until(&server, "/api/models", |list| list["total"] == 1).await;
    assert_eq!(list["models"][0]["path"], "vae/new/fresh.safetensors");
    fs::remove_dir_all(world.model("vae/new")).unwrap();
    until(&server, "/api/models", |list| list["total"] == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_folders_of_comfyui_are_listed_and_deleted_from_only_where_that_is_allowed() {
    for allowed in [false, true] {
        let world = World::new();
        let others = tempfile::tempdir().unwrap();
        let others_path = others.path().canonicalize().unwrap();
        fs::create_dir_all(others_path.join("lora/deep")).unwrap();
        let file = others_path.join("lora/deep/a.safetensors");
        fs::write(&file, safetensors(100)).unwrap();
        let config = others_path.join("extra_model_paths.yaml");
        fs::write(&config, "a111:\n  base_path: .\n  loras: lora\n  vae: missing\n").unwrap();
        let server = world
            .serve_with(|settings| {
                settings.service.extra_models =
                    ExtraModelPaths { config: Some(config), may_delete: allowed, home: None };
            })
            .await;
        let list = server.get("/api/models?type=loras").await;
        assert_eq!((&list["total"], &list["models"][0]["path"]), (&json!(1), &json!(file.to_str().unwrap())), "{list}");
        assert_eq!(list["models"][0]["type"], "loras");
        assert!(list["models"][0]["extra_root"].is_string());
        let address = format!("/api/models/{}", file.to_str().unwrap().trim_start_matches('/'));
        assert_eq!(server.get(&address).await["header"]["tensors"], 1);
        let body = json!({"paths": [file.to_str().unwrap()], "confirm": true});
        let (_, done) = server.json("DELETE", "/api/models", Some(body)).await;
        assert_eq!((&done["deleted"], file.exists()), (&json!(u8::from(allowed)), !allowed), "{done}");
        if !allowed {
            assert_eq!(done["errors"][0]["code"], "FORBIDDEN");
        }
    }
}
