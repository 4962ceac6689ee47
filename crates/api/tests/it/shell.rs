//! The program from a shell: what it says, what it takes, and that it works with and without a running server.

use serde_json::json;
use test_support::file_server::Content;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

use crate::world::{
    World, client,
    program::{Process, call, call_in, run},
};

/// Arguments, environment, and what the one line must say.
type Refused<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a [&'a str]);

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_cannot_be_obeyed_is_refused_in_one_line() {
    let rows: &[Refused] = &[
        (&["--nonsense"], &[], &["--nonsense"]),
        (&["dance"], &[], &["dance"]),
        (&["--stall-timeout", "soon"], &[], &["STALL_TIMEOUT", "\"soon\"", "30s"]),
        (&[], &[("STALL_TIMEOUT", "0")], &["STALL_TIMEOUT", "\"0\"", "above 0"]),
        (&[], &[("MIN_FREE_SPACE", "lots")], &["MIN_FREE_SPACE", "\"lots\"", "1GiB"]),
        (&[], &[("DASHBOARD_PORT", "70000")], &["DASHBOARD_PORT", "\"70000\"", "65535"]),
        (&["--listen", "8082"], &[], &["--listen", "\"8082\"", "127.0.0.1:8082"]),
        (&[], &[("CORS_ORIGINS", "*")], &["CORS_ORIGINS", "\"*\"", "https://"]),
        (&[], &[("TRUSTED_PROXIES", "everyone")], &["TRUSTED_PROXIES", "10.0.0.0/8"]),
        (&[], &[("ALLOW_PRIVATE_SOURCES", "maybe")], &["ALLOW_PRIVATE_SOURCES", "0, 1"]),
        (&[], &[("DATABASE_URL", "postgres://db")], &["DATABASE_URL", "sqlite://"]),
        (&[], &[("COMFYUI_URL", "here")], &["COMFYUI_URL", "https://"]),
        (&[], &[("MAX_CONCURRENT_DOWNLOADS", "0")], &["MAX_CONCURRENT_DOWNLOADS", "1 to 64"]),
        (&[], &[("GPU_VRAM_GB", "-3")], &["GPU_VRAM_GB", "above 0"]),
        (&[], &[("LOG_FORMAT", "xml")], &["LOG_FORMAT", "text"]),
        (&[], &[("LOG_LEVEL", "lou=d=er")], &["LOG_LEVEL", "info"]),
        (&["--listen", "0.0.0.0:0"], &[], &["0.0.0.0:0", "--allow-unauthenticated"]),
        (&[], &[("DASHBOARD_HOST", "192.168.0.1")], &["192.168.0.1", "--allow-unauthenticated"]),
    ];
    for (arguments, environment, words) in rows {
        let mut command = call(arguments.iter().copied());
        command.envs(environment.iter().copied());
        let output = run(command).await;
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?} {environment:?}: {said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        for word in *words {
            assert!(said.contains(word), "{said:?} does not say {word}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_not_shown_by_help_and_an_empty_variable_is_unset() {
    let mut command = call(["--help"]);
    command.env("HF_TOKEN", "hf_very_secret").env("ACCESS_PASSWORD", "very secret");
    let output = run(command).await;
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && help.contains("Examples:") && !help.contains("secret"), "{help}");

    let world = World::new();
    let mut command = call_in(&world, &["serve", "--listen", "127.0.0.1:0"]);
    command.env("ACCESS_PASSWORD", "").env("HF_TOKEN", "").env("COMFYUI_MAX_QUEUE", "");
    let process = Process::started(command).await;
    let presets = client().get(format!("http://{}/api/presets", process.address)).send().await.unwrap();
    assert_eq!(presets.status(), 200);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let mut program = std::process::Command::new(env!("CARGO_BIN_EXE_comfyui-dashboard"))
        .arg("--help")
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(program.stdout.take());
    let ended = program.wait_with_output().unwrap();
    assert!(ended.status.success() && ended.stderr.is_empty(), "{}", String::from_utf8_lossy(&ended.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn presets_are_listed_and_installed_without_a_server() {
    let world = World::new();
    let nowhere = ["--listen", "127.0.0.1:9"];
    let listed = run(call_in(&world, &[&["presets", "list"][..], &nowhere].concat())).await;
    let text = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.status.success() && text.contains("SMALL"), "{text}");

    let installed = run(call_in(&world, &[&["install", "SMALL"][..], &nowhere].concat())).await;
    let text = String::from_utf8(installed.stdout).unwrap();
    assert!(installed.status.success(), "{text} {}", String::from_utf8_lossy(&installed.stderr));
    assert!(text.contains("loras/one.safetensors is here") && text.contains("SMALL is here"), "{text}");
    assert!(world.holds("loras/one.safetensors", &Content::pattern(1, 300_000)));

    let again = run(call_in(&world, &[&["install", "SMALL"][..], &nowhere].concat())).await;
    assert!(again.status.success(), "asking twice is no failure: {}", String::from_utf8_lossy(&again.stderr));
    let unknown = run(call_in(&world, &[&["install", "NONE"][..], &nowhere].concat())).await;
    assert_eq!(unknown.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("'NONE' not found"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_server_does_the_work() {
    let world = World::new();
    let process = Process::serve(&world).await;
    let there = ["--listen", process.address.as_str()];
    let alive = run(call_in(&world, &[&["health"][..], &there].concat())).await;
    assert!(alive.status.success());

    let installed = run(call_in(&world, &[&["install", "SMALL"][..], &there].concat())).await;
    assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
    let url = "https://huggingface.co/acme/small/blob/main/two.safetensors";
    let got = run(call_in(&world, &[&["get", url, "--type", "loras"][..], &there].concat())).await;
    assert!(got.status.success(), "{}", String::from_utf8_lossy(&got.stderr));
    assert!(world.holds("loras/two.safetensors", &Content::pattern(2, 70_000)));

    let history = client().get(format!("http://{}/api/downloads/history", process.address)).send().await.unwrap();
    let history: serde_json::Value = history.json().await.unwrap();
    assert_eq!(history["total"], 2, "the server did both: {history}");
}

#[tokio::test(flavor = "multi_thread")]
async fn health_fails_where_nothing_answers_and_doctor_says_what_is_set() {
    let world = World::new();
    let dead = run(call_in(&world, &["health", "--listen", "127.0.0.1:9"])).await;
    assert_eq!(dead.status.code(), Some(1));
    let doctor = run(call_in(&world, &["doctor", "--listen", "127.0.0.1:9"])).await;
    let text = String::from_utf8(doctor.stdout).unwrap();
    assert!(doctor.status.success() && text.contains("models folder") && text.contains("not running"), "{text}");
    let flags = ["doctor", "--listen", "127.0.0.1:9", "--comfyui-url", "http://user:s3cret@127.0.0.1:9"];
    let text = String::from_utf8(run(call_in(&world, &flags)).await.stdout).unwrap();
    assert!(text.contains("http://127.0.0.1:9") && !text.contains("s3cret"), "{text}");
}

/// With a running server and without one: the same is said, and nothing is fetched.
#[tokio::test(flavor = "multi_thread")]
async fn get_with_dry_run_says_what_it_would_fetch() {
    let world = World::new();
    let url = world.file("dry", "vae/ae.safetensors", &Content::pattern(5, 1_000));
    let process = Process::serve(&world).await;
    let mut said = Vec::new();
    for listen in [process.address.as_str(), "127.0.0.1:9"] {
        // Two programs do not share a workspace.
        let other = World::new();
        let world = if listen == process.address { &world } else { &other };
        world.file("dry", "vae/ae.safetensors", &Content::pattern(5, 1_000));
        let output = run(call_in(world, &["get", &url, "--dry-run", "--listen", listen])).await;
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        assert!(!world.model("vae").exists());
        said.push(text);
    }
    let sha256 = Content::pattern(5, 1_000).sha256();
    let expected = format!(
        "name     ae.safetensors (from the link)\nfolder   vae (from the link)\npath     vae/ae.safetensors\nexists   no\n\
         size     1000 bytes (0.0MB)\nsha256   {sha256}\n"
    );
    assert_eq!(said, [expected.clone(), expected]);
    let (_, list) = process.json("GET", "/api/downloads", None).await;
    assert_eq!(list["total"], 0);
    let nowhere = "https://huggingface.co/acme/none/resolve/main/none.safetensors";
    let output = run(call_in(&world, &["get", nowhere, "--dry-run", "--listen", &process.address])).await;
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.code() == Some(1) && text.contains("\ngate") && text.contains("HF_TOKEN"), "{text}");
}

/// With a running server and without one: what can be had is fetched, and the rest is listed.
#[tokio::test(flavor = "multi_thread")]
async fn workflow_from_a_file_is_installed() {
    let content = Content::pattern(5, 1_000);
    let served = World::new();
    let process = Process::serve(&served).await;
    let alone = World::new();
    for (world, listen) in [(&served, process.address.as_str()), (&alone, "127.0.0.1:9")] {
        let url = world.file("flow", "small.safetensors", &content);
        let pickle = world.file("flow", "old.ckpt", &content);
        let node = |id: u32, name: &str, url: &str| {
            json!({"id": id, "type": "VAELoader", "mode": 0, "inputs": [], "outputs": [], "widgets_values": [name],
                "properties": {"models": [{"name": name, "directory": "vae", "url": url}]}})
        };
        let nodes = [node(1, "small.safetensors", &url), node(2, "old.ckpt", &pickle)];
        let file = world.folder.path().join("workflow.json");
        std::fs::write(&file, json!({"links": [], "nodes": nodes}).to_string()).unwrap();
        let install = ["workflows", "install", file.to_str().unwrap(), "--listen", listen];
        let output = run(call_in(world, &install)).await;
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(1), "{text}{}", String::from_utf8_lossy(&output.stderr));
        assert!(text.contains("fetching    vae/small.safetensors") && text.contains("choose      old.ckpt"), "{text}");
        assert_eq!(std::fs::read(world.model("vae/small.safetensors")).unwrap(), content.to_vec());

        let chosen = format!("old.ckpt={pickle}");
        let output = run(call_in(world, &[&install[..], &["--choose", &chosen]].concat())).await;
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        assert!(text.contains("present     small.safetensors") && world.model("vae/old.ckpt").exists(), "{text}");
    }
    let output = run(call_in(&alone, &["workflows", "install", "Cargo.toml"])).await;
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && said.contains("PNG, WebP"), "{said}");
}

/// A folder that is not mounted is no reason not to start, and is told of.
#[tokio::test(flavor = "multi_thread")]
async fn missing_folder_of_extra_model_paths_is_told() {
    let world = World::new();
    let config = world.folder.path().join("extra_model_paths.yaml");
    std::fs::create_dir(world.folder.path().join("here")).unwrap();
    std::fs::write(&config, "a:\n  loras: here\n  vae: not-mounted\n").unwrap();
    let world = world.flag("--extra-model-paths-config").flag(config.to_str().unwrap());
    let doctor = run(call_in(&world, &["doctor", "--listen", "127.0.0.1:9"])).await;
    let text = String::from_utf8(doctor.stdout).unwrap();
    let line =
        |folder: &str| text.lines().find(|line| line.contains(folder)).unwrap_or_else(|| panic!("{folder}: {text}"));
    assert!(
        doctor.status.success() && line("/here").ends_with("is there") && line("/not-mounted").ends_with("is missing")
    );
    let mut child = call_in(&world, &["serve", "--listen", "127.0.0.1:0"]).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    let told = async {
        while let Some(line) = log.next_line().await.unwrap() {
            if line.contains("WARN") && line.contains("not-mounted") {
                return true;
            }
        }
        false
    };
    assert!(tokio::time::timeout(crate::world::TIMEOUT, told).await.expect("the log tells in time"));
    std::fs::write(&config, "- no sections\n").unwrap();
    let doctor = run(call_in(&world, &["doctor", "--listen", "127.0.0.1:9"])).await;
    let text = String::from_utf8(doctor.stdout).unwrap();
    assert!(doctor.status.code() == Some(1) && text.contains("extra_model_paths.yaml"), "{text}");
}

/// Each setting is a flag and a variable of the same name, and the server shows what it took.
#[tokio::test(flavor = "multi_thread")]
async fn settings_are_flags_and_variables_and_are_shown() {
    let rows = [
        ("history-retention", "2d", "history_retention_seconds", json!(172_800)),
        ("comfyui-user", "alice", "comfyui_user", json!("alice")),
        ("generate-password", "1", "generate_password", json!(true)),
        ("max-sockets-per-client", "7", "max_sockets_per_client", json!(7)),
        ("max-connections-per-address", "9", "max_connections_per_address", json!(9)),
    ];
    for as_flags in [true, false] {
        let world = World::new();
        let mut command = call_in(&world, &["serve", "--listen", "127.0.0.1:0"]);
        for (name, value, _, _) in &rows {
            if as_flags {
                command.arg(format!("--{name}={value}"));
            } else {
                command.env(name.to_uppercase().replace('-', "_"), value);
            }
        }
        let process = Process::started(command).await;
        let (status, shown) = process.json("GET", "/api/settings", None).await;
        assert_eq!(status, 200, "{shown}");
        for (_, _, key, value) in &rows {
            assert_eq!(&shown[key], value, "as flags: {as_flags}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_document_is_printed_as_it_is_committed() {
    let output = run(call(["openapi"])).await;
    let committed = include_str!("../../../../openapi/openapi.json");
    assert!(String::from_utf8(output.stdout).unwrap() == committed, "run `cargo xtask openapi` and commit it");
}

/// Names from a registry reach a terminal as text that it shows and does not obey.
#[tokio::test(flavor = "multi_thread")]
async fn hostile_names_are_escaped_on_the_terminal() {
    let mut world = World::new();
    let one = world.file("small", "one.safetensors", &Content::pattern(1, 300_000));
    world.preset("HOSTILE", &[("loras/one.safetensors", &one)])["name"] =
        "\u{1b}]0;pwned\u{7}\u{1b}[31mred\r\u{202e}txt".into();
    let listed = run(call_in(&world, &["presets", "list", "--listen", "127.0.0.1:9"])).await;
    let text = String::from_utf8(listed.stdout).unwrap();
    assert!(text.contains("\\u{1b}]0;pwned") && text.contains("\\u{202e}txt"), "{text}");
    assert!(text.chars().all(|character| character == '\n' || !service::text::is_unprintable(character)), "{text:?}");
}

/// Runs a call whose standard output is the test's own.
async fn finish(command: &mut tokio::process::Command) -> std::process::Output {
    let child = command.spawn().unwrap();
    tokio::time::timeout(crate::world::TIMEOUT, child.wait_with_output()).await.expect("it ends in time").unwrap()
}

/// An output that takes nothing is an error of the command, not a panic; a reader that is gone is none.
#[tokio::test(flavor = "multi_thread")]
async fn full_output_fails_the_command_without_a_panic() {
    let world = World::new();
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    let nowhere = ["--listen", "127.0.0.1:9"];
    for words in [&["presets", "list"][..], &["doctor"], &["auth", "generate-key"], &["openapi"], &["--version"]] {
        let mut command = call_in(&world, &[words, &nowhere].concat());
        let output = finish(command.stdout(full())).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{words:?}: {said}");
        assert!(said.contains("cannot write to the standard output"), "{words:?}: {said}");
    }
    let keys = run(call_in(&world, &["auth", "list-keys"])).await;
    assert!(keys.stdout.is_empty(), "a key that nobody has seen is gone");

    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = call_in(&world, &[&["doctor"][..], &nowhere].concat());
    let output = finish(command.stdout(writer)).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// A server whose outputs take nothing serves all the same.
#[tokio::test(flavor = "multi_thread")]
async fn server_with_a_full_output_serves() {
    let world = World::new();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = call_in(&world, &["serve", "--listen", &format!("127.0.0.1:{port}")]);
    let mut child = command.stdout(full()).stderr(full()).spawn().unwrap();
    let alive = async {
        while client().get(format!("http://127.0.0.1:{port}/livez")).send().await.is_err() {
            assert!(child.try_wait().unwrap().is_none(), "it ended");
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(crate::world::TIMEOUT, alive).await.expect("it serves in time");
}

/// A link or a pipe in the place of the server's own files is refused at once, and what it leads to stays as it is.
#[tokio::test(flavor = "multi_thread")]
async fn links_and_pipes_in_place_of_own_files_are_refused() {
    for name in ["dashboard.db", "dashboard.db.lock", "dashboard.db-wal"] {
        for kind in ["link", "pipe"] {
            let world = World::new();
            let data = world.folder.path().join("data");
            std::fs::create_dir_all(&data).unwrap();
            let target = world.folder.path().join("target");
            std::fs::write(&target, "theirs").unwrap();
            match kind {
                "link" => std::os::unix::fs::symlink(&target, data.join(name)).unwrap(),
                _ if name.ends_with("-wal") => continue,
                _ => assert!(std::process::Command::new("mkfifo").arg(data.join(name)).status().unwrap().success()),
            }
            let mode = || std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&target).unwrap().permissions());
            let before = mode();
            let output = run(call_in(&world, &["serve", "--listen", "127.0.0.1:0"])).await;
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(1), "{kind} {name}: {said}");
            assert!(said.contains("symbolic link") || said.contains("not a regular file"), "{kind} {name}: {said}");
            assert_eq!(
                (std::fs::read_to_string(&target).unwrap().as_str(), mode()),
                ("theirs", before),
                "{kind} {name}"
            );
        }
    }
}

/// Tokens in a pipe hold nothing up, and a log behind a link is not written.
#[tokio::test(flavor = "multi_thread")]
async fn odd_token_and_log_files_hold_nothing_up() {
    let world = World::new();
    let data = world.folder.path().join("data");
    std::fs::create_dir_all(data.join("logs")).unwrap();
    for name in ["source-tokens.json", "cli.token"] {
        assert!(std::process::Command::new("mkfifo").arg(data.join(name)).status().unwrap().success());
    }
    let target = world.folder.path().join("target");
    std::fs::write(&target, "theirs").unwrap();
    let today = jiff::Timestamp::now().strftime("dashboard.log.%Y-%m-%d").to_string();
    std::os::unix::fs::symlink(&target, data.join("logs").join(today)).unwrap();
    let process = Process::serve(&world).await;
    assert_eq!(process.json("GET", "/api/presets", None).await.0, 200);
    assert_eq!(std::fs::read_to_string(&target).unwrap(), "theirs");
}

/// With a small limit of descriptors, one address that opens all it can leaves room for another.
#[tokio::test(flavor = "multi_thread")]
async fn one_address_leaves_descriptors_for_others() {
    let world = World::new();
    let mut command = tokio::process::Command::new("sh");
    command.args(["-c", "ulimit -Sn 128; ulimit -Hn 256; exec \"$0\" \"$@\""]);
    command.arg(env!("CARGO_BIN_EXE_comfyui-dashboard")).args(["serve", "--listen", "127.0.0.1:0"]);
    command.args(world.arguments()).env_clear().env("PATH", "/usr/bin:/bin").kill_on_drop(true);
    command.stdout(std::process::Stdio::piped()).stdin(std::process::Stdio::null());
    let process = Process::started(command).await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", process.child.id().unwrap())).unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert!(files.contains("256         "), "the soft limit is raised: {files}");
    let address: std::net::SocketAddr = process.address.parse().unwrap();
    let mut held = Vec::new();
    let mut served = 0;
    for _ in 0..300 {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let question = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n";
        let mut first = [0; 1];
        let sent = stream.write_all(question).await.is_ok();
        served += usize::from(sent && stream.read(&mut first).await.is_ok_and(|read| read == 1));
        held.push(stream);
    }
    assert!((8..100).contains(&served), "{served} of 300 were served");
    let other = tokio::net::TcpSocket::new_v4().unwrap();
    other.bind("127.0.0.2:0".parse().unwrap()).unwrap();
    let mut stream = other.connect(address).await.unwrap();
    stream.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    let read = tokio::time::timeout(crate::world::TIMEOUT, stream.read_to_string(&mut answer)).await;
    read.expect("it answers in time").unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}
