//! Zip archives: their directory, whether the members account for every byte, their checksums, and the pickles in them.
//!
//! An own reader instead of a general one, because the questions differ: a general reader opens what it can, while here every
//! disagreement between directory, member headers and bytes matters. Members are never unpacked to disk.

mod contents;
mod directory;
mod end_record;
mod fields;
mod judge;
mod tiling;

pub use contents::{Contents, check_zip_contents};
pub(crate) use directory::Directory;
pub(crate) use end_record::has_end_record;
pub(crate) use judge::judge_pickles;

use crate::error::Error;
use crate::inspect::Structure;
use crate::read_at::ReadAt;

/// Whether the members of a zip account for every byte of it.
pub(crate) fn structure(source: &dyn ReadAt, directory: &Directory) -> Result<Structure, Error> {
    match tiling::account_for_every_byte(source, directory) {
        Ok(()) => Ok(Structure::Whole),
        Err(stop) => stop.into_structure("zip members"),
    }
}
