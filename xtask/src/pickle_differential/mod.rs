//! `cargo xtask pickle-differential`: holds the judge of pickles against CPython, `torch.load` of both modes, picklescan and fickling, and
//! reports every file that is clean here and not there. A development command: it installs Python packages under target/, and the corpus
//! is run, though its payloads do no more than make an empty folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::workspace::Workspace;

const REFEREES: [&str; 5] = ["cpython", "torch_full", "torch_weights_only", "picklescan", "fickling"];
const SCRIPT: &str = include_str!("referees.py");
/// Files that are judged by one call.
const BATCH: usize = 500;

/// What is compared.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many mutants are made beside the fixed corpus.
    #[arg(long, default_value_t = 2000)]
    mutants: u32,
    /// A Python that has the referees already; without it, they are installed by pip under target/.
    #[arg(long)]
    python: Option<PathBuf>,
    /// Leave out torch, which is several gigabytes.
    #[arg(long)]
    without_torch: bool,
}

/// Builds the corpus, asks everybody, and fails where a file that is clean here ran its payload there.
pub(crate) fn compare(workspace: &Workspace, options: &Options) -> Result<()> {
    let folder = workspace.root.join("target/pickle-differential");
    fs::create_dir_all(&folder)?;
    let script = folder.join("referees.py");
    fs::write(&script, SCRIPT)?;
    let python = match &options.python {
        Some(python) => python.clone(),
        None => install(&folder, options.without_torch)?,
    };
    let corpus = folder.join("corpus");
    if corpus.exists() {
        fs::remove_dir_all(&corpus)?;
    }
    let canary = folder.join("canary");
    let python = Python { python, script, canary };
    python.run(&["corpus", &corpus.display().to_string(), &options.mutants.to_string()])?;
    let mut files: Vec<PathBuf> = fs::read_dir(&corpus)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    files.sort();
    let ours = judge(workspace, &files)?;
    println!("{} files; here: {}", files.len(), counts(ours.iter().map(String::as_str)));
    let mut ran = 0;
    for referee in REFEREES {
        if referee.starts_with("torch") && !python.has_torch() {
            println!("{referee}: skipped, torch is not installed in {}", python.python.display());
            continue;
        }
        let theirs = python.ask(referee, &corpus, files.len())?;
        println!("{referee}: {}", counts(theirs.iter().map(|answer| answer.split(' ').next().unwrap_or_default())));
        for ((file, ours), theirs) in files.iter().zip(&ours).zip(&theirs) {
            if ours == "clean" && is_objection(referee, theirs) {
                println!("  clean here, {theirs} there: {}", file.display());
                ran += u32::from(theirs == "ran");
            }
        }
    }
    ensure!(ran == 0, "{ran} times a file that is clean here ran its payload");
    Ok(())
}

/// An answer that does not go with "clean". A referee that failed has none, and only the unpickler that judges what it loads objects by
/// refusing: the others refuse whatever is no file of theirs.
fn is_objection(referee: &str, answer: &str) -> bool {
    match answer.split(' ').next() {
        Some("loaded" | "nothing" | "likely_safe" | "error") => false,
        Some("refused") => referee == "torch_weights_only",
        _ => true,
    }
}

fn counts<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let mut counts = BTreeMap::new();
    words.for_each(|word| *counts.entry(word).or_insert(0) += 1);
    counts.iter().map(|(word, count)| format!("{count} {word}")).collect::<Vec<_>>().join(", ")
}

fn install(folder: &Path, without_torch: bool) -> Result<PathBuf> {
    let venv = folder.join("venv");
    let python = venv.join("bin/python");
    if !python.exists() {
        succeed(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
        succeed(Command::new(&python).args(["-m", "pip", "install", "--quiet", "numpy", "picklescan", "fickling"]))?;
    }
    if !without_torch && succeed(Command::new(&python).args(["-m", "pip", "install", "--quiet", "torch"])).is_err() {
        println!("torch could not be installed by pip");
    }
    Ok(python)
}

fn succeed(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("{command:?} could not be started"))?;
    ensure!(status.success(), "{command:?} failed: {status}");
    Ok(())
}

/// What the product says of each file.
fn judge(workspace: &Workspace, files: &[PathBuf]) -> Result<Vec<String>> {
    let mut words = Vec::with_capacity(files.len());
    for batch in files.chunks(BATCH) {
        let mut cargo = Command::new("cargo");
        cargo.current_dir(&workspace.root).args([
            "run",
            "--quiet",
            "--package",
            "model-file",
            "--example",
            "judge",
            "--",
        ]);
        let output = cargo.args(batch).stderr(Stdio::inherit()).output()?;
        ensure!(output.status.success(), "the judge failed: {}", output.status);
        let text = String::from_utf8(output.stdout)?;
        words.extend(text.lines().map(|line| line.split('\t').next().unwrap_or_default().to_owned()));
    }
    ensure!(words.len() == files.len(), "{} verdicts on {} files", words.len(), files.len());
    Ok(words)
}

struct Python {
    python: PathBuf,
    script: PathBuf,
    canary: PathBuf,
}

impl Python {
    fn command(&self) -> Command {
        let mut command = Command::new(&self.python);
        command.arg(&self.script).env("CANARY", &self.canary).stderr(Stdio::null()).stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Result<()> {
        succeed(self.command().args(arguments).stderr(Stdio::inherit()))
    }

    fn has_torch(&self) -> bool {
        let mut command = Command::new(&self.python);
        command.args(["-c", "import torch"]).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    }

    /// The answer to each of `count` files. A file that kills the interpreter is answered by `error`, and the next one asked.
    fn ask(&self, referee: &str, corpus: &Path, count: usize) -> Result<Vec<String>> {
        let mut answers = Vec::with_capacity(count);
        while answers.len() < count {
            let first = answers.len().to_string();
            let output = self.command().args(["ask", referee]).arg(corpus).arg(&first).output()?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            for line in text.lines() {
                let Some((number, answer)) = line.split_once('\t') else { bail!("{referee} said {line:?}") };
                ensure!(number.parse() == Ok(answers.len()), "{referee} left out a file before {number}");
                answers.push(answer.to_owned());
            }
            if answers.len() < count {
                answers.push(format!("error {}", output.status));
            }
        }
        Ok(answers)
    }
}
