//! `cargo xtask fuzz`: searches with libFuzzer for inputs that break a target of `crates/fuzz-targets`. Owns how the fuzzer is
//! built and started; knows no target but by its folder in the corpus.
//!
//! The ordinary toolchain is enough: coverage comes from a pass of LLVM that rustc has, and without unsafe code of ours the
//! address sanitizer would have little to find.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::workspace::{Workspace, run};

/// What libFuzzer needs to see which branches an input takes.
const RUST_FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

/// The longest input that is kept in the repository, in bytes.
const MOST_KEPT_BYTES: u64 = 4096;

/// What is searched, and for how long.
#[derive(Args)]
pub(crate) struct Options {
    /// Only this target; without it all, one after the other.
    target: Option<String>,
    /// How long each target is searched.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    minutes: u64,
    /// Afterwards add to the kept corpus what covers more than it does.
    #[arg(long)]
    keep: bool,
}

impl Options {
    /// Every target for so many minutes.
    pub(crate) fn all(minutes: u64) -> Self {
        Self { target: None, minutes, keep: false }
    }
}

/// Searches, prints a line for each target, and fails if an input broke one.
pub(crate) fn search(workspace: &Workspace, options: &Options) -> Result<()> {
    let corpus = workspace.root.join("crates/fuzz-targets/corpus");
    let mut targets = names_in(&corpus)?;
    if let Some(wanted) = &options.target {
        let known = targets.join(", ");
        targets.retain(|name| name == wanted);
        if targets.is_empty() {
            bail!("no target is called `{wanted}`; there are {known}");
        }
    }
    let fuzzer = build(workspace)?;
    let mut broken = 0;
    for name in &targets {
        let place = Place::make(workspace, &corpus, name)?;
        let found = place.search(&fuzzer, options.minutes)?;
        println!("fuzz {name}: {found}");
        broken += found.crashes.len();
        if options.keep {
            place.keep(&fuzzer)?;
        }
    }
    if broken > 0 {
        bail!(
            "{broken} inputs broke their target: repair it, and keep the input under crates/fuzz-targets/corpus/TARGET"
        );
    }
    Ok(())
}

fn names_in(corpus: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(corpus).with_context(|| format!("{} cannot be listed", corpus.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Compiles for the host by name, so that build scripts and macros stay without coverage.
fn build(workspace: &Workspace) -> Result<PathBuf> {
    let version = Command::new("rustc").arg("-vV").output().context("rustc could not be started")?;
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).context("rustc names no host")?;
    let mut cargo = workspace.cargo(&["build", "--locked", "--profile", "fuzz", "--package", "fuzz-targets"]);
    cargo.args(["--bin", "fuzz", "--features", "libfuzzer", "--target", host]).env("RUSTFLAGS", RUST_FLAGS);
    run(&mut cargo)?;
    Ok(workspace.metadata.target_directory.join(host).join("fuzz/fuzz").into_std_path_buf())
}

/// The folders of one target.
struct Place {
    name: String,
    /// In the repository.
    kept: PathBuf,
    /// What earlier searches found, under `target`.
    grown: PathBuf,
    crashes: PathBuf,
}

/// What a search came to.
struct Found {
    executions: u64,
    crashes: Vec<PathBuf>,
    /// What the fuzzer said at the end, if it ended with a crash.
    words: String,
}

impl std::fmt::Display for Found {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} executions, {} findings", self.executions, self.crashes.len())?;
        self.crashes.iter().try_for_each(|path| write!(out, "\n    {}", path.display()))?;
        if self.crashes.is_empty() { Ok(()) } else { write!(out, "\n{}", self.words) }
    }
}

impl Place {
    fn make(workspace: &Workspace, corpus: &Path, name: &str) -> Result<Self> {
        let work = workspace.metadata.target_directory.join("fuzz-work").join(name).into_std_path_buf();
        let place = Self {
            name: name.to_owned(),
            kept: corpus.join(name),
            grown: work.join("corpus"),
            crashes: work.join("crashes"),
        };
        for folder in [&place.grown, &place.crashes] {
            fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
        }
        Ok(place)
    }

    fn command(&self, fuzzer: &Path) -> Command {
        let mut command = Command::new(fuzzer);
        command.env("FUZZ_TARGET", &self.name).stdin(Stdio::null());
        command
    }

    fn search(&self, fuzzer: &Path, minutes: u64) -> Result<Found> {
        let before = files_in(&self.crashes)?;
        let mut command = self.command(fuzzer);
        command.arg(format!("-max_total_time={}", minutes * 60));
        command.arg(format!("-artifact_prefix={}/", self.crashes.display()));
        command.args(["-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1"]).args([&self.grown, &self.kept]);
        let mut child = command.stderr(Stdio::piped()).spawn().context("the fuzzer could not be started")?;
        let told = BufReader::new(child.stderr.take().context("the fuzzer has no stderr")?);
        let mut executions = 0;
        let mut words = String::new();
        // Read as bytes: it quotes the input that it found.
        for line in told.split(b'\n') {
            let line = String::from_utf8_lossy(&line?).into_owned();
            if let Some(count) = line.strip_prefix("stat::number_of_executed_units:") {
                executions = count.trim().parse().unwrap_or(0);
            } else if line.contains("panicked at") || line.contains("ERROR: libFuzzer") || !words.is_empty() {
                words.push_str(&format!("    {line}\n"));
            }
        }
        let status = child.wait().context("the fuzzer could not be waited for")?;
        let crashes: Vec<PathBuf> =
            files_in(&self.crashes)?.into_iter().filter(|file| !before.contains(file)).collect();
        if executions == 0 || (!status.success() && crashes.is_empty()) {
            bail!("the fuzzer of {} ended with {status} after {executions} executions\n{words}", self.name);
        }
        Ok(Found { executions, crashes, words: words.lines().take(30).collect::<Vec<_>>().join("\n") })
    }

    /// Adds to the repository what covers more than what is there, as long as it is short.
    fn keep(&self, fuzzer: &Path) -> Result<()> {
        for file in files_in(&self.grown)? {
            if fs::metadata(&file)?.len() > MOST_KEPT_BYTES {
                fs::remove_file(&file)?;
            }
        }
        run(self.command(fuzzer).arg("-merge=1").args([&self.kept, &self.grown]).stderr(Stdio::null()))
    }
}

fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("{} cannot be listed", folder.display()))?;
    entries.map(|entry| Ok(entry?.path())).collect()
}
