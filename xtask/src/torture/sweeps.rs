//! Ordeals: every call that changes the disk is, in its own run, the last one, or meets a full disk, or a disk that does not keep what
//! it was given.

use std::collections::BTreeMap;

use anyhow::{Result, bail};

use super::strace::{self, Call, Fault, Injected};
use super::subject::{Subject, Trial};
use super::{Options, Outcome, Tally};

const FILES: u64 = 6;

/// The program dies at the call.
pub(super) fn kill(subject: &Subject<'_>, options: &Options) -> Result<Outcome> {
    let calls = [
        "write",
        "pwrite64",
        "pwritev",
        "pwritev2",
        "fsync",
        "fdatasync",
        "sync_file_range",
        "ftruncate",
        "fallocate",
        "?rename",
        "?renameat",
        "renameat2",
        "?link",
        "linkat",
        "?unlink",
        "unlinkat",
        "openat",
        "?openat2",
    ];
    sweep(subject, options, &calls, Fault::Kill, |_| Ok(()))
}

/// The disk is full at the call: that is seen at once and named, nothing is called whole that is not.
pub(super) fn no_room(subject: &Subject<'_>, options: &Options) -> Result<Outcome> {
    let calls = ["write", "pwrite64", "pwritev", "pwritev2", "fallocate", "ftruncate"];
    sweep(subject, options, &calls, Fault::Error("ENOSPC"), |injected| {
        let said = String::from_utf8_lossy(&injected.output.stderr).into_owned();
        if injected.output.status.code() != Some(3) {
            bail!("ended with {} instead of saying that there is no room: {}", injected.output.status, said.trim());
        }
        Ok(())
    })
}

/// A sync fails: that is never passed over. The run fails, or says what it fetches again.
pub(super) fn failed_sync(subject: &Subject<'_>, options: &Options) -> Result<Outcome> {
    sweep(subject, options, &["fsync", "fdatasync"], Fault::Error("EIO"), |injected| {
        if injected.output.status.success() && injected.output.stderr.is_empty() {
            bail!("the run succeeded without a word about the failed sync");
        }
        Ok(())
    })
}

/// For each call of a plain run, on each path, and each n up to the last: one run with the fault, judged, then one without.
fn sweep(
    subject: &Subject<'_>,
    options: &Options,
    names: &[&str],
    fault: Fault,
    judge: fn(Injected) -> Result<()>,
) -> Result<Outcome> {
    if let Some(reason) = strace::missing() {
        return Ok(Outcome::Skipped(reason));
    }
    // Small files with frequent syncs: every kind of call comes, and comes again.
    let trial = subject.engine(FILES, 8 << 20, 40_000_000, &["--sync-bytes", "524288"])?;
    let folder = trial.output.display().to_string();
    let mut tally = Tally::default();
    let mut met: BTreeMap<String, usize> = BTreeMap::new();
    for call in strace::calls_of(&trial, names)? {
        // All files share the calls on their folder, so there the next run meets the fault again, at the next file.
        let repeats = if call.path == folder { FILES } else { 1 };
        let file = call.path.rsplit('/').next().unwrap_or_default();
        let mut n = 1;
        loop {
            let place = format!("{} {n} of {file}", call.name);
            let happened =
                strike(&trial, &call, fault, n, repeats, |result| tally.count(&place, result.and_then(judge)))?;
            if happened == 0 {
                break;
            }
            *met.entry(call.name.clone()).or_default() += happened;
            if let Err(error) = trial.recovers() {
                tally.broken.push(format!("{place}: {error:#}"));
            }
            n = next_call(n, options.every);
        }
    }
    tally.note = met.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ");
    Ok(Outcome::Done(tally))
}

/// Runs from an empty folder into the fault, and again as often as said; stops at a run that does not meet it. Gives the count.
fn strike(
    trial: &Trial,
    call: &Call,
    fault: Fault,
    n: usize,
    repeats: u64,
    mut judge: impl FnMut(Result<Injected>),
) -> Result<usize> {
    trial.fresh()?;
    let mut happened = 0;
    for _ in 0..repeats {
        let injected = strace::inject(trial, call, fault, n)?;
        if !injected.happened {
            break;
        }
        happened += 1;
        judge(trial.nothing_wrong().map(|()| injected));
    }
    Ok(happened)
}

/// The n-th calls that are failed: all, or the first sixteen and then ever wider steps.
fn next_call(n: usize, every: bool) -> usize {
    if every || n < 16 { n + 1 } else { n + n / 8 }
}
