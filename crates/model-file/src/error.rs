//! The one way in which looking at a file can fail. What is wrong with the file itself is a [`Damage`](crate::Damage), not an error.

use std::io;

/// The file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused or failed a read; nothing is known about the file.
    #[error("the file could not be read")]
    Read(#[from] io::Error),
}
