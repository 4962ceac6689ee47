//! Failing one system call of a program, without privileges. strace injects at the n-th call of a thread on a path, so a sweep over
//! every path that a plain run touches, and every n, meets every call.

use std::collections::BTreeSet;
use std::fs;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result};

use super::subject::Trial;

/// What happens at the n-th call.
#[derive(Clone, Copy)]
pub(super) enum Fault {
    Kill,
    /// This error, by its name in errno(3), once.
    Error(&'static str),
}

/// A call that the program makes on a file or folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Call {
    pub(super) name: String,
    pub(super) path: String,
}

/// A run with an injected fault.
pub(super) struct Injected {
    /// Whether any thread made so many calls; if none did, the run was a plain one.
    pub(super) happened: bool,
    pub(super) output: Output,
}

/// Why strace cannot be used here, if so.
pub(super) fn missing() -> Option<String> {
    let probe = Command::new("strace").args(["-f", "-o", "/dev/null", "true"]).stderr(Stdio::null()).status();
    match probe {
        Ok(status) if status.success() => None,
        Ok(status) => Some(format!("strace may not trace here (it ended with {status})")),
        Err(_) => Some("strace is not installed".to_owned()),
    }
}

/// Which of these calls a plain run makes, and on what in the output folder.
pub(super) fn calls_of(trial: &Trial, names: &[&str]) -> Result<Vec<Call>> {
    trial.fresh()?;
    let trace = trial.scratch("trace");
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-y", "-e"]).arg(format!("trace={}", names.join(","))).arg("-o").arg(&trace);
    command.arg("--").args(&trial.words).stdout(Stdio::null()).status().context("strace could not be started")?;
    let folder = trial.output.display().to_string();
    let traced = fs::read_to_string(&trace).context("strace left no trace")?;
    let calls: BTreeSet<Call> = traced.lines().filter_map(|line| call_in(line, &folder)).collect();
    Ok(calls.into_iter().collect())
}

/// `1234 pwritev(9</folder/name>, ...` and `1234 rename("/folder/name", ...`; anything outside the folder is none of ours.
fn call_in(line: &str, folder: &str) -> Option<Call> {
    let (head, arguments) = line.split_once('(')?;
    let name = head.split_whitespace().nth(1)?;
    let start = arguments.find(folder)?;
    let path = arguments[start..].split(['>', '"']).next()?;
    Some(Call { name: name.to_owned(), path: path.to_owned() })
}

/// Runs the program once; the n-th such call of a thread meets the fault.
pub(super) fn inject(trial: &Trial, call: &Call, fault: Fault, n: usize) -> Result<Injected> {
    let trace = trial.scratch("trace");
    let what = match fault {
        Fault::Kill => "signal=KILL".to_owned(),
        Fault::Error(name) => format!("error={name}"),
    };
    let name = &call.name;
    let mut command = Command::new("strace");
    command
        .args(["-f", "-qq", "-e"])
        .arg(format!("trace={name}"))
        .arg("-e")
        .arg(format!("inject={name}:{what}:when={n}"));
    command.args(["-P", &call.path]).arg("-o").arg(&trace).arg("--").args(&trial.words);
    let output = command.stdin(Stdio::null()).output().context("strace could not be started")?;
    let traced = fs::read_to_string(&trace).unwrap_or_default();
    let happened = traced.contains("(INJECTED)") || traced.contains("killed by SIGKILL");
    Ok(Injected { happened, output })
}
