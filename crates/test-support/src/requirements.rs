//! What a test needs of the machine beyond a Rust toolchain, and how it is skipped where that is missing.
//!
//! A test asks with [`available`] and returns if the answer is `false`. A skip is never silent: it prints
//! `SKIPPED name: reason`, adds the line to the file that `COMFYUI_DASHBOARD_SKIPPED_TESTS` names (`cargo xtask ci` lists it
//! at its end), and panics where nothing should be missing: with `CI=true`, as root on Debian.

use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::panic::Location;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Names the file that collects the skips of a run, one line each.
pub const SKIPPED_TESTS: &str = "COMFYUI_DASHBOARD_SKIPPED_TESTS";

/// The browser of the page's tests.
pub const CHROMIUM: Requirement = Requirement::Program { name: "chromium", package: "chromium" };
/// The WebDriver server of [`CHROMIUM`].
pub const CHROMEDRIVER: Requirement = Requirement::Program { name: "chromedriver", package: "chromium-driver" };
/// A reverse proxy.
pub const NGINX: Requirement = Requirement::Program { name: "nginx", package: "nginx" };

/// Something that a test needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requirement {
    /// A program in `PATH` or in the folders of the system's own programs.
    Program {
        /// The file name of the program.
        name: &'static str,
        /// The Debian package that installs it.
        package: &'static str,
    },
    /// `strace`, and the permission to trace a child process with it.
    Tracing,
    /// `unshare -rm`, and the permission to mount a tmpfs in the new namespace.
    MountNamespace,
    /// A file system that the kernel can mount from an image, and the rights of root that a loop device needs.
    FileSystem(&'static str),
}

/// Why a requirement is not met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// A program is not installed.
    Package {
        /// The file name of the program.
        program: &'static str,
        /// The Debian package that installs it.
        package: &'static str,
    },
    /// The program is there, and the machine does not let this process use it.
    Permission(String),
    /// The machine cannot do this for any user: its kernel lacks the file system, or its disk is too small.
    Capability(String),
}

impl fmt::Display for Missing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Package { program, package } => {
                write!(formatter, "{program} is not installed; on Debian: apt-get install {package}")
            }
            Self::Permission(reason) | Self::Capability(reason) => formatter.write_str(reason),
        }
    }
}

/// What decides whether a skip is acceptable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    /// `CI=true`.
    pub ci: bool,
    /// Root on Debian: packages can be installed.
    pub installs_packages: bool,
    /// `CAP_SYS_ADMIN`: mounts and traces are permitted.
    pub administers: bool,
}

impl Machine {
    /// The machine and process that this test runs in.
    #[must_use]
    pub fn current() -> Self {
        Self {
            ci: std::env::var_os("CI").is_some_and(|value| value == "true"),
            installs_packages: is_root() && Path::new("/etc/debian_version").exists(),
            administers: effective_capabilities() & (1 << CAP_SYS_ADMIN) != 0,
        }
    }

    /// Whether a test may be skipped here for this reason; otherwise it fails.
    #[must_use]
    pub fn may_skip(&self, missing: &Missing) -> bool {
        let must_have = match missing {
            Missing::Package { .. } => self.installs_packages,
            Missing::Permission(_) => self.installs_packages && self.administers,
            Missing::Capability(_) => false,
        };
        !(self.ci && must_have)
    }
}

impl Requirement {
    /// Where the program of this requirement is installed.
    #[must_use]
    pub fn path(self) -> Option<PathBuf> {
        match self {
            Self::Program { name, package } => installed(name, package).ok(),
            Self::Tracing | Self::MountNamespace | Self::FileSystem(_) => None,
        }
    }

    /// Checks the machine; a permission is checked by using it.
    ///
    /// # Errors
    /// The reason why the requirement is not met.
    pub fn check(self) -> Result<(), Missing> {
        match self {
            Self::Program { name, package } => installed(name, package).map(drop),
            Self::Tracing => {
                let strace = installed("strace", "strace")?;
                permitted(Command::new(strace).args(["-f", "-o", "/dev/null", "true"]), "strace may not trace here")
            }
            Self::MountNamespace => {
                let unshare = installed("unshare", "util-linux")?;
                let mut mount = Command::new(unshare);
                mount.args(["-rm", "mount", "-t", "tmpfs", "none", "/mnt"]);
                permitted(&mut mount, "unshare may not create a mount namespace here")
            }
            Self::FileSystem(name) => {
                if !is_root() || !Path::new("/dev/loop-control").exists() {
                    return Err(Missing::Permission(format!("only root with loop devices can mount {name}")));
                }
                let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
                let loaded = known.lines().any(|line| line.split_whitespace().last() == Some(name));
                if loaded || succeeds(Command::new("modprobe").arg(name)) {
                    return Ok(());
                }
                Err(Missing::Capability(format!("the kernel cannot mount {name}")))
            }
        }
    }
}

/// Whether all of these are met. The first that is not is reported with [`skip`], and the caller returns.
///
/// # Panics
/// As [`skip`].
#[must_use]
#[track_caller]
pub fn available(requirements: &[Requirement]) -> bool {
    match requirements.iter().find_map(|requirement| requirement.check().err()) {
        Some(missing) => {
            skip(&missing);
            false
        }
        None => true,
    }
}

/// Reports that the calling test does not run, and why.
///
/// # Panics
/// Where the machine should have had it: see [`Machine::may_skip`].
#[track_caller]
pub fn skip(missing: &Missing) {
    let line = format!("SKIPPED {}: {missing}\n", current_test());
    // Straight to the terminal and in one write: libtest swallows what a passing test prints with a macro.
    let _ = io::stderr().write_all(line.as_bytes());
    assert!(Machine::current().may_skip(missing), "nothing may be missing in CI: {missing}");
    if let Some(path) = std::env::var_os(SKIPPED_TESTS) {
        let added = fs::File::options().create(true).append(true).open(path);
        let _ = added.and_then(|mut file| file.write_all(line.as_bytes()));
    }
}

/// The name of the calling test: libtest names the thread after it, but for `--test-threads=1`.
#[must_use]
#[track_caller]
pub fn current_test() -> String {
    match std::thread::current().name() {
        Some(name) if name != "main" => name.to_owned(),
        _ => Location::caller().to_string(),
    }
}

/// The Linux capability that permits mounts.
const CAP_SYS_ADMIN: u32 = 21;

fn installed(program: &'static str, package: &'static str) -> Result<PathBuf, Missing> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // A user's PATH leaves out the administrator's programs.
    let folders = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    let found = folders.map(|folder| folder.join(program)).find(|file| file.is_file());
    found.ok_or(Missing::Package { program, package })
}

fn permitted(probe: &mut Command, otherwise: &str) -> Result<(), Missing> {
    if succeeds(probe) { Ok(()) } else { Err(Missing::Permission(otherwise.to_owned())) }
}

fn succeeds(command: &mut Command) -> bool {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Without a dependency: the owner of our own process entry.
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").is_ok_and(|entry| entry.uid() == 0)
}

fn effective_capabilities() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let bits = status.lines().find_map(|line| line.strip_prefix("CapEff:")).map(str::trim);
    bits.and_then(|bits| u64::from_str_radix(bits, 16).ok()).unwrap_or(0)
}
