//! What the tests need of the machine beyond a Rust toolchain. Installs it where that is allowed (root on Debian), and collects
//! which tests were skipped and why. Whether a skip is a failure is decided in `test_support::requirements`.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::workspace::{Workspace, run};

/// The variable of `test_support::requirements::SKIPPED_TESTS`.
const SKIPPED_TESTS: &str = "COMFYUI_DASHBOARD_SKIPPED_TESTS";

/// A program or file, the Debian package that brings it, and who asks for it.
const NEEDS: &[(&str, &str, &str)] = &[
    ("/usr/bin/chromium", "chromium", "the test that drives the page"),
    ("/usr/bin/chromedriver", "chromium-driver", "the test that drives the page"),
    ("/usr/bin/strace", "strace", "the tests that watch system calls"),
    ("/usr/sbin/nginx", "nginx", "the tests behind a reverse proxy"),
    ("/usr/sbin/mkfs.exfat", "exfatprogs", "the tests that mount file systems"),
    ("/usr/sbin/mount.exfat-fuse", "exfat-fuse", "the tests that mount file systems"),
    ("/usr/sbin/mkfs.btrfs", "btrfs-progs", "the tests that mount file systems"),
    ("/usr/sbin/mkfs.xfs", "xfsprogs", "the tests that mount file systems"),
    ("/etc/ssl/certs/ca-certificates.crt", "ca-certificates", "requests by https"),
];

/// Installs what is missing. Never fails the run: a machine without a network can still judge everything else, and the tests
/// that need a missing package then fail or skip by name.
pub(super) fn set_up() -> Result<()> {
    let missing = missing();
    if missing.is_empty() {
        println!("everything is installed");
        return Ok(());
    }
    if !installs_packages() {
        report(&missing, "not root on Debian");
        return Ok(());
    }
    if let Err(error) = install(&missing) {
        report(&missing, &error.to_string());
    }
    Ok(())
}

/// Prepares a command that runs tests: their skips go into one list, and where packages can be installed `CI=true` makes the
/// lack of one a failure. A `CI` that is set already stays.
pub(super) fn strict<'a>(workspace: &Workspace, tests: &'a mut Command) -> &'a mut Command {
    if installs_packages() && std::env::var_os("CI").is_none() {
        tests.env("CI", "true");
    }
    tests.env(SKIPPED_TESTS, skip_list(workspace))
}

/// Empties the list of skipped tests.
pub(super) fn forget_skipped(workspace: &Workspace) -> Result<()> {
    match fs::remove_file(skip_list(workspace)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error).context("the list of skipped tests stays"),
        _ => Ok(()),
    }
}

/// The skips of this run, each once: `SKIPPED name: reason`.
pub(super) fn skipped(workspace: &Workspace) -> BTreeSet<String> {
    let list = fs::read_to_string(skip_list(workspace)).unwrap_or_default();
    list.lines().map(str::to_owned).collect()
}

fn skip_list(workspace: &Workspace) -> PathBuf {
    workspace.metadata.target_directory.join("skipped-tests.txt").into_std_path_buf()
}

/// Package and purpose of each thing that is not on this machine.
fn missing() -> Vec<(&'static str, &'static str)> {
    NEEDS
        .iter()
        .filter(|(path, ..)| !Path::new(path).exists())
        .map(|(_, package, purpose)| (*package, *purpose))
        .collect()
}

fn installs_packages() -> bool {
    is_root() && Path::new("/etc/debian_version").exists()
}

fn install(missing: &[(&str, &str)]) -> Result<()> {
    run(apt_get().args(["update", "--quiet"]))?;
    run(apt_get()
        .args(["install", "--yes", "--quiet", "--no-install-recommends"])
        .args(missing.iter().map(|(package, _)| package)))
}

/// Asks nothing, and gives up on a dead mirror instead of hanging on it.
fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command.args(["-o", "Acquire::Retries=3", "-o", "Acquire::http::Timeout=30", "-o", "DPkg::Lock::Timeout=120"]);
    command
}

fn report(missing: &[(&str, &str)], cause: &str) {
    for (package, purpose) in missing {
        println!("MISSING: {package}, needed by {purpose}; not installed: {cause}");
    }
}

/// Without a dependency: the owner of our own process entry.
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|entry| entry.uid() == 0)
}
