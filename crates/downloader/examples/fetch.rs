//! Fetches a list of files with the engine alone: what the benchmark and the torture run start, and the shortest program that
//! shows how the crate is used.
//!
//! `fetch FOLDER LIST [--connections N] [--sync-bytes N] [--lock-wait MS] [--hub URL]`, where each line of LIST is
//! `URL NAME [SHA256]`.
//! A second run goes on where an earlier one was ended. Exit status: 0 all files whole, 1 failed, 2 usage, 3 no room.

use std::process::ExitCode;
use std::time::Duration;

use downloader::{
    Destination, Downloader, FileJob, Job, JobEvent, JobId, PauseReason, PrivateSources, Settings, Sha256Digest,
    SourceUrl,
};

type Problem = Box<dyn std::error::Error + Send + Sync>;

const USAGE: &str = "usage: fetch FOLDER LIST [--connections N] [--sync-bytes N] [--lock-wait MS] [--hub URL]";

// Files are hashed and written by threads of their own, so that one is enough for what waits for the network.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, list, options @ ..] = arguments.as_slice() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match fetch(folder, list, options).await {
        Ok(status) => status,
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::from(2)
        }
    }
}

async fn fetch(folder: &str, list: &str, options: &[String]) -> Result<ExitCode, Problem> {
    let files = read_list(folder, &std::fs::read_to_string(list)?)?;
    let names: Vec<String> = files.iter().map(|file| file.destination.relative().to_owned()).collect();
    let (downloader, mut updates, engine) = Downloader::new(settings(options)?)?;
    let engine = tokio::spawn(engine);
    downloader.enqueue(Job::new(JobId::new("fetch"), files)).await?;

    let mut status = ExitCode::FAILURE;
    while let Some(update) = updates.recv().await {
        match update.event {
            JobEvent::FileCompleted { file, outcome } => {
                println!("{} {} {}", names[file], outcome.sha256, outcome.wire_bytes);
            }
            JobEvent::FileFailed { file, error } => eprintln!("{}: {error}", names[file]),
            JobEvent::FileRestarted { file, reason } => eprintln!("{}: {reason}", names[file]),
            JobEvent::Paused(PauseReason::InsufficientStorage { needed_bytes, available_bytes }) => {
                eprintln!("no room: {needed_bytes} bytes needed, {available_bytes} available");
                status = ExitCode::from(3);
                break;
            }
            JobEvent::Completed => {
                status = ExitCode::SUCCESS;
                break;
            }
            JobEvent::Failed { .. } | JobEvent::Cancelled { .. } => break,
            _ => {}
        }
    }
    downloader.shutdown().await;
    engine.await?;
    Ok(status)
}

/// Settings for a local server: private addresses are fine, and the last byte of the disk may be used.
fn settings(options: &[String]) -> Result<Settings, Problem> {
    let mut settings = Settings { private_sources: PrivateSources::All, min_free_space: 0, ..Settings::default() };
    for option in options.chunks(2) {
        match option {
            [name, value] if name == "--connections" => settings.connections_per_download = value.parse()?,
            [name, value] if name == "--sync-bytes" => settings.sync_bytes = value.parse()?,
            [name, value] if name == "--lock-wait" => settings.lock_wait = Duration::from_millis(value.parse()?),
            [name, value] if name == "--hub" => settings.hf_endpoint = value.parse()?,
            _ => return Err(USAGE.into()),
        }
    }
    Ok(settings)
}

fn read_list(folder: &str, list: &str) -> Result<Vec<FileJob>, Problem> {
    let mut files = Vec::new();
    for line in list.lines() {
        let mut words = line.split_whitespace();
        let (Some(url), Some(name)) = (words.next(), words.next()) else {
            return Err(format!("not a line of URL NAME [SHA256]: {line}").into());
        };
        let mut file = FileJob::new(Destination::new(folder, name)?, vec![SourceUrl::parse(url)?]);
        file.sha256 = words.next().map(Sha256Digest::parse).transpose()?;
        files.push(file);
    }
    Ok(files)
}
