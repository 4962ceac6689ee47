//! What a pickle would import if it were loaded, judged by an allow-list. Nothing is ever unpickled.
//!
//! A pickle is a program for a small stack machine. The walk runs that machine on placeholders: it knows where texts and imports
//! are on the stack and in the memo, and nothing else. Only a stream that was followed to its end, with every import on the list,
//! is clean; what could not be followed is unknown, whatever else it is.

mod allow_list;
mod machine;
mod opcode;
mod verdict;
mod walk;

pub use verdict::Verdict;

use crate::cursor::Stop;
use crate::error::Error;
use crate::read_at::{ReadAt, read_available};

/// How many bytes of opcodes are followed before the walk gives up; embedded data is skipped and does not count.
pub(crate) const WALK_LIMIT_BYTES: u64 = 256 * 1024 * 1024;
/// Pickles in a row in one file.
const PICKLE_LIMIT: usize = 1000;
/// The old format of `torch.save`: its magic number, a version, facts on the machine, the object, the keys of its tensors.
const PICKLES_OF_OLD_TORCH: usize = 5;
/// The magic number 0x1950a86a20f9469cfc6c as a pickle, after the two bytes that state the protocol.
const MAGIC_OF_OLD_TORCH: &[u8] = b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";

/// Who resolves the persistent ids of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Persistent {
    /// Torch: an id names the bytes of a tensor.
    Torch,
    /// Nobody that is known here.
    Nobody,
}

/// The verdict on a whole file.
pub(crate) struct JudgedFile {
    pub(crate) verdict: Verdict,
    /// The file ended before a pickle did, at this byte.
    pub(crate) cut_short_at: Option<u64>,
}

/// Judges a file that is one pickle, several in a row, or the old format of `torch.save`.
pub(crate) fn judge_file(source: &dyn ReadAt, length: u64) -> Result<JudgedFile, Error> {
    let mut head = [0; 16];
    let read = read_available(source, &mut head, 0)?;
    let old_torch = head[..read].get(2..).is_some_and(|head| head.starts_with(MAGIC_OF_OLD_TORCH));
    // Behind the five pickles lie the raw numbers of the tensors, which no reader takes for a pickle.
    let judged = if old_torch {
        follow(source, length, Persistent::Torch, Some(PICKLES_OF_OLD_TORCH))
    } else {
        follow(source, length, Persistent::Nobody, None)
    };
    match judged {
        Ok(judged) => Ok(judged),
        Err(Stop::Io(source)) => Err(Error::Read(source)),
        Err(_) => Ok(JudgedFile { verdict: Verdict::unknown("the stream could not be read"), cut_short_at: None }),
    }
}

/// Judges a member of an archive, which must consist of pickles to its last byte.
pub(crate) fn judge_stream(source: &dyn ReadAt, length: u64, persistent: Persistent) -> Result<Verdict, Stop> {
    Ok(follow(source, length, persistent, None)?.verdict)
}

/// Follows pickles in a row: exactly `count` of them, or as many as fill the source.
fn follow(source: &dyn ReadAt, length: u64, persistent: Persistent, count: Option<usize>) -> Result<JudgedFile, Stop> {
    let mut verdict = Verdict::Clean;
    let mut position = 0;
    let mut budget = WALK_LIMIT_BYTES;
    for _ in 0..count.unwrap_or(PICKLE_LIMIT) {
        let walk = walk::walk(source, length, position, persistent, &mut budget)?;
        verdict = verdict.and(walk.verdict);
        match walk.end {
            walk::End::Stopped { at } => position = at,
            walk::End::CutShort { at } => return Ok(JudgedFile { verdict, cut_short_at: Some(at) }),
            walk::End::Lost => return Ok(JudgedFile { verdict, cut_short_at: None }),
        }
        if count.is_none() && position == length {
            return Ok(JudgedFile { verdict, cut_short_at: None });
        }
    }
    if count.is_none() {
        verdict = verdict.and(Verdict::unknown("too many pickles in a row"));
    }
    Ok(JudgedFile { verdict, cut_short_at: None })
}
