//! Reads one model file: its SHA-256, what its structure says, what it would import. Blocks, in bounded memory.

use crate::{
    model_dir::ModelDir,
    models::integrity::safety_of,
    models::{Safety, detail::with_imports},
};
use std::{fs::File, io, ops::ControlFlow, os::unix::fs::FileExt};

use model_file::{Contents, Kind, Report, Structure, Verdict};
use registry::ConfinedPath;
use sha2::{Digest, Sha256};

use super::{FindingCode, Watch};

/// Bytes that are read at once.
const CHUNK: usize = 1 << 20;

/// What a file is.
pub(super) struct Content {
    pub(super) sha256: String,
    pub(super) findings: Vec<(FindingCode, String)>,
    pub(super) whole: Option<bool>,
    pub(super) safety: Option<Safety>,
}

/// Reads the file. `None` when the validation was ended meanwhile.
pub(super) fn read(folder: &ModelDir, path: &ConfinedPath, watch: &Watch) -> io::Result<Option<Content>> {
    let file = folder.open_file(path)?;
    let Some(sha256) = hash(&file, path, watch)? else { return Ok(None) };
    let report = match model_file::inspect_until(&file, path.file_name(), &|| watch.cancel.is_cancelled()) {
        Ok(report) => report,
        Err(model_file::Error::Stopped) => return Ok(None),
        Err(model_file::Error::Read(cause)) => return Err(cause),
    };
    let mut findings = findings_of(&report);
    let mut whole = match report.structure {
        Structure::Whole => Some(true),
        Structure::Damaged { .. } => Some(false),
        Structure::NotJudged => None,
    };
    if matches!(report.kind, Kind::TorchZip | Kind::Zip) && report.structure == Structure::Whole {
        match damaged_member(&file, watch)? {
            ControlFlow::Break(()) => return Ok(None),
            ControlFlow::Continue(None) => {}
            ControlFlow::Continue(Some(finding)) => {
                whole = Some(false);
                findings.push(finding);
            }
        }
    }
    Ok(Some(Content { sha256, findings, whole, safety: report.pickle.as_ref().map(safety_of) }))
}

/// The byte ranges, end excluded, of blocks whose CRC-32 is not the one that was kept of a file of `size` bytes.
pub(super) fn damaged_blocks(
    folder: &ModelDir,
    path: &ConfinedPath,
    size: u64,
    (block_bytes, sums): (u64, &[u8]),
    watch: &Watch,
) -> Vec<(u64, u64)> {
    let (Ok(file), Ok(length)) = (folder.open_file(path), usize::try_from(block_bytes)) else { return Vec::new() };
    let mut buffer = vec![0; length.min(CHUNK)];
    let mut damaged = Vec::new();
    for (number, kept) in sums.chunks_exact(4).enumerate() {
        if watch.cancel.is_cancelled() {
            break;
        }
        let start = number as u64 * block_bytes;
        let mut hasher = crc32fast::Hasher::new();
        let mut at = start;
        while at < start + block_bytes {
            let wanted = buffer.len().min(usize::try_from(start + block_bytes - at).unwrap_or(usize::MAX));
            match file.read_at(&mut buffer[..wanted], at) {
                Ok(0) | Err(_) => break,
                Ok(read) => {
                    hasher.update(&buffer[..read]);
                    at += read as u64;
                }
            }
        }
        if hasher.finalize().to_le_bytes() != kept {
            damaged.push((start, (start + block_bytes).min(size)));
        }
    }
    damaged
}

fn hash(file: &File, path: &ConfinedPath, watch: &Watch) -> io::Result<Option<String>> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; CHUNK];
    let (mut at, mut unreported) = (0, 0);
    loop {
        if watch.cancel.is_cancelled() {
            return Ok(None);
        }
        let read = file.read_at(&mut buffer, at)?;
        hasher.update(&buffer[..read]);
        at += read as u64;
        unreported += read as u64;
        if read == 0 || unreported >= 64 * CHUNK as u64 {
            watch.advance(unreported, path.as_str());
            unreported = 0;
        }
        if read == 0 {
            return Ok(Some(hex::encode(hasher.finalize())));
        }
    }
}

fn damaged_member(file: &File, watch: &Watch) -> io::Result<ControlFlow<(), Option<(FindingCode, String)>>> {
    let mut go_on = |_| if watch.cancel.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
    Ok(match model_file::check_zip_contents(file, &mut go_on).map_err(io::Error::other)? {
        Contents::Stopped => ControlFlow::Break(()),
        Contents::Damaged { reason } => ControlFlow::Continue(Some((FindingCode::Damaged, reason.to_string()))),
        Contents::Intact | Contents::NotJudged => ControlFlow::Continue(None),
    })
}

fn findings_of(report: &Report) -> Vec<(FindingCode, String)> {
    let mut findings = Vec::new();
    if let Structure::Damaged { reason } = &report.structure {
        findings.push((FindingCode::Damaged, reason.to_string()));
    }
    match &report.pickle {
        Some(Verdict::Unsafe { imports }) => {
            let names: Vec<&str> = imports.iter().map(String::as_str).collect();
            findings.push((FindingCode::UnsafePickle, format!("Loading it would import {}", names.join(", "))));
        }
        Some(Verdict::Unknown { reason, imports }) => {
            let reason = with_imports(reason.clone(), imports);
            findings.push((
                FindingCode::UnknownPickle,
                format!("It cannot be said whether loading it runs code: {reason}"),
            ));
        }
        Some(Verdict::Clean) | None => {}
    }
    if let Some(wrong) = &report.wrong_format {
        findings.push((FindingCode::WrongFormat, wrong.to_string()));
    }
    findings
}
