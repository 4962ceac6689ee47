//! The fake hub as a program, for demonstrations and for tests that need a process:
//! `fake-hub PORT CATALOGUE.json BYTES_PER_FILE [BYTES_PER_SECOND]`.
//!
//! It serves every Hugging Face address of the catalogue, with made-up bytes of the size given, until it is ended.

use serde_json::Value;
use std::process::ExitCode;
use test_support::fake_hub::FakeHub;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(hub) => {
            println!("{}", hub.endpoint());
            loop {
                std::thread::park();
            }
        }
        Err(problem) => {
            eprintln!("{problem}\nusage: fake-hub PORT CATALOGUE.json BYTES_PER_FILE [BYTES_PER_SECOND]");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<FakeHub, String> {
    let [port, catalogue, size, rest @ ..] = arguments else {
        return Err("three arguments at least".to_owned());
    };
    let port = port.parse().map_err(|_| format!("{port} is not a port"))?;
    let size: u64 = size.parse().map_err(|_| format!("{size} is not a number of bytes"))?;
    let text = std::fs::read_to_string(catalogue).map_err(|error| format!("{catalogue} cannot be read: {error}"))?;
    let document: Value = serde_json::from_str(&text).map_err(|error| format!("{catalogue} is not JSON: {error}"))?;
    let mut paths = Vec::new();
    collect_paths(&document, &mut paths);
    let hub = FakeHub::start_on(port);
    hub.serve(&paths.iter().map(|path| (path.as_str(), size)).collect::<Vec<_>>());
    if let Some(rate) = rest.first() {
        let rate = rate.parse().map_err(|_| format!("{rate} is not a number of bytes a second"))?;
        hub.cdn().set_rate_per_connection(rate);
    }
    Ok(hub)
}

/// Every string of the document that is an address on huggingface.co, without scheme and host.
fn collect_paths(value: &Value, paths: &mut Vec<String>) {
    match value {
        Value::String(text) => {
            if let Some(path) = text.strip_prefix("https://huggingface.co/")
                && (path.contains("/resolve/") || path.contains("/blob/"))
            {
                paths.push(format!("/{path}"));
            }
        }
        Value::Array(values) => values.iter().for_each(|value| collect_paths(value, paths)),
        Value::Object(fields) => fields.values().for_each(|value| collect_paths(value, paths)),
        _ => {}
    }
}
