//! File descriptors: how many the process may have, and how many of them connections may take. The rest is kept for the
//! database, files and downloads, and a stranger never takes all that is for connections.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// As many as any server of this kind needs. A hard limit may be a thousand times that.
const MOST: u64 = 1 << 20;

/// Many more connections than a browser or a script opens.
const MOST_PER_ADDRESS: u64 = 2048;

/// How many connections there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Of one address.
    pub per_address: usize,
    /// Of all addresses but this machine's and those of trusted proxies.
    pub strangers: usize,
    /// In all.
    pub total: usize,
}

impl ConnectionLimits {
    /// What a process with so many descriptors can afford. `per_address` may be the operator's own number.
    pub(crate) fn of(descriptors: u64, per_address: Option<usize>) -> Self {
        let kept = (descriptors / 4).clamp(64, 512);
        let total = descriptors.saturating_sub(kept).max(8);
        let of_address = usize::try_from((total / 4).clamp(4, MOST_PER_ADDRESS)).unwrap_or(usize::MAX);
        let total = usize::try_from(total).unwrap_or(usize::MAX);
        Self { per_address: per_address.unwrap_or(of_address), strangers: total / 4 * 3, total }
    }
}

/// How many descriptors the process may have open.
pub(crate) fn limit() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(MOST).min(MOST)
}

/// Raises the soft limit to the hard one. Login shells and systemd set 1,024 for programs that use select(2).
pub(crate) fn raise() {
    let limits = getrlimit(Resource::Nofile);
    let wanted = limits.maximum.unwrap_or(MOST).min(MOST);
    if limits.current.is_some_and(|current| current < wanted) {
        let raised = Rlimit { current: Some(wanted), maximum: limits.maximum };
        if let Err(cause) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(error = %cause, "the limit of open files cannot be raised");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_never_gets_all_and_the_process_keeps_some() {
        for descriptors in [100, 256, 1024, 4096, 20_000, 1 << 20] {
            let limits = ConnectionLimits::of(descriptors, None);
            assert!(limits.per_address * 3 <= limits.strangers, "{descriptors}: {limits:?}");
            assert!(limits.strangers < limits.total && (limits.total as u64) <= descriptors - 36, "{limits:?}");
            assert!(limits.per_address <= 2048);
        }
        assert_eq!(ConnectionLimits::of(1024, Some(7)).per_address, 7);
    }
}
