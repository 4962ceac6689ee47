//! What a pickle would import if it were loaded, judged by an allow-list. Nothing is ever unpickled.
//!
//! A pickle is a program for a small stack machine. The walk runs that machine on placeholders: it knows where texts and imports
//! are on the stack and in the memo, and nothing else. Only a stream that was followed to its end, with every import on the list,
//! is clean; what could not be followed is unknown, whatever else it is, and so is a stream that two readers may take to end in
//! different places.

mod allow_list;
mod machine;
mod opcode;
mod standing;
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

const FRAME_OF_MAGIC: &[u8] = b"\x95\x0d\0\0\0\0\0\0\0";

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
    /// No Python loads it: the first pickle fails before it has imported or asked for anything.
    pub(crate) is_no_pickle: bool,
}

/// Judges a file that is one pickle, several in a row, or the old format of `torch.save`.
pub(crate) fn judge_file(source: &dyn ReadAt, length: u64) -> Result<JudgedFile, Error> {
    let mut head = [0; 32];
    let read = read_available(source, &mut head, 0)?;
    // From protocol 4 on a frame of the right length stands before the magic number.
    let body = head[..read].get(2..).unwrap_or_default();
    let old_torch = body.strip_prefix(FRAME_OF_MAGIC).unwrap_or(body).starts_with(MAGIC_OF_OLD_TORCH);
    let judged =
        if old_torch { follow_old_torch(source, length) } else { follow(source, length, Persistent::Nobody, None) };
    match judged {
        Ok(judged) => Ok(judged.file),
        Err(Stop::Io(source)) => Err(source.into()),
        Err(_) => Ok(JudgedFile {
            verdict: Verdict::unknown("the stream could not be read"),
            cut_short_at: None,
            is_no_pickle: false,
        }),
    }
}

/// Judges a member of an archive, which must consist of pickles to its last byte.
pub(crate) fn judge_stream(source: &dyn ReadAt, length: u64, persistent: Persistent) -> Result<Verdict, Stop> {
    Ok(follow(source, length, persistent, None)?.file.verdict)
}

/// Judges bytes that no reader should take for a pickle. `Clean` where Python raises an error before it imports anything.
pub(crate) fn judge_other_bytes(source: &dyn ReadAt, length: u64, position: u64) -> Result<Verdict, Stop> {
    let mut budget = WALK_LIMIT_BYTES;
    let walk = walk::walk(source, length, position, Persistent::Torch, &mut budget)?;
    Ok(match walk.verdict {
        _ if walk.is_refused => Verdict::Clean,
        Verdict::Clean => Verdict::unknown("a pickle where none is expected"),
        verdict => verdict,
    })
}

struct Followed {
    file: JudgedFile,
    /// Where the last pickle ended; none where one of them was not followed to its end.
    end: Option<u64>,
}

/// Behind the five pickles lie the raw numbers of the tensors. A reader of pickles in a row would go on into them.
fn follow_old_torch(source: &dyn ReadAt, length: u64) -> Result<Followed, Stop> {
    let mut followed = follow(source, length, Persistent::Torch, Some(PICKLES_OF_OLD_TORCH))?;
    if let Some(end) = followed.end.filter(|end| *end < length) {
        let numbers = judge_other_bytes(source, length, end)?;
        followed.file.verdict = followed.file.verdict.and(numbers);
    }
    Ok(followed)
}

/// Follows pickles in a row: exactly `count` of them, or as many as fill the source.
fn follow(source: &dyn ReadAt, length: u64, persistent: Persistent, count: Option<usize>) -> Result<Followed, Stop> {
    let mut file = JudgedFile { verdict: Verdict::Clean, cut_short_at: None, is_no_pickle: false };
    let mut position = 0;
    let mut budget = WALK_LIMIT_BYTES;
    for number in 0..count.unwrap_or(PICKLE_LIMIT) {
        let walk = walk::walk(source, length, position, persistent, &mut budget)?;
        file.verdict = file.verdict.and(walk.verdict);
        file.is_no_pickle |= number == 0 && walk.is_refused;
        match walk.end {
            walk::End::Stopped { at } => position = at,
            walk::End::CutShort { at } => {
                file.cut_short_at = Some(at);
                return Ok(Followed { file, end: None });
            }
            walk::End::Lost => return Ok(Followed { file, end: None }),
        }
        if count.is_none() && position == length {
            return Ok(Followed { file, end: Some(position) });
        }
    }
    if count.is_none() {
        file.verdict = file.verdict.and(Verdict::unknown("too many pickles in a row"));
    }
    Ok(Followed { file, end: Some(position) })
}
