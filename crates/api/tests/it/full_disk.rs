//! A disk without room for the database or the workflows, on a file system of that size: nothing is said that is not kept,
//! and all goes on by itself as soon as there is room.

use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use test_support::file_server::Content;
use test_support::requirements::{Requirement, available};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};

use crate::world::{
    TIMEOUT, World,
    program::{Process, call_in},
};

/// A small file system at a folder of the workspace, seen by nobody but the programs that are started on it.
struct SmallDisk {
    holder: Child,
    /// The holder, and with it the disk, lasts until this is closed.
    _hold: ChildStdin,
    folder: PathBuf,
}

impl SmallDisk {
    /// `None` where the test is skipped because the machine permits no mounts.
    async fn mount(world: &World, folder: &str) -> Option<Self> {
        if !available(&[Requirement::MountNamespace]) {
            return None;
        }
        let folder = world.folder.path().join(folder);
        std::fs::create_dir_all(&folder).unwrap();
        let mut holder = Command::new("unshare");
        holder
            .args(["-rm", "sh", "-c", "mount -t tmpfs -o size=3m none \"$0\" && echo mounted && exec cat"])
            .arg(&folder);
        holder.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut holder = holder.spawn().unwrap();
        let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines();
        let line = tokio::time::timeout(TIMEOUT, lines.next_line()).await.expect("it says so in time").unwrap();
        assert_eq!(line.as_deref(), Some("mounted"));
        let seen = Path::new("/proc").join(holder.id().unwrap().to_string()).join("root");
        let hold = holder.stdin.take().unwrap();
        Some(Self { holder, _hold: hold, folder: seen.join(folder.strip_prefix("/").unwrap()) })
    }

    /// The server, with that folder on this disk.
    async fn serve(&self, world: &World) -> Process {
        let program = call_in(world, &["serve", "--listen", "127.0.0.1:0"]);
        let mut command = Command::new("nsenter");
        command.args(["--preserve-credentials", "-U", "-m", "-t", &self.holder.id().unwrap().to_string(), "--"]);
        command.arg(program.as_std().get_program()).args(program.as_std().get_args()).env_clear();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        Process::started(command).await
    }

    /// Leaves not a byte of room.
    fn fill(&self) {
        let mut file = std::fs::File::create(self.folder.join("filler")).unwrap();
        let full = loop {
            if let Err(full) = file.write_all(&[0; 4096]) {
                break full;
            }
        };
        assert_eq!(full.kind(), ErrorKind::StorageFull);
    }

    fn make_room(&self) {
        std::fs::remove_file(self.folder.join("filler")).unwrap();
    }
}

fn path_of(download: &Value) -> String {
    format!("/api/downloads/{}", download.as_str().unwrap())
}

#[tokio::test]
async fn a_database_without_room_refuses_what_it_cannot_keep_and_goes_on_when_there_is_room() {
    let mut world = World::new();
    let gate = world.hold_a_preset();
    let url = world.file("other", "other.safetensors", &Content::pattern(3, 50_000));
    let Some(disk) = SmallDisk::mount(&world, "data").await else { return };
    let process = disk.serve(&world).await;
    let (status, other) =
        process.json("POST", "/api/downloads", Some(json!({"url": url, "path": "loras/other.safetensors"}))).await;
    assert_eq!(status, 202, "{other}");
    process.until(&other["download_id"], "completed").await;
    let (status, held) = process.json("POST", "/api/presets/HELD/install", None).await;
    assert_eq!(status, 202, "{held}");
    process.until(&held["download_id"], "downloading").await;

    disk.fill();
    for _ in 0..8 {
        let (status, answer) = process.json("POST", "/api/presets/SMALL/install", None).await;
        assert_eq!((status, &answer["error"]["code"]), (507, &json!("INSUFFICIENT_STORAGE")), "{answer}");
    }
    let delete = json!({"paths": [other["path"]], "confirm": true});
    let (status, deleted) = process.json("DELETE", "/api/models", Some(delete)).await;
    assert_eq!((status, &deleted["deleted"]), (200, &json!(1)), "room can be made: {deleted}");

    gate.open();
    let arrived = async {
        let mut look = tokio::time::interval(Duration::from_millis(20));
        while !world.holds("loras/held.safetensors", &Content::pattern(9, 400_000)) {
            look.tick().await;
        }
    };
    tokio::time::timeout(TIMEOUT, arrived).await.expect("it arrives in time");
    let (_, download) = process.json("GET", &path_of(&held["download_id"]), None).await;
    assert_ne!(download["status"], "completed", "nobody is told of what is not kept");

    disk.make_room();
    process.until(&held["download_id"], "completed").await;
    for _ in 0..8 {
        let (status, small) = process.json("POST", "/api/presets/SMALL/install", Some(json!({"force": true}))).await;
        assert_eq!(status, 202, "{small}");
        process.until(&small["download_id"], "completed").await;
    }
}

#[tokio::test]
async fn a_start_on_a_full_disk_answers_and_goes_on_when_there_is_room() {
    let mut world = World::new();
    let gate = world.hold_a_preset();
    let Some(disk) = SmallDisk::mount(&world, "data").await else { return };
    let process = disk.serve(&world).await;
    let (_, held) = process.json("POST", "/api/presets/HELD/install", None).await;
    process.until(&held["download_id"], "downloading").await;
    process.signal("-KILL");
    process.end(TIMEOUT).await;

    disk.fill();
    let process = disk.serve(&world).await;
    assert_eq!(process.json("GET", "/api/presets", None).await.0, 200);
    gate.open();
    disk.make_room();
    process.until(&held["download_id"], "completed").await;
    assert!(world.holds("loras/held.safetensors", &Content::pattern(9, 400_000)));
}

#[tokio::test]
async fn a_workflow_without_room_is_refused_as_such_and_what_was_there_stays() {
    let world = World::new();
    let Some(disk) = SmallDisk::mount(&world, "workflows").await else { return };
    let process = disk.serve(&world).await;
    let graph = |length: usize| json!({"text": "x".repeat(length)});
    let (status, saved) =
        process.json("POST", "/api/workflows", Some(json!({"name": "Old", "workflow": graph(1)}))).await;
    assert_eq!(status, 201, "{saved}");
    let path = format!("/api/workflows/{}", saved["id"].as_str().unwrap());
    let names = || {
        let entries = std::fs::read_dir(disk.folder.join("user")).unwrap();
        entries.map(|entry| entry.unwrap().file_name()).collect::<std::collections::BTreeSet<_>>()
    };
    let before = names();

    disk.fill();
    let change = json!({"name": "New", "workflow": graph(100_000)});
    for (method, path) in [("POST", "/api/workflows"), ("PUT", &path)] {
        let (status, refused) = process.json(method, path, Some(change.clone())).await;
        assert_eq!((status, &refused["error"]["code"]), (507, &json!("INSUFFICIENT_STORAGE")), "{refused}");
        let details = &refused["error"]["details"];
        assert!(details["needed_bytes"].as_u64() > Some(100_000) && details["available_bytes"] == 0, "{details}");
    }
    let (_, now) = process.json("GET", &path, None).await;
    assert_eq!((&now["name"], &now["workflow"]), (&json!("Old"), &graph(1)));
    assert_eq!(names(), before, "nothing is left beside");

    disk.make_room();
    let (status, _) = process.json("PUT", &path, Some(change)).await;
    assert_eq!(status, 200);
}
