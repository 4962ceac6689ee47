//! The programs that are compared, and how each is called.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::json;

use super::download::Remote;
use super::rows::CONNECTIONS;

/// What was built or installed for the benchmark; curl, aria2c and openssl are found on the path.
pub(super) struct Programs {
    pub(super) fetch: PathBuf,
    /// The whole program.
    pub(super) dashboard: PathBuf,
    pub(super) file_server: PathBuf,
    /// Of the environment that holds huggingface_hub.
    pub(super) python: PathBuf,
}

/// One program in one row.
pub(super) struct Contender {
    pub(super) name: &'static str,
    /// Whether the files must lie in the output folder afterwards.
    pub(super) writes: bool,
    /// The call that brings all files into the output folder.
    pub(super) command: fn(&Programs, &[Remote], &Path) -> Result<Command>,
}

fn writer(name: &'static str, command: fn(&Programs, &[Remote], &Path) -> Result<Command>) -> Contender {
    Contender { name, writes: true, command }
}

pub(super) fn single() -> Vec<Contender> {
    vec![
        writer("ours, hash and fsync", ours),
        writer("ours, 1 connection", ours_on_one_connection),
        writer("curl -o", curl),
        writer("curl, tee, openssl", curl_tee_openssl),
        writer("aria2c -x16, checksum", aria2_with_checksum),
        writer("huggingface_hub", huggingface_hub),
        Contender { name: "openssl dgst, cached", writes: false, command: openssl },
    ]
}

pub(super) fn many() -> Vec<Contender> {
    vec![
        writer("ours, hash and fsync", ours_on_sixteen_connections),
        writer("ours, the whole program", install),
        writer("curl -Z --parallel-max 16", curl_parallel),
        writer("aria2c -j16", aria2_many),
    ]
}

pub(super) fn paced() -> Vec<Contender> {
    vec![writer("ours, hash and fsync", ours), writer("aria2c -x8", aria2_on_eight_connections)]
}

fn ours(programs: &Programs, files: &[Remote], output: &Path) -> Result<Command> {
    fetch(programs, files, output, CONNECTIONS)
}

fn ours_on_one_connection(programs: &Programs, files: &[Remote], output: &Path) -> Result<Command> {
    fetch(programs, files, output, 1)
}

fn ours_on_sixteen_connections(programs: &Programs, files: &[Remote], output: &Path) -> Result<Command> {
    fetch(programs, files, output, 16)
}

fn fetch(programs: &Programs, files: &[Remote], output: &Path, connections: u64) -> Result<Command> {
    let mut list = String::new();
    for file in files {
        writeln!(list, "{} {} {}", file.url, file.name, file.sha256)?;
    }
    let mut command = Command::new(&programs.fetch);
    command.arg(output).arg(keep_list(output, &list)?).arg("--connections").arg(connections.to_string());
    Ok(command)
}

/// A preset of all the files, installed from the shell: servers are asked for what they hold, and all of it is in the database.
fn install(programs: &Programs, files: &[Remote], output: &Path) -> Result<Command> {
    let listed = files.iter().map(|file| {
        json!({"path": file.name, "url": file.url, "size": "1MB", "checksum": format!("sha256:{}", file.sha256)})
    });
    let preset = json!({
        "id": "BENCH", "name": "Bench", "category": "Bench", "type": "image", "version": "1.0.0", "description": "",
        "files": listed.collect::<Vec<_>>(), "tags": [],
    });
    let registry = json!({"version": "1", "schema_version": "1", "categories": {}, "presets": {"BENCH": preset}});
    let mut command = Command::new(&programs.dashboard);
    command.args(["install", "BENCH", "--preset-config-path"]).arg(keep_list(output, &registry.to_string())?);
    command.arg("--workspace-dir").arg(output.join("workspace")).arg("--model-base-path").arg(output);
    command.args(["--allow-private-sources", "1", "--connections-per-download", "16"]);
    Ok(command)
}

fn curl(_: &Programs, files: &[Remote], output: &Path) -> Result<Command> {
    let mut command = Command::new("curl");
    command
        .args(["--silent", "--show-error", "--fail", "--output"])
        .arg(output.join(&files[0].name))
        .arg(&files[0].url);
    Ok(command)
}

fn curl_tee_openssl(_: &Programs, files: &[Remote], output: &Path) -> Result<Command> {
    let mut command = Command::new("sh");
    command.args(["-c", "curl --silent --fail \"$0\" | tee \"$1\" | openssl dgst -sha256"]).arg(&files[0].url);
    command.arg(output.join(&files[0].name));
    Ok(command)
}

fn curl_parallel(_: &Programs, files: &[Remote], output: &Path) -> Result<Command> {
    let mut list = String::new();
    for file in files {
        writeln!(list, "url = \"{}\"\noutput = \"{}\"", file.url, output.join(&file.name).display())?;
    }
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--fail", "--parallel", "--parallel-max", "16", "--config"]);
    command.arg(keep_list(output, &list)?);
    Ok(command)
}

fn aria2() -> Command {
    let mut command = Command::new("aria2c");
    command.args(["--no-conf", "--quiet", "--file-allocation=none", "--allow-overwrite=true", "--min-split-size=1M"]);
    command
}

fn aria2_with_checksum(_: &Programs, files: &[Remote], output: &Path) -> Result<Command> {
    let mut command = aria2();
    command.args(["-x16", "-s16"]).arg(format!("--checksum=sha-256={}", files[0].sha256));
    command.arg("--dir").arg(output).arg("--out").arg(&files[0].name).arg(&files[0].url);
    Ok(command)
}

fn aria2_on_eight_connections(_: &Programs, files: &[Remote], output: &Path) -> Result<Command> {
    let mut command = aria2();
    command.args(["-x8", "-s8"]).arg("--dir").arg(output).arg("--out").arg(&files[0].name).arg(&files[0].url);
    Ok(command)
}

fn aria2_many(_: &Programs, files: &[Remote], output: &Path) -> Result<Command> {
    let mut list = String::new();
    for file in files {
        writeln!(list, "{}\n  out={}\n  checksum=sha-256={}", file.url, file.name, file.sha256)?;
    }
    let mut command = aria2();
    command.arg("-j16").arg("--dir").arg(output).arg("--input-file").arg(keep_list(output, &list)?);
    Ok(command)
}

/// nginx stands in for the hub; see `servers`.
fn huggingface_hub(programs: &Programs, files: &[Remote], output: &Path) -> Result<Command> {
    const PROGRAM: &str = "import sys; from huggingface_hub import hf_hub_download; \
                           hf_hub_download('bench/single', sys.argv[1], local_dir=sys.argv[2])";
    let endpoint = files[0].url.split("/bench/").next().unwrap_or_default();
    let mut command = Command::new(&programs.python);
    command.args(["-c", PROGRAM]).arg(&files[0].name).arg(output);
    command
        .env("HF_ENDPOINT", endpoint)
        .env("HF_HOME", output.join("hf-home"))
        .env("HF_HUB_DISABLE_PROGRESS_BARS", "1");
    command.env("HF_HUB_DISABLE_XET", "1").env("HF_HUB_DISABLE_TELEMETRY", "1");
    Ok(command)
}

/// Hashes what nginx serves, which is in the page cache: no download with a check can beat it by much.
fn openssl(_: &Programs, files: &[Remote], output: &Path) -> Result<Command> {
    let served = output.with_file_name("served").join("single").join(&files[0].name);
    let mut command = Command::new("openssl");
    command.args(["dgst", "-sha256"]).arg(served);
    Ok(command)
}

/// Writes the list beside the output folder, so that making it is no part of the time.
fn keep_list(output: &Path, list: &str) -> Result<PathBuf> {
    let path = output.with_file_name("list");
    fs::write(&path, list).with_context(|| format!("{} could not be written", path.display()))?;
    Ok(path)
}
