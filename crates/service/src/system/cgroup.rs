//! What a container may use: the limits and counters of its control group, version 2 or 1. Files only; any may be absent.
//!
//! Names as in the kernel's documentation: admin-guide/cgroup-v2.rst, cgroup-v1/memory.rst, scheduler/sched-bwc.rst.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A control group by the folder where it is mounted.
#[derive(Debug, Clone)]
pub(crate) struct Cgroup {
    root: PathBuf,
}

/// Memory of a control group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GroupMemory {
    pub(crate) limit_bytes: u64,
    /// Without the page cache that the kernel drops when room is needed.
    pub(crate) used_bytes: u64,
}

impl Cgroup {
    /// The group that is mounted at `root`, `/sys/fs/cgroup` on a real machine.
    pub(crate) fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// CPUs that the group may use; `None` where it may use all.
    pub(crate) fn cpus(&self) -> Option<f64> {
        let (quota, period) = match self.text("cpu.max") {
            Some(text) => {
                let (quota, period) = text.split_once(' ')?;
                (quota.parse::<f64>().ok()?, period.trim().parse::<f64>().ok()?)
            }
            None => (self.number("cpu/cpu.cfs_quota_us")? as f64, self.number("cpu/cpu.cfs_period_us")? as f64),
        };
        (quota > 0.0 && period > 0.0).then(|| quota / period)
    }

    /// CPU time that the group has used, in nanoseconds.
    pub(crate) fn cpu_time_ns(&self) -> Option<u64> {
        match self.text("cpu.stat") {
            Some(text) => Some(field(&text, "usage_usec")? * 1000),
            None => self.number("cpuacct/cpuacct.usage"),
        }
    }

    /// Memory of the group; `None` where it has no limit below `machine_bytes`.
    pub(crate) fn memory(&self, machine_bytes: u64) -> Option<GroupMemory> {
        let (limit, used, cache) = match self.number("memory.max") {
            Some(limit) => (limit, self.number("memory.current")?, self.stat("memory.stat", "inactive_file")),
            None => (
                self.number("memory/memory.limit_in_bytes")?,
                self.number("memory/memory.usage_in_bytes")?,
                self.stat("memory/memory.stat", "total_inactive_file"),
            ),
        };
        let used_bytes = used.saturating_sub(cache.unwrap_or(0));
        (limit < machine_bytes).then_some(GroupMemory { limit_bytes: limit, used_bytes })
    }

    fn stat(&self, file: &str, name: &str) -> Option<u64> {
        field(&self.text(file)?, name)
    }

    fn number(&self, file: &str) -> Option<u64> {
        self.text(file)?.trim().parse().ok()
    }

    fn text(&self, file: &str) -> Option<String> {
        fs::read_to_string(Path::new(&self.root).join(file)).ok()
    }
}

fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

    use super::*;

    fn group(files: &[(&str, &str)]) -> (tempfile::TempDir, Cgroup) {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let group = Cgroup::at(folder.path());
        (folder, group)
    }

    #[test]
    fn limits_of_version_2_are_read() {
        let (_folder, group) = group(&[
            ("cpu.max", "250000 100000\n"),
            ("cpu.stat", "usage_usec 5000000\nuser_usec 1\n"),
            ("memory.max", "4294967296\n"),
            ("memory.current", "3221225472\n"),
            ("memory.stat", "anon 1\ninactive_file 1073741824\n"),
        ]);
        assert_eq!(group.cpus(), Some(2.5));
        assert_eq!(group.cpu_time_ns(), Some(5_000_000_000));
        let memory = GroupMemory { limit_bytes: 4 << 30, used_bytes: 2 << 30 };
        assert_eq!(group.memory(64 << 30), Some(memory));
        assert_eq!(group.memory(2 << 30), None, "a limit beyond the machine is none");
    }

    #[test]
    fn limits_of_version_1_are_read() {
        let (_folder, group) = group(&[
            ("cpu/cpu.cfs_quota_us", "150000\n"),
            ("cpu/cpu.cfs_period_us", "100000\n"),
            ("cpuacct/cpuacct.usage", "123\n"),
            ("memory/memory.limit_in_bytes", "1073741824\n"),
            ("memory/memory.usage_in_bytes", "1000\n"),
            ("memory/memory.stat", "total_inactive_file 400\n"),
        ]);
        assert_eq!(group.cpus(), Some(1.5));
        assert_eq!(group.cpu_time_ns(), Some(123));
        assert_eq!(group.memory(64 << 30), Some(GroupMemory { limit_bytes: 1 << 30, used_bytes: 600 }));
    }

    #[test]
    fn no_limit_is_none() {
        let (_folder, group) = group(&[("cpu.max", "max 100000\n"), ("memory.max", "max\n")]);
        assert_eq!((group.cpus(), group.cpu_time_ns(), group.memory(1 << 30)), (None, None, None));
    }
}
