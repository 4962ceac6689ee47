//! The program from a shell: what it says, what it takes, and that it works with and without a running server.

use test_support::file_server::Content;

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

#[tokio::test(flavor = "multi_thread")]
async fn the_document_is_printed_as_it_is_committed() {
    let output = run(call(["openapi"])).await;
    let committed = include_str!("../../../../openapi/openapi.json");
    assert!(String::from_utf8(output.stdout).unwrap() == committed, "run `cargo xtask openapi` and commit it");
}
