//! The ways in which looking at a file can fail. What is wrong with the file itself is a [`Damage`](crate::Damage), not an error.

use std::io;

use crate::meter::is_stopped;

/// Nothing is known about the file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system refused or failed a read.
    #[error("the file could not be read")]
    Read(#[source] io::Error),
    /// The caller asked for a stop.
    #[error("the inspection was stopped")]
    Stopped,
}

impl From<io::Error> for Error {
    fn from(source: io::Error) -> Self {
        if is_stopped(&source) { Self::Stopped } else { Self::Read(source) }
    }
}
