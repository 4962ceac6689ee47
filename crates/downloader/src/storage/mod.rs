//! Files: the file system behind a trait, the partial file and its journal, hashes of what is on disk. It knows no network.

pub(crate) mod beneath;
pub(crate) mod direct_buffers;
pub(crate) mod disk_budget;
pub(crate) mod fs;
pub(crate) mod group_fsync;
pub(crate) mod journal;
pub(crate) mod part;
pub(crate) mod prefix_hash;
pub(crate) mod unix;
pub(crate) mod verify;
