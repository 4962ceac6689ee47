//! The servers on the other side: nginx with a configuration of its own, and the paced file server. Each ends with its handle.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::ops::Range;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::download::Remote;
use super::material::Material;

/// nginx on a free port of 127.0.0.1.
pub(super) struct Nginx {
    process: Child,
    /// Without a slash at the end.
    pub(super) url: String,
}

impl Nginx {
    /// Serves the material as `/bench/SET/resolve/main/FILE`, with the headers that huggingface_hub wants to see.
    pub(super) fn start(bench: &Path, material: &Material) -> Result<Nginx> {
        let folder = bench.join("nginx");
        fs::create_dir_all(&folder).with_context(|| format!("{} could not be made", folder.display()))?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let configuration = folder.join("nginx.conf");
        fs::write(&configuration, configuration_text(&folder, &material.folder, port))?;
        let process = Command::new("nginx")
            .arg("-p")
            .arg(&folder)
            .arg("-c")
            .arg(&configuration)
            .stderr(Stdio::null())
            .spawn()
            .context("nginx could not be started")?;
        let nginx = Nginx { process, url: format!("http://127.0.0.1:{port}") };
        wait_for_port(port)?;
        Ok(nginx)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // A master that is killed would leave its workers behind; this signal takes them along.
        let _ = Command::new("kill").args(["-TERM", &self.process.id().to_string()]).status();
        let _ = self.process.wait();
    }
}

fn configuration_text(folder: &Path, served: &Path, port: u16) -> String {
    let (folder, served) = (folder.display(), served.display());
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|kind| format!("    {kind}_temp_path {folder}/{kind};\n"))
        .collect();
    format!(
        "daemon off;\nuser root;\nworker_processes auto;\npid {folder}/pid;\nerror_log {folder}/errors;\n\
         events {{ worker_connections 1024; }}\n\
         http {{\n    access_log off;\n    sendfile on;\n    tcp_nopush on;\n    keepalive_requests 1000000;\n{temporary}\
         \x20   server {{\n        listen 127.0.0.1:{port};\n\
         \x20       location ~ ^/bench/([a-z]+)/resolve/main/(.+)$ {{\n\
         \x20           add_header X-Repo-Commit 0123456789012345678901234567890123456789;\n\
         \x20           alias {served}/$1/$2;\n        }}\n    }}\n}}\n"
    )
}

fn wait_for_port(port: u16) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
        if Instant::now() > deadline {
            bail!("nothing listens on port {port} after 10 s");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// The file server of `test-support` as a process, so that its work is not counted as ours.
pub(crate) struct FileServerProcess {
    process: Child,
    /// Answers with what was sent so far.
    sent_url: String,
    pub(crate) files: Vec<Remote>,
}

/// What the server sent in one answer.
pub(crate) struct Sent {
    /// Which of its files.
    pub(crate) file: usize,
    /// Where in it the answer began, and where it had come to.
    pub(crate) bytes: Range<u64>,
}

impl FileServerProcess {
    /// `arguments` are those of the program: number of files, bytes of each, pace, round trip.
    pub(crate) fn start(program: &Path, arguments: &[String]) -> Result<FileServerProcess> {
        let (count, size): (usize, u64) = (arguments[0].parse()?, arguments[1].parse()?);
        let mut process = Command::new(program)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("{} could not be started", program.display()))?;
        let output = process.stdout.take().context("the file server has no output")?;
        let mut server = FileServerProcess { process, sent_url: String::new(), files: Vec::new() };
        let mut lines = BufReader::new(output).lines();
        server.sent_url = lines.next().context("the file server said nothing")??;
        for line in lines.by_ref().take(count) {
            let line = line?;
            let [url, name, sha256] = line.split(' ').collect::<Vec<_>>()[..] else {
                bail!("the file server said {line}");
            };
            server.files.push(Remote { url: url.to_owned(), name: name.to_owned(), size, sha256: sha256.to_owned() });
        }
        Ok(server)
    }

    /// What it has sent since its start, in the order of the requests.
    pub(crate) fn sent(&self) -> Result<Vec<Sent>> {
        let rest = self.sent_url.strip_prefix("http://").context("the file server gave no address")?;
        let (host, path) = rest.split_once('/').context("the file server gave no path")?;
        let mut stream = TcpStream::connect(host).context("the file server is gone")?;
        write!(stream, "GET /{path} HTTP/1.1\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (_, body) = answer.split_once("\r\n\r\n").context("the file server gave no answer")?;
        body.lines().map(|line| self.sent_in(line).with_context(|| format!("the file server said {line}"))).collect()
    }

    /// `NAME FIRST_BYTE BYTES`.
    fn sent_in(&self, line: &str) -> Option<Sent> {
        let [name, first, bytes] = line.split(' ').collect::<Vec<_>>()[..] else { return None };
        let file = self.files.iter().position(|file| file.name == name)?;
        let (first, bytes): (u64, u64) = (first.parse().ok()?, bytes.parse().ok()?);
        Some(Sent { file, bytes: first..first + bytes })
    }
}

impl Drop for FileServerProcess {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
