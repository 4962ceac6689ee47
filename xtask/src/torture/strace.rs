//! Failing one system call of a program, without privileges: strace counts the calls of each thread and injects at the n-th.

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

/// Runs the program once; the n-th `call` of a thread meets the fault. Only calls that touch the output folder's files count where
/// `paths` are given.
pub(super) fn inject(trial: &Trial<'_>, call: &str, fault: Fault, n: usize, paths: &[String]) -> Result<Injected> {
    let trace = trial.scratch("trace");
    let what = match fault {
        Fault::Kill => "signal=KILL".to_owned(),
        Fault::Error(name) => format!("error={name}"),
    };
    let mut command = Command::new("strace");
    command
        .args(["-f", "-qq", "-e"])
        .arg(format!("trace={call}"))
        .arg("-e")
        .arg(format!("inject={call}:{what}:when={n}"));
    command.arg("-o").arg(&trace);
    for path in paths {
        command.args(["-P", path]);
    }
    let output =
        command.arg("--").args(trial.words()).stdin(Stdio::null()).output().context("strace could not be started")?;
    let traced = fs::read_to_string(&trace).unwrap_or_default();
    let happened = traced.contains("(INJECTED)") || traced.contains("killed by SIGKILL");
    Ok(Injected { happened, output })
}
