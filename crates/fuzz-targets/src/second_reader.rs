//! Second readers of model files, written as CPython 3 and its standard library read them and with nothing of ours: what they would
//! import, see in a zip, or open as a tar. They are naive: they know no limits and may stop early.

/// An import that runs whatever a pickle wants. Every module here is refused by any judge.
const HARMFUL: [&str; 9] = ["os", "posix", "nt", "sys", "subprocess", "shutil", "runpy", "pty", "socket"];
/// The same in `builtins` and `__builtin__`.
const HARMFUL_BUILTINS: [&str; 7] = ["eval", "exec", "compile", "open", "getattr", "__import__", "breakpoint"];

/// What reading one pickle comes to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Scan {
    /// `module.name` of every import that was reached.
    pub(crate) imports: Vec<(String, String)>,
    /// Where a reader of the same file goes on; `None` where the pickle did not come to its stop.
    pub(crate) next: Option<usize>,
}

impl Scan {
    /// The first import that no judge may call clean.
    pub(crate) fn harm(&self) -> Option<&(String, String)> {
        self.imports.iter().find(|(module, name)| {
            let root = module.split('.').next().unwrap_or_default();
            HARMFUL.contains(&root)
                || (matches!(root, "builtins" | "__builtin__") && HARMFUL_BUILTINS.contains(&name.as_str()))
        })
    }
}

/// Reads the pickle that begins at `start`, as `pickle.Unpickler` does: a frame is read whole, and the next pickle begins behind it.
pub(crate) fn scan_pickle(bytes: &[u8], start: usize) -> Scan {
    let mut scan = Scan::default();
    let mut at = start;
    let mut frame_end = 0;
    let mut strings: Vec<String> = Vec::new();
    while let Some(&opcode) = bytes.get(at) {
        at += 1;
        let Some((argument, after)) = argument(bytes, at, opcode) else { return scan };
        match opcode {
            b'.' => {
                scan.next = Some(at.max(frame_end));
                return scan;
            }
            0x95 => {
                let length = u64::from_le_bytes(argument.try_into().unwrap_or_default());
                let Some(end) = usize::try_from(length).ok().and_then(|length| after.checked_add(length)) else {
                    return scan;
                };
                if end > bytes.len() {
                    return scan;
                }
                frame_end = end;
            }
            b'c' | b'i' => {
                let mut lines = argument.split(|byte| *byte == b'\n').map(text);
                scan.imports.push((lines.next().unwrap_or_default(), lines.next().unwrap_or_default()));
            }
            0x93 => {
                let name = strings.pop().unwrap_or_default();
                scan.imports.push((strings.pop().unwrap_or_default(), name));
            }
            0x8c | 0x8d | b'X' | b'V' | b'S' | b'U' | b'T' => {
                let quoted = text(argument);
                strings.push(quoted.trim_end_matches('\n').trim_matches(['\'', '"']).to_owned());
            }
            _ => {}
        }
        at = after;
    }
    scan
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// How the argument of an opcode is spelled (`pickletools.opcodes`): its bytes without a length in front, and the place behind it.
fn argument(bytes: &[u8], at: usize, opcode: u8) -> Option<(&[u8], usize)> {
    let fixed = |count: usize| Some((bytes.get(at..at.checked_add(count)?)?, at + count));
    let prefixed = |width: usize| {
        let mut length = [0; 8];
        length[..width].copy_from_slice(bytes.get(at..at + width)?);
        let start = at + width;
        let end = start.checked_add(usize::try_from(u64::from_le_bytes(length)).ok()?)?;
        Some((bytes.get(start..end)?, end))
    };
    let lines = |count: usize| {
        let mut end = at;
        for _ in 0..count {
            end += bytes.get(end..)?.iter().position(|byte| *byte == b'\n')? + 1;
        }
        Some((&bytes[at..end], end))
    };
    match opcode {
        b'F' | b'I' | b'L' | b'g' | b'p' | b'S' | b'V' | b'P' => lines(1),
        b'c' | b'i' => lines(2),
        b'K' | b'h' | b'q' | 0x80 | 0x82 => fixed(1),
        b'M' | 0x83 => fixed(2),
        b'J' | b'j' | b'r' | 0x84 => fixed(4),
        b'G' | 0x95 => fixed(8),
        0x8a | b'U' | b'C' | 0x8c => prefixed(1),
        0x8b | b'T' | b'X' | b'B' => prefixed(4),
        0x8d | 0x8e | 0x96 => prefixed(8),
        b'('
        | b'.'
        | b'0'
        | b'1'
        | b'2'
        | b'N'
        | b'R'
        | b'Q'
        | b'b'
        | b'd'
        | b'}'
        | b'l'
        | b']'
        | b'o'
        | b's'
        | b't'
        | b')'
        | b'u'
        | b'a'
        | b'e'
        | 0x81
        | 0x85..=0x89
        | 0x8f..=0x94
        | 0x97
        | 0x98 => fixed(0),
        _ => None,
    }
}

/// A member of a zip: its name and what its directory entry says of it.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) stored: bool,
    start: usize,
    size: usize,
}

impl Member {
    /// The bytes of a stored member, as the local header places them.
    pub(crate) fn data<'a>(&self, zip: &'a [u8]) -> Option<&'a [u8]> {
        let name = usize::from(u16_at(zip, self.start.checked_add(26)?)?);
        let extra = usize::from(u16_at(zip, self.start.checked_add(28)?)?);
        let begin = self.start.checked_add(30 + name + extra)?;
        zip.get(begin..begin.checked_add(self.size)?)
    }
}

/// The members that Python's `zipfile` lists: it takes the last signature of an end record in the last 64 KiB, and places the
/// directory right in front of that.
pub(crate) fn zip_members(zip: &[u8]) -> Vec<Member> {
    let tail = zip.len().saturating_sub(u16::MAX as usize + 22);
    let Some(end) = last(&zip[tail..], b"PK\x05\x06").map(|at| tail + at) else { return Vec::new() };
    let (Some(count), Some(size)) = (u16_at(zip, end + 10), u32_at(zip, end + 12)) else { return Vec::new() };
    let (Some(mut at), Some(offset)) = (end.checked_sub(size), u32_at(zip, end + 16)) else { return Vec::new() };
    // What stands in front of the zip moves every offset.
    let moved = at.saturating_sub(offset);
    let mut members = Vec::new();
    while members.len() < usize::from(count) && zip.get(at..at + 4) == Some(b"PK\x01\x02") {
        let Some(member) = member(zip, at, moved) else { break };
        let lengths = [28, 30, 32].map(|field| usize::from(u16_at(zip, at + field).unwrap_or_default()));
        at += 46 + lengths.iter().sum::<usize>();
        members.push(member);
    }
    members
}

fn member(zip: &[u8], at: usize, moved: usize) -> Option<Member> {
    let name = zip.get(at + 46..at + 46 + usize::from(u16_at(zip, at + 28)?))?;
    Some(Member {
        name: text(name),
        stored: u16_at(zip, at + 10)? == 0,
        start: u32_at(zip, at + 42)?.checked_add(moved)?,
        size: u32_at(zip, at + 20)?,
    })
}

/// Whether Python's `tarfile` takes the front of a file for a tar: the sum over the header, with blanks for the sum itself.
pub(crate) fn is_tar(bytes: &[u8]) -> bool {
    let Some(header) = bytes.get(..512) else { return false };
    let mut stated = header[148..156].iter().filter(|byte| !matches!(byte, b' ' | 0));
    let stated = stated.try_fold(0_u32, |sum, byte| Some(sum * 8 + char::from(*byte).to_digit(8)?));
    let sum: u32 =
        header.iter().enumerate().map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u32::from(*byte) }).sum();
    header[0] != 0 && stated == Some(sum)
}

fn last(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).rposition(|window| window == wanted)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?)).ok()
}
