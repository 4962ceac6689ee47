//! The disk of this machine, where its ways differ from file system to file system.

use bytes::Bytes;

use super::UnixDisk;
use crate::Destination;
use crate::geometry::BLOCK;
use crate::storage::direct_buffers::{self, BlockBuffers};
use crate::storage::fs::{self, Access, Disk};

#[tokio::test]
async fn a_block_is_there_whether_or_not_the_file_system_takes_it_past_the_cache() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let destination = Destination::new(folder.path(), "f.bin").expect("a name");
    let file = UnixDisk::default().open_parent(&destination, true).expect("a folder");
    let file = file.open("f.bin", Access::Create).expect("a file");
    let before = Bytes::from(vec![1; BLOCK as usize]);
    file.write_at(0, std::slice::from_ref(&before)).expect("room");

    let mut aligned =
        BlockBuffers::new(direct_buffers::passes(), BLOCK).take().await.expect("no other file has buffers");
    aligned.fill(&[2; BLOCK as usize]);
    // No disk has to take this one: its memory begins at an odd address.
    let odd = Bytes::from(vec![3; 2 * BLOCK as usize]);
    let odd = odd.slice(1 - odd.as_ptr().addr() % 2..).slice(..BLOCK as usize);
    for (offset, block) in [(BLOCK, Bytes::from_owner(aligned)), (2 * BLOCK, odd)] {
        if !file.write_past_cache(offset, &block).expect("room") {
            file.write_at(offset, &[block]).expect("room");
        }
    }
    let mut bytes = vec![0; 3 * BLOCK as usize];
    fs::read_exact_at(file.as_ref(), &mut bytes, 0).expect("three blocks");
    let of = |block: u8| vec![block; BLOCK as usize];
    assert_eq!(bytes, [of(1), of(2), of(3)].concat());
}
