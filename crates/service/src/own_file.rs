//! The server's own files: database, lock, lease, tokens, log. Each is a regular file or is refused. A symbolic link in its
//! place would let its creator choose which file is overwritten; opening a pipe would block until its other end is open.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use rustix::fs::OFlags;

/// Most bytes of a file that is read as a whole.
const LONGEST: u64 = 1 << 20;

/// Opens a file as the options say. Neither follows a link nor waits; fails where it is no regular file.
pub fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
    let file = options.custom_flags(flags.cast_signed()).open(path).map_err(|cause| named(path, cause))?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(not_a_file("not a regular file")) }
}

/// Why a file cannot be opened, where that is what is in its place.
fn named(path: &Path, cause: io::Error) -> io::Error {
    match path.symlink_metadata() {
        Ok(facts) if facts.is_symlink() => not_a_file("a symbolic link"),
        Ok(facts) if !facts.is_file() => not_a_file("not a regular file"),
        _ => cause,
    }
}

/// Reads a file as a whole.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    open(path, OpenOptions::new().read(true))?.take(LONGEST).read_to_end(&mut content)?;
    Ok(content)
}

/// Reads a text as a whole.
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read(path)?).map_err(io::Error::other)
}

/// Whether a link is in the place of a file.
pub(crate) fn is_link(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|facts| facts.is_symlink())
}

fn not_a_file(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("it is {what}; remove it or name another path"))
}
