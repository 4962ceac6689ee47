//! `cargo xtask bench api`: answers a second of ours, with access, limits, measures and log in force, beside actix-web with nothing
//! around it and FastAPI, each sending the same bytes, in turns.

mod clients;
mod servers;

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use clap::Args;

use crate::workspace::Workspace;
use servers::{Ours, Peer, Programs};

/// What of it is run, and how long.
#[derive(Args)]
pub(crate) struct Options {
    /// Rounds; each runs every server once, starting with another one each time.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds of each run.
    #[arg(long, default_value_t = 3)]
    seconds: u32,
    /// Only the answers whose name contains this.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Ours and actix-web alone.
    #[arg(long)]
    without_fastapi: bool,
    /// Take the programs from this folder, such as `target/release` of another commit, instead of building them.
    #[arg(long, value_name = "FOLDER")]
    programs: Option<PathBuf>,
}

/// An answer that is measured.
struct Answer {
    name: &'static str,
    /// Also the file of its bytes.
    key: &'static str,
    path: &'static str,
    /// Asked of the server with 100,000 models.
    of_library: bool,
}

const ANSWERS: [Answer; 7] = [
    Answer { name: "health", key: "health", path: "/health", of_library: false },
    Answer { name: "system resources", key: "resources", path: "/api/system/resources", of_library: false },
    Answer { name: "a preset's detail", key: "detail", path: "/api/presets/WAN_22_5B_TIV2", of_library: false },
    Answer { name: "a page of 20 presets", key: "page", path: "/api/presets", of_library: false },
    Answer { name: "all 56 presets", key: "all", path: "/api/presets?per_page=100", of_library: false },
    Answer { name: "recommendations", key: "recommendations", path: "/api/presets/recommendations", of_library: false },
    Answer { name: "20 of 100,000 models", key: "models", path: "/api/models?page=2500", of_library: true },
];

/// Bodies from here on count as large.
const LARGE: usize = 10_000;
/// What is asked of each answer: of bare actix-web, and of FastAPI for large and small bodies.
const OF_BARE: f64 = 0.5;
const OF_FASTAPI: (f64, f64) = (8.0, 3.0);
/// Most milliseconds of the 99th percentile at half the peak.
const MOST_P99_MS: f64 = 5.0;
/// Most milliseconds of a search over 10,000 presets.
const MOST_SEARCH_MS: f64 = 2.0;

/// How many searches of each kind.
const SEARCHES: usize = 200;

/// What was measured of an answer.
struct Row {
    bytes: usize,
    ours: f64,
    bare: f64,
    fastapi: Option<f64>,
    p99_ms: f64,
}

/// Runs every answer and prints a Markdown table; a copy lies in `target/bench/api.md`.
pub(crate) fn api(workspace: &Workspace, options: &Options) -> Result<()> {
    let folder = workspace.metadata.target_directory.join("bench/api").into_std_path_buf();
    let bodies = folder.join("bodies");
    let _ = fs::remove_dir_all(&bodies);
    fs::create_dir_all(&bodies).with_context(|| format!("{} could not be made", bodies.display()))?;
    clients::require()?;
    let programs = Programs::prepare(workspace, &folder, options)?;
    let mut report = head(options)?;
    report.push_str(&searches(&programs, &folder)?);
    let small = Ours::start(&programs, &folder.join("small"), servers::Library::Empty)?;
    let large = Ours::start(&programs, &folder.join("library"), servers::Library::Models)?;
    let chosen = ANSWERS.iter().filter(|answer| options.only.as_ref().is_none_or(|text| answer.name.contains(text)));
    let chosen: Vec<&Answer> = chosen.collect();
    let server_of = |answer: &Answer| if answer.of_library { &large } else { &small };
    for answer in &chosen {
        let body = server_of(answer).body(answer.path)?;
        fs::write(bodies.join(format!("{}.json", answer.key)), body)?;
    }
    let bare = Peer::bare(&programs, &bodies)?;
    let fastapi = programs.uvicorn.as_ref().map(|uvicorn| Peer::fastapi(uvicorn, &bodies)).transpose()?;
    report.push_str(
        "\n| answer | bytes | ours | bare actix-web | ours : bare | FastAPI | ours : FastAPI | p99 at half the peak |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for answer in chosen {
        eprintln!("{} ...", answer.name);
        let bytes = fs::metadata(bodies.join(format!("{}.json", answer.key)))?.len();
        let row = measure(answer, bytes as usize, server_of(answer), &bare, fastapi.as_ref(), options)?;
        report.push_str(&line(answer.name, &row));
    }
    println!("{report}");
    let kept = folder.with_file_name("api.md");
    fs::write(&kept, report).with_context(|| format!("{} could not be written", kept.display()))
}

fn measure(
    answer: &Answer,
    bytes: usize,
    ours: &Ours,
    bare: &Peer,
    fastapi: Option<&Peer>,
    options: &Options,
) -> Result<Row> {
    let at_peer = |peer: &Peer| format!("{}/bytes/{}", peer.url, answer.key);
    let mut contenders = vec![(format!("{}{}", ours.url, answer.path), Some(ours.key.as_str())), (at_peer(bare), None)];
    contenders.extend(fastapi.map(|peer| (at_peer(peer), None)));
    let mut rates = vec![Vec::new(); contenders.len()];
    for round in 0..options.rounds {
        for turn in 0..contenders.len() {
            let place = (round + turn) % contenders.len();
            let (url, key) = &contenders[place];
            rates[place].push(clients::peak(url, *key, options.seconds)?);
        }
    }
    let medians: Vec<f64> = rates.into_iter().map(median).collect();
    let p99_ms = clients::p99_ms(&contenders[0].0, &ours.key, medians[0] / 2.0, options.seconds)?;
    Ok(Row { bytes, ours: medians[0], bare: medians[1], fastapi: medians.get(2).copied(), p99_ms })
}

/// How long a search over 10,000 presets takes. Each one is another one, so that none is answered from what was made before.
fn searches(programs: &Programs, folder: &std::path::Path) -> Result<String> {
    let server = Ours::start(programs, &folder.join("registry"), servers::Library::Presets)?;
    let mut client = clients::OneByOne::connect(&server.url, &server.key)?;
    let mut text = String::new();
    for (what, path) in [
        ("many are found", "/api/presets?search=model+"),
        ("none is found", "/api/presets?search=nothing-has-"),
        ("sorted by name", "/api/presets?sort=name&search=words+"),
    ] {
        let mut times = Vec::new();
        for number in 0..SEARCHES {
            times.push(client.ask_ms(&format!("{path}{number}"))?);
        }
        let ms = median(times);
        let _ = writeln!(
            text,
            "- a search over 10,000 presets, {what}: {ms:.2} ms {}",
            judged(ms < MOST_SEARCH_MS, &format!("{MOST_SEARCH_MS} ms"))
        );
    }
    Ok(text)
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

fn line(name: &str, row: &Row) -> String {
    let of_bare = row.ours / row.bare;
    let least = if row.bytes >= LARGE { OF_FASTAPI.0 } else { OF_FASTAPI.1 };
    let fastapi = row.fastapi.map_or("| |".to_owned(), |theirs| {
        let ratio = row.ours / theirs;
        format!("| {theirs:.0} | {ratio:.1} {}", judged(ratio >= least, &format!("{least}")))
    });
    format!(
        "| {name} | {} | {:.0} | {:.0} | {of_bare:.2} {} {fastapi} | {:.2} ms {} |\n",
        row.bytes,
        row.ours,
        row.bare,
        judged(of_bare >= OF_BARE, &format!("{OF_BARE}")),
        row.p99_ms,
        judged(row.p99_ms < MOST_P99_MS, &format!("{MOST_P99_MS}"))
    )
}

fn judged(holds: bool, target: &str) -> String {
    if holds { "(met)".to_owned() } else { format!("(MISSED: {target})") }
}

/// Day, machine, versions, and what the columns mean.
fn head(options: &Options) -> Result<String> {
    let day = Command::new("date").args(["-u", "+%Y-%m-%d"]).output().context("date could not be started")?;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Ok(format!(
        "Measured {} on {cores} cores that clients and servers share: answers a second, medians of {} alternating rounds of {} s \
         with 64 connections. Ours has a key, limits, measures and a log; the others have nothing around the same bytes.\n\n",
        String::from_utf8_lossy(&day.stdout).trim(),
        options.rounds,
        options.seconds
    ))
}
