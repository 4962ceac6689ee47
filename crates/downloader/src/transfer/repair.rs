//! Repair: the file at the destination is damaged, and the checksums of its blocks are known. Its good blocks become a
//! partial file, so that only the others are fetched. Blocks.

use crate::content_identity::{Identity, SourceKey};
use crate::geometry::Block;
use crate::halt::Halt;
use crate::storage::fs::Standing;
use crate::storage::journal::Record;
use crate::storage::part::{Discard, Part};
use crate::transfer::local_copy::Copier;
use crate::{BlockChecksums, Existing, FileJob, Sha256Digest};

/// Fills an empty `.part` from the file at the destination and journals every block with the checksum that it should
/// have; the check that every resumed file goes through finds those that do not. `false` where there is nothing to
/// salvage.
pub(crate) fn seed(part: &Part, file: &FileJob, copier: &Copier) -> Result<bool, Halt> {
    let (Some(checksums), Some(sha256), Existing::Replace) = (&file.salvage, file.sha256, file.existing) else {
        return Ok(false);
    };
    let standing = part.at_destination().map_err(|error| part.error("salvaging", error))?;
    let Standing::File { size, .. } = standing else { return Ok(false) };
    let covers = u64::from(checksums.block_size) == part.block_size()
        && checksums.crc32.len() as u64 == size.div_ceil(part.block_size());
    if !covers || size == 0 || file.size.is_some_and(|asked| asked != size) {
        return Ok(false);
    }
    if let Err(halt) = fill(part, file, (size, sha256, checksums), copier) {
        // The next run would not know half of it for what it is.
        part.discard(Discard::IncompleteCopy)?;
        return Err(halt);
    }
    Ok(true)
}

fn fill(
    part: &Part,
    file: &FileJob,
    (size, sha256, checksums): (u64, Sha256Digest, &BlockChecksums),
    copier: &Copier,
) -> Result<(), Halt> {
    let failed = |error| part.error("salvaging", error);
    let damaged = part.open_destination().map_err(failed)?;
    copier.fill(part, damaged.as_ref(), "salvaging")?;
    let source = file.sources.first().map(SourceKey::of).unwrap_or_default();
    let identity = Identity { total: Some(size), sha256: Some(sha256), source, ..Identity::default() };
    part.begin_journal(&identity).map_err(failed)?;
    let block = |(index, crc): (usize, &u32)| {
        let have = part.block_size().min(size - index as u64 * part.block_size()) as u32;
        Record::Block(index as u32, Block { have, crc: *crc })
    };
    let records: Vec<Record> = checksums.crc32.iter().enumerate().map(block).collect();
    Ok(part.note(&records).map_err(failed)?)
}
