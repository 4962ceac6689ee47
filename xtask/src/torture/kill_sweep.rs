//! Ordeal: the program dies at its n-th call of each kind that changes the disk, for n from 1 to the last.

use std::path::Path;

use anyhow::Result;

use super::strace::{self, Fault};
use super::subject::{Subject, Trial};
use super::{Options, Outcome, Tally, next_call};

/// Calls that change files. `write` is asked about the files of the output folder alone: the others wake threads.
const CALLS: [&str; 9] =
    ["pwrite64", "pwritev", "fdatasync", "fsync", "sync_file_range", "ftruncate", "fallocate", "/^rename", "/^unlink"];

pub(super) fn run(subject: &Subject, options: &Options) -> Result<Outcome> {
    if let Some(reason) = strace::missing() {
        return Ok(Outcome::Skipped(reason));
    }
    // Small files with frequent syncs: every kind of call comes many times.
    let trial = subject.trial(6, 2 << 20, 1 << 30, &["--sync-bytes", "524288"])?;
    let mut tally = Tally::default();
    for call in CALLS {
        sweep(&trial, call, &[], options, &mut tally)?;
    }
    sweep(&trial, "write", &written_paths(&trial), options, &mut tally)?;
    Ok(Outcome::Done(tally))
}

fn sweep(trial: &Trial<'_>, call: &str, paths: &[String], options: &Options, tally: &mut Tally) -> Result<()> {
    let (mut n, mut kills) = (1, 0);
    loop {
        trial.fresh()?;
        if !strace::inject(trial, call, Fault::Kill, n, paths)?.happened {
            break;
        }
        kills += 1;
        tally.count(&format!("killed at {call} {n}"), trial.nothing_wrong().and_then(|()| trial.recovers()));
        n = next_call(n, options.every);
    }
    tally.note.push_str(&format!("{call} {kills}, "));
    Ok(())
}

/// Every name that the program may write to by plain `write`.
pub(super) fn written_paths(trial: &Trial<'_>) -> Vec<String> {
    let path = |name: &str| Path::new(&trial.output).join(name).display().to_string();
    let names = trial.server.files.iter().flat_map(|file| {
        ["", ".part", ".part.journal", ".part.journal.new"].map(|ending| path(&format!("{}{ending}", file.name)))
    });
    names.collect()
}
