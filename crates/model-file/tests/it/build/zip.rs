//! Zips member by member, with every field open to forgery.

use std::io::Write;

use flate2::Compression;
use flate2::write::DeflateEncoder;

use super::pickle;

/// One member; `forged_*` fields override what an honest writer would put there.
#[derive(Clone)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) data: Vec<u8>,
    pub(crate) deflated: bool,
    pub(crate) flags: u16,
    pub(crate) forged_crc: Option<u32>,
    pub(crate) forged_local_name: Option<String>,
    pub(crate) forged_size: Option<u32>,
    pub(crate) forged_local_flags: Option<u16>,
    pub(crate) forged_local_size: Option<u32>,
}

/// A stored member.
pub(crate) fn member(name: &str, data: &[u8]) -> Member {
    Member {
        name: name.to_owned(),
        data: data.to_owned(),
        deflated: false,
        flags: 0,
        forged_crc: None,
        forged_local_name: None,
        forged_size: None,
        forged_local_flags: None,
        forged_local_size: None,
    }
}

/// What torch writes around a `data.pkl`.
pub(crate) fn torch_members(pickle: &[u8]) -> Vec<Member> {
    vec![
        member("archive/data.pkl", pickle),
        member("archive/byteorder", b"little"),
        member("archive/data/0", &[1; 16]),
        member("archive/version", b"3\n"),
    ]
}

/// A whole torch archive with an ordinary tensor in it.
pub(crate) fn torch() -> Vec<u8> {
    file(&torch_members(&pickle::state_dict()))
}

/// Members, directory and end record.
pub(crate) fn file(members: &[Member]) -> Vec<u8> {
    let (mut bytes, directory) = members_and_directory(members);
    let start = bytes.len() as u32;
    bytes.extend(&directory);
    bytes.extend(end_record(members.len() as u16, directory.len() as u32, start));
    bytes
}

/// The same with the 64-bit end record that torch always writes.
pub(crate) fn wide_file(members: &[Member]) -> Vec<u8> {
    let (mut bytes, directory) = members_and_directory(members);
    let start = bytes.len() as u64;
    bytes.extend(&directory);
    let record_start = bytes.len() as u64;
    bytes.extend(b"PK\x06\x06");
    bytes.extend(44_u64.to_le_bytes());
    bytes.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    bytes.extend((members.len() as u64).to_le_bytes());
    bytes.extend((members.len() as u64).to_le_bytes());
    bytes.extend((directory.len() as u64).to_le_bytes());
    bytes.extend(start.to_le_bytes());
    bytes.extend(b"PK\x06\x07\0\0\0\0");
    bytes.extend(record_start.to_le_bytes());
    bytes.extend(1_u32.to_le_bytes());
    bytes.extend(end_record(u16::MAX, u32::MAX, u32::MAX));
    bytes
}

/// The end record without its comment.
pub(crate) fn end_record(entries: u16, directory_bytes: u32, start: u32) -> Vec<u8> {
    let mut bytes = b"PK\x05\x06\0\0\0\0".to_vec();
    bytes.extend(entries.to_le_bytes());
    bytes.extend(entries.to_le_bytes());
    bytes.extend(directory_bytes.to_le_bytes());
    bytes.extend(start.to_le_bytes());
    bytes.extend([0, 0]);
    bytes
}

/// The members behind one another, and the directory that lists them.
pub(crate) fn members_and_directory(members: &[Member]) -> (Vec<u8>, Vec<u8>) {
    let mut bytes = Vec::new();
    let mut directory = Vec::new();
    for member in members {
        let start = bytes.len() as u32;
        let packed = if member.deflated { deflate(&member.data) } else { member.data.clone() };
        let local_name = member.forged_local_name.as_ref().unwrap_or(&member.name);
        bytes.extend(b"PK\x03\x04\x14\0");
        let local = Member {
            flags: member.forged_local_flags.unwrap_or(member.flags),
            forged_size: member.forged_local_size.or(member.forged_size),
            ..member.clone()
        };
        bytes.extend(shared_fields(&local, packed.len(), local_name));
        bytes.extend(0_u16.to_le_bytes());
        bytes.extend(local_name.as_bytes());
        bytes.extend(&packed);
        directory.extend(b"PK\x01\x02\x14\0\x14\0");
        directory.extend(shared_fields(member, packed.len(), &member.name));
        directory.extend([0; 12]);
        directory.extend(start.to_le_bytes());
        directory.extend(member.name.as_bytes());
    }
    (bytes, directory)
}

/// From the flags to the length of the name: the same in both headers.
fn shared_fields(member: &Member, packed: usize, name: &str) -> Vec<u8> {
    let method: u16 = if member.deflated { 8 } else { 0 };
    let mut bytes = member.flags.to_le_bytes().to_vec();
    bytes.extend(method.to_le_bytes());
    bytes.extend([0; 4]);
    bytes.extend(member.forged_crc.unwrap_or_else(|| crc32fast::hash(&member.data)).to_le_bytes());
    bytes.extend((packed as u32).to_le_bytes());
    bytes.extend(member.forged_size.unwrap_or(member.data.len() as u32).to_le_bytes());
    bytes.extend((name.len() as u16).to_le_bytes());
    bytes
}

fn deflate(data: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}
