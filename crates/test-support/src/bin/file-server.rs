//! A file server as a program of its own, for the benchmark and the torture run, which start and end the other side too:
//! `file-server COUNT BYTES_PER_FILE [BYTES_PER_SECOND_AND_CONNECTION [ROUND_TRIP_MILLISECONDS]]`.
//!
//! The addresses are those of a repository `local/files`, so that it can stand in for Hugging Face. Its first line of output is the
//! address that tells what was sent so far, one line `NAME FIRST_BYTE BYTES` for each answer; then comes one line `URL NAME SHA256`
//! for each file. It runs until it is ended.

use std::process::ExitCode;
use std::time::Duration;

use test_support::file_server::{Content, FileServer, Reply, Request};

const FOLDER: &str = "/local/files/resolve/main/";

fn main() -> ExitCode {
    let arguments: Vec<u64> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let [count, size, rest @ ..] = arguments.as_slice() else {
        eprintln!(
            "usage: file-server COUNT BYTES_PER_FILE [BYTES_PER_SECOND_AND_CONNECTION [ROUND_TRIP_MILLISECONDS]]"
        );
        return ExitCode::FAILURE;
    };
    let server = FileServer::start();
    if let Some(rate) = rest.first() {
        server.set_rate_per_connection(*rate);
    }
    if let Some(round_trip) = rest.get(1) {
        server.set_round_trip(Duration::from_millis(*round_trip));
    }
    let counted = server.clone();
    let sent = server.handle("/-/sent", move |_| {
        Reply::text(200, &counted.requests().iter().filter_map(line_about).collect::<String>())
    });
    println!("{}", sent.url());
    for number in 0..*count {
        let name = format!("file-{number:05}.safetensors");
        let file = server.file(&format!("{FOLDER}{name}"), Content::pattern(number, *size));
        println!("{} {name} {}", file.url(), file.sha256());
    }
    loop {
        std::thread::park();
    }
}

/// What of which file was sent in answer to a request.
fn line_about(request: &Request) -> Option<String> {
    let name = request.path().strip_prefix(FOLDER)?;
    let first = request.range().map_or(0, |(first, _)| first);
    Some(format!("{name} {first} {}\n", request.body_bytes_sent))
}
