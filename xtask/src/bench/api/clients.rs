//! Those who ask: `wrk` as fast as it can, `h2load` at a given rate.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::workspace::run;

/// Connections at the peak.
const CONNECTIONS: usize = 64;
/// Connections at a given rate.
const PACED_CONNECTIONS: usize = 20;

/// Installs what is missing, where that is possible.
pub(super) fn require() -> Result<()> {
    let is_there = |program: &str| {
        Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
    };
    let missing: Vec<&str> = [("wrk", "wrk"), ("h2load", "nghttp2-client")]
        .into_iter()
        .filter_map(|(program, package)| (!is_there(program)).then_some(package))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    run(Command::new("apt-get").args(["update", "-qq"]))?;
    run(Command::new("apt-get").args(["install", "-y", "-qq", "--no-install-recommends"]).args(&missing))
        .with_context(|| format!("the benchmark needs {}", missing.join(", ")))
}

/// Answers a second, as many as come.
pub(super) fn peak(url: &str, key: Option<&str>, seconds: u32) -> Result<f64> {
    let said = wrk(url, key, seconds)?;
    figure(&said, "Requests/sec:").and_then(|rate| rate.parse().ok()).with_context(|| format!("wrk said {said}"))
}

/// One client that asks one question after the other over one connection.
pub(super) struct OneByOne {
    stream: BufReader<TcpStream>,
    host: String,
    key: String,
}

impl OneByOne {
    pub(super) fn connect(url: &str, key: &str) -> Result<Self> {
        let host = url.trim_start_matches("http://").to_owned();
        let stream = TcpStream::connect(&host)?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream), host, key: key.to_owned() })
    }

    /// Milliseconds until the whole answer is here.
    pub(super) fn ask_ms(&mut self, path: &str) -> Result<f64> {
        let begun = Instant::now();
        let (host, key) = (&self.host, &self.key);
        let question = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n\r\n");
        self.stream.get_mut().write_all(question.as_bytes())?;
        let (mut length, mut line) = (0, String::new());
        let mut is_first = true;
        loop {
            line.clear();
            self.stream.read_line(&mut line)?;
            if std::mem::take(&mut is_first) && !line.starts_with("HTTP/1.1 200") {
                bail!("{path}: {line}");
            }
            if let Some(bytes) = line.to_lowercase().strip_prefix("content-length:") {
                length = bytes.trim().parse()?;
            }
            if line.trim().is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok(begun.elapsed().as_secs_f64() * 1000.0)
    }
}

fn wrk(url: &str, key: Option<&str>, seconds: u32) -> Result<String> {
    let mut command = Command::new("wrk");
    command.args(["-t1", &format!("-c{CONNECTIONS}"), &format!("-d{seconds}s")]);
    if let Some(key) = key {
        command.args(["-H", &format!("Authorization: Bearer {key}")]);
    }
    let output = command.arg(url).output().context("wrk could not be started")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() || said.contains("Non-2xx") || said.contains("Socket errors") {
        bail!("{url} was not answered as it should: {said}");
    }
    Ok(said)
}

/// Milliseconds within which 99 of 100 requests are answered that come at this rate.
pub(super) fn p99_ms(url: &str, key: &str, rate: f64, seconds: u32) -> Result<f64> {
    let log = std::env::temp_dir().join(format!("bench-api-{}.log", std::process::id()));
    let _ = std::fs::remove_file(&log);
    let each = (rate / PACED_CONNECTIONS as f64).floor().max(1.0);
    let total = each * PACED_CONNECTIONS as f64 * f64::from(seconds);
    let mut command = Command::new("h2load");
    command.args(["--h1", "-t1", &format!("-c{PACED_CONNECTIONS}"), &format!("-n{total}"), &format!("--rps={each}")]);
    command.arg(format!("--log-file={}", log.display())).args(["-H", &format!("Authorization: Bearer {key}"), url]);
    let output = command.output().context("h2load could not be started")?;
    let text = std::fs::read_to_string(&log).context("h2load left no log")?;
    let _ = std::fs::remove_file(&log);
    // Start, status and microseconds of each request.
    let mut times: Vec<f64> = Vec::new();
    for line in text.lines() {
        let mut words = line.split('\t').skip(1);
        let (status, micros) = (words.next(), words.next().and_then(|word| word.parse::<f64>().ok()));
        match (status, micros) {
            (Some("200"), Some(micros)) => times.push(micros / 1000.0),
            _ => bail!("{url}: h2load noted {line:?}"),
        }
    }
    if times.is_empty() {
        bail!("h2load said {}", String::from_utf8_lossy(&output.stdout));
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() * 99 / 100])
}

/// The word behind a label.
fn figure<'a>(said: &'a str, label: &str) -> Option<&'a str> {
    let line = said.lines().find_map(|line| line.trim().strip_prefix(label))?;
    line.split_whitespace().next()
}
