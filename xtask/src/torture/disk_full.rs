//! Ordeal: real small disks, from nearly nothing to just enough. Each fills up, is made larger, and must then end whole.

use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use super::subject::{Subject, Trial};
use super::{Options, Outcome, Tally};

/// Arguments: folder, KiB at first, program and its arguments. Says the status of the first run; fails if the second one fails.
/// The disk is a tmpfs in a mount namespace of its own, which ends with the script.
const SCRIPT: &str = r#"
set -u
folder=$1; size=$2; hashes=$3; shift 3
mount -t tmpfs -o "size=${size}k" none "$folder" || exit 90
"$@" > /dev/null 2> /dev/null
echo "first $?"
for file in "$folder"/*.safetensors; do
    [ -e "$file" ] || continue
    grep -q "$(sha256sum < "$file" | cut -d' ' -f1)" "$hashes" || { echo "$file is not whole"; exit 91; }
done
mount -o remount,size=1g "$folder" || exit 90
"$@" > /dev/null || exit 92
cd "$folder" && sha256sum --quiet -c "$hashes" || exit 93
[ "$(ls -A | wc -l)" = "$(wc -l < "$hashes")" ] || { ls -A; exit 94; }
"#;

pub(super) fn run(subject: &Subject<'_>, _: &Options) -> Result<Outcome> {
    if let Some(reason) = missing() {
        return Ok(Outcome::Skipped(reason));
    }
    let trial = subject.engine(6, 2 << 20, 1 << 30, &["--sync-bytes", "524288"])?;
    let total_kib = trial.total_bytes() >> 10;
    let hashes = trial.scratch("hashes");
    let lines: String = trial.server.files.iter().map(|file| format!("{}  {}\n", file.sha256, file.name)).collect();
    std::fs::write(&hashes, lines)?;
    let mut tally = Tally::default();
    let mut enough = 0;
    // Forty sizes up to all bytes and a little more, where the journals no longer fit.
    let sizes = (1..=40).map(|step| total_kib * step / 40).chain((1..=20).map(|step| total_kib + step * 4));
    for kib in sizes {
        trial.fresh()?;
        let result = fill(&trial, kib, &hashes.display().to_string());
        enough += usize::from(matches!(result, Ok(Some(0))));
        tally.count(&format!("disk of {kib} KiB"), result.and_then(check_first));
    }
    tally.note = format!("{enough} of them had room enough at once");
    Ok(Outcome::Done(tally))
}

/// A run without room must say so, by its status.
fn check_first(first: Option<i32>) -> Result<()> {
    match first {
        Some(0 | 3) => Ok(()),
        other => bail!("the run without room ended with {other:?}, not with the status for no room"),
    }
}

fn fill(trial: &Trial, kib: u64, hashes: &str) -> Result<Option<i32>> {
    let folder = trial.output.display().to_string();
    let output = Command::new("unshare")
        .args(["-rm", "sh", "-c", SCRIPT, "sh", &folder, &kib.to_string(), hashes])
        .args(&trial.words)
        .stdin(Stdio::null())
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        bail!("{} ({}; {})", output.status, said.trim().replace('\n', ", "), error.trim());
    }
    Ok(said.lines().find_map(|line| line.strip_prefix("first ")).and_then(|status| status.parse().ok()))
}

fn missing() -> Option<String> {
    let probe =
        Command::new("unshare").args(["-rm", "mount", "-t", "tmpfs", "none", "/mnt"]).stderr(Stdio::null()).status();
    match probe {
        Ok(status) if status.success() => None,
        Ok(_) => Some("this machine gives no mount namespace to unshare".to_owned()),
        Err(_) => Some("unshare is not installed".to_owned()),
    }
}
