//! The servers that are asked. Each ends with its handle.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::Options;
use crate::workspace::{Workspace, run};

const FASTAPI_APP: &str = include_str!("fastapi_app.py");

/// How many files a large library has, and how many presets a large registry.
const MODELS: usize = 100_000;
const PRESETS: usize = 10_000;
/// More requests a minute than any machine answers.
const NO_LIMIT: &str = "4000000000";

/// What is asked, built.
pub(super) struct Programs {
    dashboard: PathBuf,
    bare: PathBuf,
    /// Of an environment with FastAPI.
    pub(super) uvicorn: Option<PathBuf>,
}

impl Programs {
    pub(super) fn prepare(workspace: &Workspace, folder: &Path, options: &Options) -> Result<Self> {
        let release = match &options.programs {
            Some(release) => release.clone(),
            None => {
                let arguments =
                    ["build", "--release", "--locked", "--package", "api", "--bins", "--example", "bare_actix"];
                run(&mut workspace.cargo(&arguments))?;
                workspace.metadata.target_directory.join("release").into_std_path_buf()
            }
        };
        let uvicorn = (!options.without_fastapi).then(|| fastapi(folder)).transpose()?;
        Ok(Self { dashboard: release.join("comfyui-dashboard"), bare: release.join("examples/bare_actix"), uvicorn })
    }
}

/// Makes an environment with FastAPI where there is none.
fn fastapi(folder: &Path) -> Result<PathBuf> {
    let environment = folder.join("python");
    let uvicorn = environment.join("bin/uvicorn");
    if !uvicorn.exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&environment))
            .context("FastAPI needs python3 with venv")?;
        let mut install = Command::new(environment.join("bin/python"));
        run(install.args(["-m", "pip", "install", "--quiet", "fastapi", "uvicorn[standard]"]))?;
    }
    Ok(uvicorn)
}

/// What the product serves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Library {
    Empty,
    /// 100,000 files.
    Models,
    /// 10,000 presets.
    Presets,
}

/// The product, with a key.
pub(super) struct Ours {
    process: Child,
    pub(super) url: String,
    pub(super) key: String,
}

impl Ours {
    /// Starts it in a folder and waits until it has looked at its models.
    pub(super) fn start(programs: &Programs, folder: &Path, library: Library) -> Result<Self> {
        fs::create_dir_all(folder.join("models/loras"))?;
        if library == Library::Models {
            make_models(&folder.join("models/loras"))?;
        }
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let mut arguments: Vec<String> = Vec::new();
        if library == Library::Presets {
            let registry = folder.join("presets.json");
            fs::write(&registry, many_presets().to_string())?;
            arguments.push(format!("--preset-config-path={}", registry.display()));
        }
        let program = |words: &[&str]| {
            let mut command = Command::new(&programs.dashboard);
            command.args(words).args(&arguments).env("WORKSPACE_DIR", folder).env("REGISTRY_SYNC_INTERVAL", "0");
            command.env("RATE_LIMIT_AUTHENTICATED", NO_LIMIT).env("RATE_LIMIT_ANONYMOUS", NO_LIMIT);
            command
        };
        let made = program(&["auth", "generate-key", "--role", "admin"]).output()?;
        if !made.status.success() {
            bail!("no key was made: {}", String::from_utf8_lossy(&made.stderr));
        }
        let log = File::create(folder.join("log"))?;
        let mut serve = program(&["serve", "--listen", &format!("127.0.0.1:{port}")]);
        let process = serve.stdout(Stdio::null()).stderr(log).spawn()?;
        let key = String::from_utf8(made.stdout)?.trim().to_owned();
        let ours = Self { process, url: format!("http://127.0.0.1:{port}"), key };
        wait_for(port)?;
        // The first list waits until the folder has been looked at.
        let models: Value = serde_json::from_slice(&ours.body("/api/models")?)?;
        let expected = if library == Library::Models { MODELS } else { 0 };
        if models["total"] != expected {
            bail!("{} models are listed, not {expected}", models["total"]);
        }
        Ok(ours)
    }

    /// Asks once.
    pub(super) fn body(&self, path: &str) -> Result<Vec<u8>> {
        let address = self.url.trim_start_matches("http://");
        let mut stream = TcpStream::connect(address)?;
        write!(stream, "GET {path} HTTP/1.0\r\nHost: {address}\r\nAuthorization: Bearer {}\r\n\r\n", self.key)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let head = answer.windows(4).position(|four| four == b"\r\n\r\n").context("no answer")?;
        if !answer.starts_with(b"HTTP/1.0 200") && !answer.starts_with(b"HTTP/1.1 200") {
            bail!("{path}: {}", String::from_utf8_lossy(&answer));
        }
        Ok(answer.split_off(head + 4))
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status();
        let _ = self.process.wait();
    }
}

/// One that answers `/bytes/NAME`.
pub(super) struct Peer {
    process: Child,
    pub(super) url: String,
}

impl Peer {
    pub(super) fn bare(programs: &Programs, bodies: &Path) -> Result<Self> {
        let mut process = Command::new(&programs.bare).arg(bodies).stdout(Stdio::piped()).spawn()?;
        let output = process.stdout.take().context("bare_actix has no output")?;
        let url = BufReader::new(output).lines().next().context("bare_actix said nothing")??;
        Ok(Self { process, url })
    }

    pub(super) fn fastapi(uvicorn: &Path, bodies: &Path) -> Result<Self> {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let folder = bodies.with_file_name("fastapi");
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("fastapi_app.py"), FASTAPI_APP)?;
        let mut serve = Command::new(uvicorn);
        serve.args(["fastapi_app:app", "--workers", "2", "--log-level", "warning", "--port", &port.to_string()]);
        let process = serve.current_dir(folder).env("BENCH_BODIES", bodies).spawn()?;
        let peer = Self { process, url: format!("http://127.0.0.1:{port}") };
        wait_for(port)?;
        Ok(peer)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // A master that is killed would leave its workers behind; this signal takes them along.
        let _ = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status();
        let _ = self.process.wait();
    }
}

fn wait_for(port: u16) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(30);
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        if Instant::now() > deadline {
            bail!("nothing listens on port {port} after 30 s");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn make_models(folder: &Path) -> Result<()> {
    for number in 0..MODELS {
        let path = folder.join(format!("model-{number:06}.safetensors"));
        if !path.exists() {
            fs::write(&path, b"\x02\0\0\0\0\0\0\0{}")?;
        }
    }
    Ok(())
}

fn many_presets() -> Value {
    let preset = |number: usize| {
        let value = json!({
            "id": format!("PRESET_{number}"), "name": format!("Model {number}"), "category": "Images", "type": "image",
            "version": "1.0.0", "description": format!("The model of the number {number}, which makes pictures from words"),
            "tags": ["image", "text-to-image", format!("series-{}", number % 100)],
            "files": [{
                "path": format!("checkpoints/model-{number}.safetensors"), "size": "2GB",
                "url": format!("https://huggingface.co/org/repo/resolve/main/model-{number}.safetensors"),
            }],
        });
        (format!("PRESET_{number}"), value)
    };
    let presets: serde_json::Map<String, Value> = (0..PRESETS).map(preset).collect();
    json!({"version": "1.0.0", "schema_version": "1.0", "categories": {"Images": "image"}, "presets": presets})
}
