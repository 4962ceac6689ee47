//! `cargo xtask bench download`: builds both sides, starts the servers, runs every row, prints and keeps the table.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;

use super::contenders::Programs;
use super::material::Material;
use super::rows::{self, Row};
use super::servers::{FileServerProcess, Nginx};
use super::{measure, peers, table};
use crate::workspace::{Workspace, run};

/// What of it is run, and how often.
#[derive(Args)]
pub(crate) struct Options {
    /// Rounds; each runs every contender of a row once, starting with another one each time.
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Only the rows whose name contains this.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
}

/// Runs the rows in turn and prints one Markdown table; a copy lies in `target/bench/download.md`.
pub(crate) fn download(workspace: &Workspace, options: &Options) -> Result<()> {
    let folder = workspace.metadata.target_directory.join("bench").into_std_path_buf();
    fs::create_dir_all(&folder).with_context(|| format!("{} could not be made", folder.display()))?;
    let programs = build(workspace, peers::prepare(&folder)?)?;
    let material = Material::prepare(&folder)?;
    let nginx = Nginx::start(&folder, &material)?;
    let mut report = table::head(options.rounds)?;
    for row in rows::all().into_iter().filter(|row| chosen(row, options)) {
        eprintln!("{} ...", row.name);
        let paced =
            row.pace.map(|pace| FileServerProcess::start(&programs.file_server, &pace.arguments())).transpose()?;
        let files = match &paced {
            Some(server) => server.files.clone(),
            None => material.files(row.set, &nginx)?,
        };
        let results = run_row(&row, &programs, &files, &folder, options.rounds)?;
        report.push_str(&table::rows(&row, &results));
    }
    println!("{report}");
    let kept = folder.join("download.md");
    fs::write(&kept, report).with_context(|| format!("{} could not be written", kept.display()))
}

fn chosen(row: &Row, options: &Options) -> bool {
    options.only.as_ref().is_none_or(|text| row.name.contains(text.as_str()))
}

fn build(workspace: &Workspace, python: PathBuf) -> Result<Programs> {
    run(&mut workspace.cargo(&["build", "--release", "--locked", "--package", "downloader", "--example", "fetch"]))?;
    run(&mut workspace.cargo(&["build", "--release", "--locked", "--package", "test-support", "--bins"]))?;
    run(&mut workspace.cargo(&["build", "--release", "--locked", "--package", "api", "--bins"]))?;
    let release = workspace.metadata.target_directory.join("release").into_std_path_buf();
    let [fetch, dashboard, file_server] =
        ["examples/fetch", "comfyui-dashboard", "file-server"].map(|name| release.join(name));
    Ok(Programs { fetch, dashboard, file_server, python })
}

/// What one contender needed, round by round.
pub(super) struct Results {
    pub(super) contender: &'static str,
    pub(super) runs: Vec<measure::Run>,
}

fn run_row(row: &Row, programs: &Programs, files: &[Remote], folder: &Path, rounds: usize) -> Result<Vec<Results>> {
    let mut results: Vec<Results> =
        row.contenders.iter().map(|contender| Results { contender: contender.name, runs: Vec::new() }).collect();
    let output = folder.join("output");
    for round in 0..rounds {
        for turn in 0..row.contenders.len() {
            let place = (round + turn) % row.contenders.len();
            let contender = &row.contenders[place];
            empty(&output)?;
            let mut command = (contender.command)(programs, files, &output)?;
            run(&mut Command::new("sync"))?;
            let measured = measure::run(&mut command).with_context(|| format!("{}, {}", row.name, contender.name))?;
            if contender.writes {
                check(files, &output, contender.name, round == 0)?;
            }
            results[place].runs.push(measured);
        }
    }
    empty(&output)?;
    Ok(results)
}

/// One file that a contender fetches.
#[derive(Clone)]
pub(crate) struct Remote {
    pub(crate) url: String,
    pub(crate) name: String,
    pub(crate) size: u64,
    pub(crate) sha256: String,
}

fn empty(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("{} could not be emptied", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("{} could not be made", folder.display()))
}

/// A contender that is quick because it did not do the work is no contender: all files must be there in full, and in the first
/// round the first one must have the right hash.
fn check(files: &[Remote], output: &Path, contender: &str, hash: bool) -> Result<()> {
    for file in files {
        let path = output.join(&file.name);
        let found = fs::metadata(&path).with_context(|| format!("{contender} left no {}", path.display()))?.len();
        if found != file.size {
            bail!("{contender} left {found} of {} bytes in {}", file.size, path.display());
        }
    }
    if let Some(first) = files.first().filter(|_| hash) {
        let found = super::material::sha256(&output.join(&first.name))?;
        if found != first.sha256 {
            bail!("{contender} left wrong bytes in {}: SHA-256 {found}, not {}", first.name, first.sha256);
        }
    }
    Ok(())
}
