//! Which files are models, what belongs to one, and which types and presets find it.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use service::models::ExtraModelPaths;
use test_support::file_server::Content;

use crate::world::{Server, World};

fn write(path: &Path, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

async fn paths(server: &Server, query: &str) -> Vec<String> {
    let list = server.get(&format!("/api/models?per_page=100&{query}")).await;
    list["models"].as_array().unwrap().iter().map(|model| model["path"].as_str().unwrap().to_owned()).collect()
}

fn sidecars(model: &Value) -> Vec<&str> {
    model["sidecars"].as_array().unwrap().iter().map(|sidecar| sidecar["path"].as_str().unwrap()).collect()
}

/// What managers of LoRAs leave beside each of them.
const BESIDE: [&str; 7] = [
    "loras/a.civitai.info",
    "loras/a.json",
    "loras/a.metadata.json",
    "loras/a.preview.png",
    "loras/a.safetensors.sha256",
    "loras/a.txt",
    "loras/a.webp",
];

#[tokio::test(flavor = "multi_thread")]
async fn sidecars_belong_to_their_model_and_stay_unless_asked() {
    let world = World::new();
    let files =
        ["loras/a.safetensors", "loras/b.safetensors", "loras/b.txt", "loras/notes.txt", "vae/read.me", "readme.md"];
    for file in files.iter().chain(&BESIDE) {
        write(&world.model(file), b"some bytes");
    }
    let server = world.serve().await;
    assert_eq!(paths(&server, "").await, ["loras/a.safetensors", "loras/b.safetensors"]);
    let list = server.get("/api/models").await;
    assert_eq!((sidecars(&list["models"][0]), sidecars(&list["models"][1])), (BESIDE.to_vec(), vec!["loras/b.txt"]));
    assert_eq!(list["models"][0]["sidecars"][0]["size_bytes"], 10);
    assert_eq!(list["total_size_bytes"], 20);
    let types = server.get("/api/models/types").await;
    assert_eq!(types["types"].as_array().unwrap().iter().map(|kind| kind["count"].as_u64().unwrap()).sum::<u64>(), 2);
    let storage = server.get("/api/system/storage?detail=true").await;
    let orphans = storage["detail"]["orphans"].as_array().unwrap();
    assert_eq!(
        orphans.iter().map(|file| &file["path"]).collect::<Vec<_>>(),
        ["loras/a.safetensors", "loras/b.safetensors"]
    );
    assert_eq!(server.get("/api/models/validate").await["validated"], 2);
    let (status, refused) = server.json("GET", "/api/models/loras/a.json", None).await;
    assert_eq!((status, refused["error"]["code"].as_str()), (404, Some("MODEL_NOT_FOUND")));

    let delete = async |body: Value| server.json("DELETE", "/api/models", Some(body)).await.1;
    let one = delete(json!({"paths": ["loras/a.webp"], "confirm": true})).await;
    assert_eq!((&one["deleted"], world.model("loras/a.webp").exists()), (&json!(1), false));
    let detail = server.get("/api/models/loras/a.safetensors").await;
    assert_eq!(sidecars(&detail), BESIDE[..6]);
    delete(json!({"paths": ["loras/b.safetensors"], "confirm": true})).await;
    assert!(world.model("loras/b.txt").exists());
    let all = delete(json!({"paths": ["loras/a.safetensors"], "confirm": true, "sidecars": true})).await;
    assert_eq!((&all["deleted"], &all["space_freed_bytes"], &all["errors"]), (&json!(7), &json!(70), &json!([])));
    let left: Vec<String> = fs::read_dir(world.model("loras"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(left.len() == 2 && left.iter().all(|name| ["b.txt", "notes.txt"].contains(&name.as_str())), "{left:?}");
}

/// A description that two models share is kept for the other one, and so is a file that a preset names.
#[tokio::test(flavor = "multi_thread")]
async fn deletion_keeps_sidecars_that_something_else_needs() {
    let mut world = World::new();
    let url = world.file("named", "a.yaml", &Content::pattern(3, 10));
    world.preset("NAMED", &[("checkpoints/a.yaml", &url)]);
    for file in ["checkpoints/a.yaml", "checkpoints/a.safetensors", "vae/b.safetensors", "vae/b.gguf", "vae/b.json"] {
        write(&world.model(file), b"0123456789");
    }
    let server = world.serve().await;
    assert_eq!(paths(&server, "type=checkpoints").await, ["checkpoints/a.safetensors", "checkpoints/a.yaml"]);
    let body = json!({"paths": ["checkpoints/a.safetensors", "vae/b.safetensors"], "confirm": true, "sidecars": true});
    assert_eq!(server.json("DELETE", "/api/models", Some(body)).await.1["deleted"], 2);
    assert!(world.model("checkpoints/a.yaml").exists() && world.model("vae/b.json").exists());
}

/// A folder that ComfyUI does not know belongs to a custom node, which may load anything from it.
#[tokio::test(flavor = "multi_thread")]
async fn folder_without_extension_list_hides_no_file_from_validation() {
    let world = World::new();
    let files = ["dlib/face.dat", "dlib/plain", "dlib/points.npy", "diffusers/a/model_index.json", "tensorrt/x.engine"];
    let evil = b"\x80\x02cposix\nsystem\nq\x00X\x02\x00\x00\x00lsq\x01\x85q\x02Rq\x03.";
    files.iter().for_each(|file| write(&world.model(file), evil));
    let server = world.serve().await;
    let mut found = paths(&server, "").await;
    found.sort();
    let mut wanted = files.map(str::to_owned);
    wanted.sort();
    assert_eq!(found, wanted);
    let validation = server.get("/api/models/validate").await;
    let errors = validation["errors"].as_array().unwrap().iter();
    let unsafe_ones: Vec<&str> =
        errors.filter(|error| error["code"] == "unsafe").map(|error| error["path"].as_str().unwrap()).collect();
    for file in ["dlib/face.dat", "dlib/plain", "dlib/points.npy"] {
        assert!(unsafe_ones.contains(&file), "{file}: {validation}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn preset_of_a_model_is_an_installed_one() {
    let mut world = World::new();
    let shared = world.file("shared", "shared.safetensors", &Content::pattern(3, 1_000));
    let other = world.file("shared", "other.safetensors", &Content::pattern(4, 1_000));
    world.preset("A_PART", &[("vae/shared.safetensors", &shared), ("vae/other.safetensors", &other)]);
    world.preset("B_WHOLE", &[("vae/shared.safetensors", &shared)]);
    let server = world.serve().await;
    server.install("B_WHOLE", json!({})).await;
    let model = server.get("/api/models/vae/shared.safetensors").await;
    assert_eq!((&model["preset"], &model["presets"]), (&json!("B_WHOLE"), &json!(["B_WHOLE", "A_PART"])));
    server.install("A_PART", json!({})).await;
    let model = server.get("/api/models/vae/shared.safetensors").await;
    assert_eq!(model["presets"], json!(["A_PART", "B_WHOLE"]));
}

/// One folder for checkpoints with the folder of VAEs in it, as some distributions set it up, and one below the models folder.
#[tokio::test(flavor = "multi_thread")]
async fn folder_that_serves_several_types_lists_each_file_once() {
    let mut world = World::new();
    let url = world.file("inside", "x.bin", &Content::pattern(3, 1_000));
    world.preset("INSIDE", &[("loras/x.bin", &url)]);
    write(&world.model("LyCORIS/x.bin"), &Content::pattern(3, 1_000).to_vec());
    let shared = tempfile::tempdir().unwrap();
    let folder = shared.path().canonicalize().unwrap();
    for file in ["top.safetensors", "vae/a.safetensors", "vae/a.json"] {
        write(&folder.join(file), b"0123456789");
    }
    let config = folder.join("extra_model_paths.yaml");
    let inside = world.folder.path().canonicalize().unwrap().join("models/LyCORIS");
    let sections =
        format!("one:\n  base_path: .\n  checkpoints: .\n  unet: .\n  vae: vae\ntwo:\n  loras: {}\n", inside.display());
    write(&config, sections.as_bytes());
    let server = world
        .serve_with(|settings| {
            settings.service.extra_models = ExtraModelPaths { config: Some(config), may_delete: true, home: None };
        })
        .await;
    let [top, vae] =
        ["top.safetensors", "vae/a.safetensors"].map(|file| folder.join(file).to_str().unwrap().to_owned());
    let own = "LyCORIS/x.bin".to_owned();
    for (query, wanted) in [
        ("", vec![top.clone(), vae.clone(), own.clone()]),
        ("type=checkpoints", vec![top.clone(), vae.clone()]),
        ("type=diffusion_models", vec![top.clone(), vae.clone()]),
        ("type=vae", vec![vae.clone()]),
        ("type=loras", vec![own.clone()]),
        ("type=LyCORIS", vec![own.clone()]),
    ] {
        let mut found = paths(&server, query).await;
        found.sort_by_key(|path| wanted.iter().position(|other| other == path));
        assert_eq!(found, wanted, "{query}");
    }
    let list = server.get("/api/models?type=vae").await;
    let model = &list["models"][0];
    assert_eq!((&model["type"], &model["types"]), (&json!("vae"), &json!(["vae", "checkpoints", "diffusion_models"])));
    assert_eq!(sidecars(model), [folder.join("vae/a.json").to_str().unwrap()]);
    let types = server.get("/api/models/types").await;
    for (id, count) in [("checkpoints", 2), ("diffusion_models", 2), ("vae", 1), ("loras", 1), ("LyCORIS", 1)] {
        let found = types["types"].as_array().unwrap().iter().find(|kind| kind["id"] == id).unwrap();
        assert_eq!(found["count"], count, "{id}");
    }
    assert_eq!(server.get("/api/presets/INSIDE").await["status"], "installed");
    let storage = server.get("/api/system/storage?detail=true").await;
    assert_eq!(storage["detail"]["orphans"], json!([]), "it is the preset's by the other type");
    assert_eq!(server.get(&format!("/api/models/{own}")).await["presets"], json!(["INSIDE"]));

    let body = json!({"paths": [vae], "confirm": true});
    assert_eq!(server.json("DELETE", "/api/models", Some(body)).await.1["deleted"], 1);
    let sidecar = folder.join("vae/a.json");
    let body = json!({"paths": [sidecar.to_str().unwrap()], "confirm": true});
    assert_eq!(server.json("DELETE", "/api/models", Some(body)).await.1["deleted"], 1, "also without its model");
    assert!(!sidecar.exists() && folder.join("top.safetensors").exists());
}
