//! The programs that we are compared with. A missing one is installed where that is possible, and is an error where it is not: a
//! row without its peer is no row.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::workspace::run;

/// The command that proves a program is there, and the Debian package that brings it.
const PROGRAMS: [(&str, &str, &str); 4] = [
    ("curl", "--version", "curl"),
    ("aria2c", "--version", "aria2"),
    ("openssl", "version", "openssl"),
    ("nginx", "-v", "nginx-light"),
];

/// Installs what is missing, and gives the Python that has huggingface_hub.
pub(super) fn prepare(bench: &Path) -> Result<PathBuf> {
    let missing: Vec<&str> =
        PROGRAMS.iter().filter(|(program, flag, _)| !answers(program, flag)).map(|(_, _, package)| *package).collect();
    if !missing.is_empty() {
        run(Command::new("apt-get").args(["update", "-qq"]))?;
        // A run level of 1 keeps the package of nginx from starting a server of its own.
        let mut install = Command::new("apt-get");
        install.env("RUNLEVEL", "1").args(["install", "-y", "-qq", "--no-install-recommends"]).args(&missing);
        run(&mut install).with_context(|| format!("the benchmark needs {}", missing.join(", ")))?;
    }
    let environment = bench.join("python");
    let python = environment.join("bin/python");
    if !python.exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&environment))
            .context("the benchmark needs python3 with venv")?;
    }
    if !answers_with(&python, &["-c", "import huggingface_hub"]) {
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "huggingface_hub"]))?;
    }
    Ok(python)
}

fn answers(program: &str, flag: &str) -> bool {
    answers_with(Path::new(program), &[flag])
}

fn answers_with(program: &Path, arguments: &[&str]) -> bool {
    let quiet = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    quiet.is_ok_and(|status| status.success())
}

/// First line of what each program says of itself, for the head of the table.
pub(super) fn versions() -> String {
    let version = |program: &str, flag: &str| -> Option<String> {
        let output = Command::new(program).arg(flag).output().ok()?;
        let text = if output.stdout.is_empty() { output.stderr } else { output.stdout };
        let line = String::from_utf8_lossy(&text).lines().next()?.to_owned();
        Some(line.split(" (").next().unwrap_or(&line).to_owned())
    };
    let all: Vec<String> = PROGRAMS.iter().filter_map(|(program, flag, _)| version(program, flag)).collect();
    all.join("; ")
}
