//! The verdict on the pickles of a zip: every member is accounted for, not only the one named `data.pkl`.

use std::collections::HashSet;

use super::contents::{self, Member};
use super::directory::{Directory, Entry};
use super::tiling;
use crate::cursor::Stop;
use crate::damage::ZipDamage as Damage;
use crate::error::Error;
use crate::inspect::Structure;
use crate::meter::{Metered, is_over_budget};
use crate::numpy;
use crate::pickle::{self, Persistent, Verdict};
use crate::read_at::{ReadAt, read_available};

/// The flags that ordinary writers set: compression effort, sizes that follow, UTF-8 names.
const ORDINARY_FLAGS: u16 = 0b1000_0000_1110;
/// Members of a torch archive that are neither pickle nor tensor.
const REMARKS: [&str; 5] = ["version", "byteorder", "serialization_id", ".format_version", ".storage_alignment"];

/// Judges all members until one is unsafe, each place in the file once and pickles first, within the budget of the inspection. With the verdict, the first
/// pickle whose checksum does not match: Python refuses such a member, torch loads it.
pub(crate) fn judge_pickles<'a>(
    source: &'a Metered<'a, dyn ReadAt + 'a>,
    directory: &Directory,
    structure: &Structure,
    length: u64,
) -> Result<(Verdict, Option<Damage>), Error> {
    let mut verdict = verdict_on_directory(directory, structure);
    let mut damage = None;
    let mut judged_places = HashSet::new();
    let (pickles, others): (Vec<&Entry>, Vec<&Entry>) =
        directory.entries.iter().partition(|entry| entry.file_name().ends_with(".pkl"));
    for entry in pickles.into_iter().chain(others) {
        if matches!(verdict, Verdict::Unsafe { .. }) {
            break;
        }
        if !judged_places.insert(entry.header_start) {
            continue;
        }
        let judged = match judge_member(source, entry, length) {
            Ok(judged) => judged,
            Err(Stop::Io(cause)) if is_over_budget(&cause) => {
                verdict = verdict.and(Verdict::unknown("the zip holds more than is looked into"));
                break;
            }
            Err(Stop::Io(cause)) => return Err(cause.into()),
            Err(_) => Judged { verdict: Verdict::unknown("a member of the zip could not be read"), damage: None },
        };
        verdict = verdict.and(judged.verdict);
        damage = damage.or(judged.damage);
    }
    Ok((verdict, damage))
}

/// Where readers may see different members, none of them makes the file clean.
fn verdict_on_directory(directory: &Directory, structure: &Structure) -> Verdict {
    if directory.duplicate.is_some() {
        return Verdict::unknown("two members of the zip have the same name");
    }
    match (directory.doubt, structure) {
        (Some(doubt), _) => Verdict::unknown(doubt),
        (None, Structure::Damaged { .. } | Structure::NotJudged) => {
            Verdict::unknown("the members of the zip do not account for every byte of it")
        }
        (None, Structure::Whole) if directory.is_torch() => Verdict::Clean,
        (None, Structure::Whole) => Verdict::unknown("a zip without a data.pkl is no torch archive"),
    }
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

fn judge_member<'a>(source: &'a Metered<'a, dyn ReadAt + 'a>, entry: &Entry, length: u64) -> Result<Judged, Stop> {
    let header = tiling::local_header(source, entry)?;
    if !header.agrees {
        let Some(member) = contents::open(source, entry, header.data_start, length)? else {
            return Ok(Verdict::unknown("a member of the zip does not unpack within bounds").into());
        };
        let judged = judge_contents(entry, &member)?;
        let doubt = Verdict::unknown("a member of the zip says something else of itself than the directory does");
        return Ok(Judged { verdict: judged.verdict.and(doubt), damage: judged.damage });
    }
    if entry.name.ends_with('/') && entry.uncompressed == 0 {
        return Ok(Verdict::Clean.into());
    }
    let Some(member) = contents::open(source, entry, header.data_start, length)? else {
        return Ok(Verdict::unknown("a member of the zip does not unpack within bounds").into());
    };
    judge_contents(entry, &member)
}

fn judge_contents(entry: &Entry, member: &Member<'_>) -> Result<Judged, Stop> {
    let mut head = [0; 8];
    let read = read_available(member, &mut head, 0)?;
    let head = &head[..read];
    if entry.file_name().ends_with(".pkl") {
        judge_pickle(entry, member)
    } else if head.starts_with(b"PK\x03\x04") {
        Ok(Verdict::unknown("an archive inside the zip").into())
    } else if head.starts_with(numpy::MAGIC) {
        Ok(numpy::judge(member)?.unwrap_or(Verdict::Clean).and(ordinary_flags(entry)).into())
    } else if matches!(head, [0x80, 0..=5, ..]) {
        if is_tensor(entry) { judge_tensor(entry, member) } else { judge_pickle(entry, member) }
    } else if is_tensor(entry) || REMARKS.contains(&entry.file_name()) {
        Ok(ordinary_flags(entry).into())
    } else {
        Ok(Verdict::unknown("the zip has members that torch.save does not write").into())
    }
}

/// Numbers may begin like a pickle by chance: a tensor is held against the file only for what it would import.
fn judge_tensor(entry: &Entry, member: &Member<'_>) -> Result<Judged, Stop> {
    let verdict = pickle::judge_stream(member, member.length()?, Persistent::Torch)?;
    Ok(if verdict.names_imports() { verdict.into() } else { ordinary_flags(entry).into() })
}

fn judge_pickle(entry: &Entry, member: &Member<'_>) -> Result<Judged, Stop> {
    let length = member.length()?;
    let verdict = pickle::judge_stream(member, length, Persistent::Torch)?.and(ordinary_flags(entry));
    let matches = match contents::matches_checksum(entry, member) {
        Err(Stop::Io(cause)) if is_over_budget(&cause) => {
            return Ok(verdict.and(Verdict::unknown("a pickle of the zip is too long to be judged")).into());
        }
        matches => matches?,
    };
    if matches {
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
