//! The verdict on the pickles of a zip: every member is accounted for, not only the one named `data.pkl`.

use super::contents::{self, Member};
use super::directory::{Directory, Entry};
use crate::cursor::Stop;
use crate::damage::ZipDamage as Damage;
use crate::error::Error;
use crate::pickle::{self, Persistent, Verdict};
use crate::read_at::{ReadAt, read_available};

/// The flags that ordinary writers set: compression effort, sizes that follow, UTF-8 names.
const ORDINARY_FLAGS: u16 = 0b1000_0000_1110;
/// Members of a torch archive that are neither pickle nor tensor.
const REMARKS: [&str; 5] = ["version", "byteorder", "serialization_id", ".format_version", ".storage_alignment"];

/// Judges all members. With it, the first pickle whose checksum does not match: Python refuses such a member, torch loads it.
pub(crate) fn judge_pickles(
    source: &dyn ReadAt,
    directory: &Directory,
    length: u64,
) -> Result<(Verdict, Option<Damage>), Error> {
    let mut verdict = match directory.duplicate {
        Some(_) => Verdict::unknown("two members of the zip have the same name"),
        None if directory.is_torch() => Verdict::Clean,
        None => Verdict::unknown("a zip without a data.pkl is no torch archive"),
    };
    let mut damage = None;
    for entry in &directory.entries {
        let judged = match judge_member(source, entry, length) {
            Ok(judged) => judged,
            Err(Stop::Io(source)) => return Err(Error::Read(source)),
            Err(_) => Judged { verdict: Verdict::unknown("a member of the zip could not be read"), damage: None },
        };
        verdict = verdict.and(judged.verdict);
        damage = damage.or(judged.damage);
    }
    Ok((verdict, damage))
}

struct Judged {
    verdict: Verdict,
    damage: Option<Damage>,
}

impl From<Verdict> for Judged {
    fn from(verdict: Verdict) -> Self {
        Self { verdict, damage: None }
    }
}

fn judge_member(source: &dyn ReadAt, entry: &Entry, length: u64) -> Result<Judged, Stop> {
    if entry.name.ends_with('/') && entry.uncompressed == 0 {
        return Ok(Verdict::Clean.into());
    }
    let Some(member) = contents::open(source, entry, length)? else {
        return Ok(Verdict::unknown("a member of the zip does not unpack within bounds").into());
    };
    let mut head = [0; 4];
    let read = read_available(member.bytes(), &mut head, 0)?;
    let head = &head[..read];
    if entry.file_name().ends_with(".pkl") {
        judge_pickle(entry, &member)
    } else if head.starts_with(b"PK\x03\x04") {
        Ok(Verdict::unknown("an archive inside the zip").into())
    } else if matches!(head, [0x80, 0..=5, ..]) {
        if is_tensor(entry) { judge_tensor(entry, &member) } else { judge_pickle(entry, &member) }
    } else if is_tensor(entry) || REMARKS.contains(&entry.file_name()) {
        Ok(ordinary_flags(entry).into())
    } else {
        Ok(Verdict::unknown("the zip has members that torch.save does not write").into())
    }
}

/// Numbers may begin like a pickle by chance: a tensor is held against the file only for what it would import.
fn judge_tensor(entry: &Entry, member: &Member<'_>) -> Result<Judged, Stop> {
    let bytes = member.bytes();
    match pickle::judge_stream(bytes, bytes.length()?, Persistent::Torch)? {
        harmful @ Verdict::Unsafe { .. } => Ok(harmful.into()),
        _ => Ok(ordinary_flags(entry).into()),
    }
}

fn judge_pickle(entry: &Entry, member: &Member<'_>) -> Result<Judged, Stop> {
    let bytes = member.bytes();
    let length = bytes.length()?;
    let verdict = pickle::judge_stream(bytes, length, Persistent::Torch)?.and(ordinary_flags(entry));
    if length > pickle::WALK_LIMIT_BYTES {
        return Ok(verdict.and(Verdict::unknown("a pickle of the zip is too long to be judged")).into());
    }
    if contents::matches_checksum(entry, member)? {
        return Ok(verdict.into());
    }
    Ok(Judged {
        verdict: verdict.and(Verdict::unknown("a pickle of the zip does not match its checksum")),
        damage: Some(Damage::Checksum { name: entry.name.clone() }),
    })
}

/// Flags such as "encrypted" make some readers refuse a member that others load all the same.
fn ordinary_flags(entry: &Entry) -> Verdict {
    if entry.flags & !ORDINARY_FLAGS == 0 {
        Verdict::Clean
    } else {
        Verdict::unknown("a member of the zip has flags that readers disagree about")
    }
}

/// `<archive>/data/<key>`: the raw numbers of one tensor.
fn is_tensor(entry: &Entry) -> bool {
    let mut parts = entry.name.rsplit('/');
    let key = parts.next().unwrap_or_default();
    parts.next() == Some("data") && !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit())
}
