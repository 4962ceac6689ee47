//! The one entry: what a file is, whether it is whole, and whether loading it would run code.

use crate::archive::{self, Directory};
use crate::cursor::Stop;
use crate::damage::Damage;
use crate::error::Error;
use crate::estimate::Weights;
use crate::gguf;
use crate::header::Header;
use crate::kind::{HEAD_BYTES, Kind, Promise, WrongFormat};
use crate::meter::{Meter, Metered, is_over_budget};
use crate::numpy;
use crate::pickle::{self, Verdict};
use crate::read_at::{ReadAt, read_available};
use crate::safetensors;
use crate::tar;

/// What is known of a file after [`inspect`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What the bytes are.
    pub kind: Kind,
    /// Whether the structure accounts for every byte.
    pub structure: Structure,
    /// Set for everything that `torch.load` would be asked to read, and for archives under a weight file's name.
    pub pickle: Option<Verdict>,
    /// Set when the name promises another format than the bytes are.
    pub wrong_format: Option<WrongFormat>,
    /// What the head declares; safetensors and GGUF only.
    pub header: Option<Header>,
}

/// Whether the structure of a file accounts for every byte of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Structure {
    /// It does. The contents may still be wrong: only a checksum tells.
    Whole,
    /// It does not.
    Damaged {
        /// What is wrong.
        reason: Damage,
    },
    /// The format does not say, or says it in a way that is not known here.
    NotJudged,
}

/// Looks at a file: reads its head, for a zip its tail and the pickles in it, never the weights. Blocks while it reads.
///
/// `file_name` may be a path; only its extension counts. Whatever the file claims, what is read and unpacked in all has a bound.
///
/// # Errors
/// [`Error::Read`] when the file cannot be read. A damaged file is no error.
pub fn inspect(source: &dyn ReadAt, file_name: &str) -> Result<Report, Error> {
    inspect_until(source, file_name, &|| false)
}

/// Like [`inspect`]; `stop` is asked before each read.
///
/// # Errors
/// [`Error::Read`] when the file cannot be read, [`Error::Stopped`] when `stop` said so.
pub fn inspect_until(source: &dyn ReadAt, file_name: &str, stop: &dyn Fn() -> bool) -> Result<Report, Error> {
    let meter = Meter::new(stop);
    let source = Metered { source, meter: &meter };
    let promise = Promise::of_name(file_name);
    let (kind, head, length) = kind_of(&source)?;
    let mut report = Report { kind, structure: Structure::NotJudged, pickle: None, wrong_format: None, header: None };
    match kind {
        Kind::Safetensors => (report.structure, report.header) = safetensors::examine(&source, length)?,
        Kind::Gguf => (report.structure, report.header) = gguf::examine(&source, length)?,
        Kind::Zip | Kind::TorchZip => inspect_zip(&source, length, &mut report)?,
        Kind::Pickle => (report.structure, report.pickle) = inspect_pickle(&source, length)?,
        _ => report.structure = structure_of_others(&source, length, kind, promise)?,
    }
    if report.pickle.is_none() {
        let verdict = verdict_of_others(&source, length, report.kind, promise);
        report.pickle = within_budget(verdict, Some(Verdict::unknown("the file is too long to be judged")))?;
    }
    if report.pickle == Some(Verdict::Clean) && tar::is_header(&head) {
        report.pickle = Some(Verdict::unknown("the file begins like a tar as well, and torch takes it for one"));
    }
    report.wrong_format = WrongFormat::between(promise, report.kind);
    Ok(report)
}

/// Puts `otherwise` in the place of what was not found out on the budget.
fn within_budget<T>(found: Result<T, Error>, otherwise: T) -> Result<T, Error> {
    match found {
        Err(Error::Read(cause)) if is_over_budget(&cause) => Ok(otherwise),
        found => found,
    }
}

/// What a [`glance`] at a file tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Glance {
    /// Whether the structure accounts for every byte. `None` where the format cannot say (a bare pickle, an unknown file); `Some(false)`
    /// for an empty file, and for a page or pointer under a weight file's name.
    pub whole: Option<bool>,
    /// What the head says of the weights; only of a file that is whole, since a damaged head says anything.
    pub weights: Option<Weights>,
}

/// The cheap part of [`inspect`].
///
/// # Errors
/// [`Error::Read`] when the file cannot be read.
pub fn glance(source: &dyn ReadAt, file_name: &str) -> Result<Glance, Error> {
    let meter = Meter::new(&|| false);
    let source = &Metered { source, meter: &meter };
    let (kind, _, length) = kind_of(source)?;
    let (structure, header) = match kind {
        Kind::Safetensors => safetensors::examine(source, length)?,
        Kind::Gguf => gguf::examine(source, length)?,
        Kind::Zip | Kind::TorchZip => match Directory::read(source, length) {
            Ok(directory) => (archive::structure(source, &directory)?, None),
            Err(stop) => (stop.into_structure("zip directory")?, None),
        },
        Kind::Pickle => (Structure::NotJudged, None),
        _ => (structure_of_others(source, length, kind, Promise::of_name(file_name))?, None),
    };
    let whole = match structure {
        Structure::Whole => Some(true),
        Structure::Damaged { .. } => Some(false),
        Structure::NotJudged => None,
    };
    Ok(Glance { whole, weights: header.filter(|_| whole == Some(true)).map(|header| Weights::of_header(&header)) })
}

fn kind_of(source: &dyn ReadAt) -> Result<(Kind, Vec<u8>, u64), Error> {
    let length = source.length()?;
    let mut head = vec![0; HEAD_BYTES];
    let read = read_available(source, &mut head, 0)?;
    head.truncate(read);
    Ok((Kind::of_head(&head, length), head, length))
}

fn inspect_zip<'a>(source: &'a Metered<'a, dyn ReadAt + 'a>, length: u64, report: &mut Report) -> Result<(), Error> {
    match Directory::read(source, length) {
        Ok(directory) => {
            if directory.is_torch() {
                report.kind = Kind::TorchZip;
            }
            report.structure = archive::structure(source, &directory)?;
            let (verdict, checksum) = archive::judge_pickles(source, &directory, &report.structure, length)?;
            report.pickle = Some(verdict);
            if let (Structure::Whole, Some(damage)) = (&report.structure, checksum) {
                report.structure = Structure::Damaged { reason: damage.into() };
            }
        }
        Err(stop) => {
            report.structure = stop.into_structure("zip directory")?;
            report.pickle = Some(Verdict::unknown("the zip's directory could not be read"));
        }
    }
    Ok(())
}

fn inspect_pickle(source: &dyn ReadAt, length: u64) -> Result<(Structure, Option<Verdict>), Error> {
    let judged = pickle::judge_file(source, length)?;
    let verdict = match judged.verdict {
        // A reader that looks for the zip at the end would see other contents than one that starts at the front.
        Verdict::Clean if within_budget(archive::has_end_record(source, length).map_err(Error::from), true)? => {
            Verdict::unknown("a pickle with the end of a zip behind it")
        }
        verdict => verdict,
    };
    let structure = match judged.cut_short_at {
        Some(at) => Stop::Ended { at }.into_structure("pickle")?,
        None => Structure::NotJudged,
    };
    Ok((structure, Some(verdict)))
}

/// The structure of what is none of the formats that this crate reads, against what the name promised.
fn structure_of_others(source: &dyn ReadAt, length: u64, kind: Kind, promise: Promise) -> Result<Structure, Error> {
    Ok(match (kind, promise) {
        (Kind::Empty, _) => Structure::Damaged { reason: Damage::Empty },
        (_, Promise::Nothing | Promise::NoWeights) => Structure::NotJudged,
        (Kind::Html | Kind::LfsPointer, _) => Structure::Damaged { reason: Damage::NoWeights { found: kind } },
        (Kind::Unknown, Promise::Safetensors) => safetensors::examine(source, length)?.0,
        (Kind::Unknown, Promise::Gguf) => gguf::examine(source, length)?.0,
        _ => Structure::NotJudged,
    })
}

/// The verdict on what does not begin like a pickle: never `Clean`. The two oldest pickle protocols have no mark of their own at the
/// front, and other formats can be built to be a pickle too, so all bytes are followed; what no Python loads has no verdict, unless a
/// loader of pickles is what the name promises.
fn verdict_of_others(source: &dyn ReadAt, length: u64, kind: Kind, promise: Promise) -> Result<Option<Verdict>, Error> {
    match (kind, promise) {
        (Kind::SevenZip | Kind::Rar | Kind::Compressed, _) => {
            return Ok(Some(Verdict::unknown(format!("{kind} is not looked into"))));
        }
        // A loader that was chosen by this name reads the format that was found.
        (Kind::Safetensors, Promise::Safetensors) | (Kind::Gguf, Promise::Gguf) | (Kind::Empty, Promise::Nothing) => {
            return Ok(None);
        }
        _ => {}
    }
    let followed = pickle::judge_file(source, length)?;
    let array = match kind {
        Kind::Numpy => match numpy::judge(source) {
            Ok(verdict) => verdict,
            Err(stop) => {
                stop.into_structure("numpy array")?;
                Some(Verdict::unknown("the numpy array is too long to be judged"))
            }
        },
        _ => None,
    };
    let no_pickle = Verdict::unknown("the bytes do not begin like a pickle");
    Ok(match (followed.verdict, array) {
        (dangerous @ Verdict::Unsafe { .. }, _) | (_, Some(dangerous @ Verdict::Unsafe { .. })) => Some(dangerous),
        (_, Some(array)) => Some(array),
        _ if matches!(promise, Promise::Pickle | Promise::Binary) => Some(no_pickle),
        _ if followed.is_no_pickle || promise == Promise::NoWeights => None,
        (unknown @ Verdict::Unknown { .. }, _) => Some(unknown),
        (Verdict::Clean, _) => Some(no_pickle),
    })
}
