//! The workflow within a file that ComfyUI made: it writes graph and prompt into the metadata of its pictures, videos and sounds.
//!
//! Files are read once, in order, and only their metadata is kept: pixels and samples are skipped. What a file claims of its
//! lengths is never believed beyond what is read.
//!
//! Source: the save nodes of ComfyUI (`nodes.py`, `comfy_extras/nodes_images.py`, `nodes_video.py`, `nodes_audio.py`), which write with
//! Pillow and PyAV.

mod exif;
mod flac;
mod mp4;
mod png;

use std::io::{self, Read};

/// Most bytes of one metadata field, and of what a compressed one becomes.
const MOST_TEXT: u64 = 16 << 20;
/// Most bytes of the part of a file in which metadata lies.
const MOST_METADATA: u64 = 64 << 20;

/// What the metadata of a file says, each as JSON text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Embedded {
    /// The graph as the page saves it.
    pub workflow: Option<String>,
    /// The graph as `/prompt` took it.
    pub prompt: Option<String>,
}

impl Embedded {
    /// Whether the file says nothing of a workflow.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.workflow.is_none() && self.prompt.is_none()
    }

    fn set(&mut self, name: &str, text: impl FnOnce() -> Option<String>) {
        let field = match name {
            "workflow" => &mut self.workflow,
            "prompt" => &mut self.prompt,
            _ => return,
        };
        if field.is_none() {
            *field = text();
        }
    }
}

/// Why a file tells no workflow.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// It is of no kind that ComfyUI writes a workflow into.
    #[error("this is none of PNG, WebP, JPEG, MP4 and FLAC")]
    UnknownFormat,
    /// It ends early, or is not what its beginning says.
    #[error("the file could not be read: {0}")]
    Read(#[from] io::Error),
}

/// Reads the metadata of a file from its first byte on. What follows the metadata may be left unread.
///
/// # Errors
/// [`EmbeddedError`]. A file without a workflow is no error: see [`Embedded::is_empty`].
pub fn read(mut file: impl Read) -> Result<Embedded, EmbeddedError> {
    let mut head = [0; 12];
    let known = read_up_to(&mut file, &mut head)?;
    let head = &head[..known];
    let whole = head.chain(&mut file);
    let found = match head {
        [0x89, b'P', b'N', b'G', ..] => png::read(whole),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P'] => exif::read_webp(whole),
        [0xff, 0xd8, 0xff, ..] => exif::read_jpeg(whole),
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => mp4::read(whole),
        [b'f', b'L', b'a', b'C', ..] => flac::read(whole),
        _ => return Err(EmbeddedError::UnknownFormat),
    };
    Ok(found?)
}

fn read_up_to(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut known = 0;
    while known < buffer.len() {
        match from.read(&mut buffer[known..])? {
            0 => break,
            read => known += read,
        }
    }
    Ok(known)
}

/// Reads so many bytes, which may be no more than `most`. Memory grows with what arrives, not with what is claimed.
fn take(from: &mut impl Read, length: u64, most: u64) -> io::Result<Vec<u8>> {
    if length > most {
        return Err(io::Error::other(format!("its metadata has more than {most} bytes")));
    }
    let mut bytes = Vec::new();
    from.take(length).read_to_end(&mut bytes)?;
    if (bytes.len() as u64) < length { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(bytes) }
}

/// Passes over so many bytes; `false` where the file ends before.
fn skip(from: &mut impl Read, length: u64) -> io::Result<bool> {
    Ok(io::copy(&mut from.take(length), &mut io::sink())? == length)
}

/// A number of four bytes, the highest first.
fn u32_be(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// A number of four bytes, the lowest first.
fn u32_le(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}
