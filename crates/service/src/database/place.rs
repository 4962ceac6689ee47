//! On what kind of disk the database lies. SQLite's write-ahead log needs shared memory, which a network file system does
//! not have between machines (sqlite.org/wal.html): there the rollback journal and one exclusive connection are used.

use std::path::Path;

/// Magic numbers of network and userspace file systems, as statfs(2) reports them (linux/magic.h; Lustre, GPFS and
/// BeeGFS from their own headers). FUSE counts: the volumes of pods are mounted through it.
const NETWORK: [u64; 12] = [
    0x6969,      // NFS
    0x517b,      // SMB
    0xff53_4d42, // CIFS
    0xfe53_4d42, // SMB2
    0x6573_5546, // FUSE
    0x0102_1997, // 9p
    0x00c3_6400, // Ceph
    0x5346_414f, // AFS
    0x0bd0_0bd0, // Lustre
    0x4750_4653, // GPFS
    0x1983_0326, // BeeGFS
    0x7375_7245, // Coda
];

/// Whether a folder, or the nearest one above it that exists, lies on a network file system. Blocks.
pub(crate) fn is_network(folder: &Path) -> bool {
    let existing = folder.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    rustix::fs::statfs(existing).is_ok_and(|figures| is_network_magic(figures.f_type as u64))
}

fn is_network_magic(magic: u64) -> bool {
    // Where `f_type` is a signed 32-bit number, the larger ones arrive with their sign spread out.
    NETWORK.contains(&(magic & 0xffff_ffff))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_are_told_from_the_network() {
        for local in [0xef53, 0x5846_5342, 0x9123_683e, 0x794c_7630, 0x0102_1994] {
            assert!(!is_network_magic(local), "ext4, xfs, btrfs, overlayfs and tmpfs are local: {local:#x}");
        }
        assert!(is_network_magic(0x6969) && is_network_magic(0xffff_ffff_ff53_4d42));
        assert!(!is_network(&std::env::temp_dir().join("a/b/c")));
    }
}
