//! Runs one program and reads what it needed: time on the clock, processor time, anonymous memory.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// What one run needed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Run {
    pub(super) seconds: f64,
    pub(super) processor_seconds: f64,
    /// The most anonymous memory that was seen, KiB. A shell's children are not counted.
    pub(super) memory_kib: u64,
}

/// Runs the command to its end; anything but success is an error.
pub(super) fn run(command: &mut Command) -> Result<Run> {
    let processor_before = processor_seconds_of_children()?;
    let start = Instant::now();
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().context("the program could not be started")?;
    let (status, seconds, memory_kib) = watch(&mut child, start)?;
    if !status.success() {
        bail!("it ended with {status}");
    }
    Ok(Run { seconds, processor_seconds: processor_seconds_of_children()? - processor_before, memory_kib })
}

/// Waits for the child while another thread looks at its memory every 10 ms.
fn watch(child: &mut Child, start: Instant) -> Result<(std::process::ExitStatus, f64, u64)> {
    let status_file = format!("/proc/{}/status", child.id());
    let (ended, ending) = channel();
    std::thread::scope(|scope| {
        let watcher = scope.spawn(move || most_anonymous_memory(&status_file, &ending));
        let status = child.wait().context("the program could not be waited for")?;
        let seconds = start.elapsed().as_secs_f64();
        drop(ended);
        Ok((status, seconds, watcher.join().unwrap_or(0)))
    })
}

fn most_anonymous_memory(status_file: &str, ending: &Receiver<()>) -> u64 {
    let mut most = 0;
    while ending.recv_timeout(Duration::from_millis(10)) == Err(RecvTimeoutError::Timeout) {
        let status = fs::read_to_string(status_file).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        let kib = line.and_then(|line| line.split_whitespace().next()).and_then(|number| number.parse().ok());
        most = most.max(kib.unwrap_or(0));
    }
    most
}

/// Processor time of all children that have ended, theirs included (`cutime` and `cstime` of proc(5), in hundredths).
fn processor_seconds_of_children() -> Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat").context("the benchmark needs Linux's /proc")?;
    let (_, fields) = stat.rsplit_once(')').context("/proc/self/stat has another form")?;
    let field = |number: usize| fields.split_whitespace().nth(number - 3).and_then(|text| text.parse::<f64>().ok());
    let (user, system) = (field(16), field(17));
    Ok((user.unwrap_or(0.0) + system.unwrap_or(0.0)) / 100.0)
}
