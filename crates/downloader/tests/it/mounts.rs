//! File systems of a test's own, mounted in a process of its own. Where the machine does not let a test mount one, that is said by
//! name, and the test is skipped.

use std::path::PathBuf;
use std::process::Command;

/// Set in the process that has one: where it is.
const PLACE: &str = "COMFYUI_DASHBOARD_TEST_MOUNTED_AT";

/// How a file system comes to its place, `$0`, beside which there is room for an image of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mount {
    pub(crate) name: &'static str,
    /// An image needs a device, and that the rights of root.
    pub(crate) image: bool,
    /// Shell; it ends well if the file system is there.
    pub(crate) script: &'static str,
    /// What the test is run under.
    pub(crate) under: &'static str,
}

/// As an ordinary user may have it.
pub(crate) const TMPFS: Mount =
    Mount { name: "tmpfs", image: false, script: r#"mount -t tmpfs -o size=16m tmpfs "$0""#, under: "" };

impl Mount {
    /// Where it is; `None` in the process that has none, after the test of this name was run in one that has.
    pub(crate) fn place(self, test: &str) -> Option<PathBuf> {
        let found = std::env::var_os(PLACE).map(PathBuf::from);
        if found.is_none() {
            self.run(test);
        }
        found
    }

    /// Whatever the file system needs of processes ends with the namespaces.
    fn run(self, test: &str) {
        let home = tempfile::tempdir().unwrap();
        let place = home.path().join("place");
        std::fs::create_dir(&place).unwrap();
        let rights = if self.image { "-mpf" } else { "-rmpf" };
        let script = format!("{} > /dev/null || exit 99\n{} \"$@\"", self.script, self.under);
        let mut command = Command::new("unshare");
        command.args([rights, "--kill-child", "sh", "-c", &script]).arg(&place);
        command.arg(std::env::current_exe().unwrap()).args(["--exact", test, "--nocapture"]);
        match command.env(PLACE, &place).output() {
            Ok(ran) if ran.status.success() => {}
            Ok(ran) if ran.status.code() == Some(101) => {
                let [said, failed] = [&ran.stdout, &ran.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
                panic!("on {}: {said}{failed}", self.name)
            }
            other => eprintln!("skipped {test} on {}: it cannot be mounted or traced here ({other:?})", self.name),
        }
    }
}
