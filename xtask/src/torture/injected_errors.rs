//! Ordeals: the n-th call meets a full disk, or a disk that does not keep what it was given.

use anyhow::{Result, bail};

use super::kill_sweep::written_paths;
use super::strace::{self, Fault, Injected};
use super::subject::{Subject, Trial};
use super::{Options, Outcome, Tally, next_call};

/// ENOSPC at the n-th write: it is seen at once and named, nothing is called whole that is not, and the next run completes.
pub(super) fn no_room(subject: &Subject, options: &Options) -> Result<Outcome> {
    sweep(subject, options, &["pwrite64", "pwritev", "write", "ftruncate"], "ENOSPC", |injected| {
        let said = String::from_utf8_lossy(&injected.output.stderr).into_owned();
        if injected.output.status.code() != Some(3) {
            bail!("ended with {} instead of saying that there is no room: {}", injected.output.status, said.trim());
        }
        Ok(())
    })
}

/// EIO at the n-th sync: it is never passed over. The run fails, or says what it fetches again.
pub(super) fn failed_sync(subject: &Subject, options: &Options) -> Result<Outcome> {
    sweep(subject, options, &["fdatasync", "fsync"], "EIO", |injected| {
        if injected.output.status.success() && injected.output.stderr.is_empty() {
            bail!("the run succeeded without a word about the failed sync");
        }
        Ok(())
    })
}

fn sweep(
    subject: &Subject,
    options: &Options,
    calls: &[&str],
    error: &'static str,
    judge: fn(&Injected) -> Result<()>,
) -> Result<Outcome> {
    if let Some(reason) = strace::missing() {
        return Ok(Outcome::Skipped(reason));
    }
    let trial = subject.trial(6, 2 << 20, 1 << 30, &["--sync-bytes", "524288"])?;
    let paths = written_paths(&trial);
    let mut tally = Tally::default();
    for call in calls {
        let (mut n, mut faults) = (1, 0);
        loop {
            trial.fresh()?;
            let injected = strace::inject(&trial, call, Fault::Error(error), n, &paths)?;
            if !injected.happened {
                break;
            }
            faults += 1;
            tally.count(&format!("{error} at {call} {n}"), holds(&trial, &injected, judge));
            n = next_call(n, options.every);
        }
        tally.note.push_str(&format!("{call} {faults}, "));
    }
    Ok(Outcome::Done(tally))
}

fn holds(trial: &Trial<'_>, injected: &Injected, judge: fn(&Injected) -> Result<()>) -> Result<()> {
    trial.nothing_wrong()?;
    judge(injected)?;
    trial.recovers()
}
