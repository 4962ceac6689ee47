//! What the tests need of the machine beside a Rust toolchain. Installs it where that is allowed (root on Debian), else says
//! what is missing: the tests that need it then skip themselves, by name.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::workspace::run;

/// A program or file, the Debian package that brings it, and who asks for it.
const NEEDS: &[(&str, &str, &str)] = &[
    ("/usr/bin/chromium", "chromium", "the test that drives the page"),
    ("/usr/bin/chromedriver", "chromium-driver", "the test that drives the page"),
    ("/usr/bin/strace", "strace", "the tests that watch system calls"),
    ("/usr/sbin/mkfs.exfat", "exfatprogs", "the tests that mount file systems"),
    ("/usr/sbin/mount.exfat-fuse", "exfat-fuse", "the tests that mount file systems"),
    ("/usr/sbin/mkfs.btrfs", "btrfs-progs", "the tests that mount file systems"),
    ("/usr/sbin/mkfs.xfs", "xfsprogs", "the tests that mount file systems"),
    ("/etc/ssl/certs/ca-certificates.crt", "ca-certificates", "requests by https"),
];

/// Installs what is missing. Never fails the run: a machine without a network can still judge everything else.
pub(super) fn set_up() -> Result<()> {
    let missing = missing();
    if missing.is_empty() {
        println!("everything is here");
        return Ok(());
    }
    if !is_root() || !Path::new("/usr/bin/apt-get").exists() {
        report(&missing, "not root on Debian");
        return Ok(());
    }
    if let Err(error) = install(&missing) {
        report(&missing, &error.to_string());
    }
    Ok(())
}

/// Package and purpose of each thing that is not on this machine.
pub(super) fn missing() -> Vec<(&'static str, &'static str)> {
    NEEDS
        .iter()
        .filter(|(path, ..)| !Path::new(path).exists())
        .map(|(_, package, purpose)| (*package, *purpose))
        .collect()
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
