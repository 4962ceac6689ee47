//! File systems of a test's own, mounted in a process of its own. Where the machine does not let a test mount one, the test is
//! skipped by name, or fails in CI: `test_support::requirements` decides.

use std::path::PathBuf;
use std::process::{Command, Output};

use test_support::requirements::{Missing, Requirement, available, skip};

/// Set in the process that has one: where it is.
const PLACE: &str = "COMFYUI_DASHBOARD_TEST_MOUNTED_AT";

/// How a file system comes to its place, `$0`, beside which there is room for an image of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mount {
    pub(crate) name: &'static str,
    /// What the machine must have for it.
    pub(crate) needs: &'static [Requirement],
    /// An image needs a device, and that the rights of root.
    pub(crate) image: bool,
    /// Shell; it ends well if the file system is there.
    pub(crate) script: &'static str,
    /// What the test is run under.
    pub(crate) under: &'static str,
}

/// As an ordinary user may have it.
pub(crate) const TMPFS: Mount = Mount {
    name: "tmpfs",
    needs: &[Requirement::MountNamespace],
    image: false,
    script: r#"mount -t tmpfs -o size=16m tmpfs "$0""#,
    under: "",
};

/// How the script says that the file system could not be mounted.
const NOT_MOUNTED: i32 = 99;

impl Mount {
    /// Where it is; `None` in the process that has none, after the test of this name was run in one that has.
    pub(crate) fn place(self, test: &str) -> Option<PathBuf> {
        let found = std::env::var_os(PLACE).map(PathBuf::from);
        if found.is_none() {
            self.run(test);
        }
        found
    }

    fn run(self, test: &str) {
        let tracing: &[Requirement] = if self.under.contains("strace") { &[Requirement::Tracing] } else { &[] };
        if !available(self.needs) || !available(tracing) {
            return;
        }
        let Output { status, stdout, stderr } = self.run_mounted(test);
        let [said, failed] = [stdout, stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        if status.code() == Some(NOT_MOUNTED) {
            return skip(&Missing::Capability(format!("{} cannot be mounted here: {}", self.name, failed.trim())));
        }
        assert!(status.success(), "on {}: {status}: {said}{failed}", self.name);
        assert!(said.contains("1 passed"), "{test} is not what the test is called");
    }

    /// Whatever the file system needs of processes ends with the namespaces.
    fn run_mounted(self, test: &str) -> Output {
        let home = tempfile::tempdir().unwrap();
        let place = home.path().join("place");
        std::fs::create_dir(&place).unwrap();
        let rights = if self.image { "-mpf" } else { "-rmpf" };
        let script = format!("{{ {}; }} > /dev/null || exit {NOT_MOUNTED}\n{} \"$@\"", self.script, self.under);
        let mut command = Command::new("unshare");
        command.args([rights, "--kill-child", "sh", "-c", &script]).arg(&place);
        command.arg(std::env::current_exe().unwrap()).args(["--exact", test, "--nocapture"]);
        command.env(PLACE, &place).output().unwrap()
    }
}
