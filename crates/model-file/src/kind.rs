//! Telling formats apart by their first bytes, and what a file name promises.

use std::fmt;

use crate::numpy;
use crate::safetensors::HEADER_LIMIT_BYTES;
use crate::tar;

/// How many bytes [`Kind::of_head`] likes to see (a tar names itself at byte 257).
pub(crate) const HEAD_BYTES: usize = 512;

/// What a file is, by its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Weights with a JSON head.
    Safetensors,
    /// Weights of llama.cpp and its relatives.
    Gguf,
    /// A zip that holds a `data.pkl`: what `torch.save` writes.
    TorchZip,
    /// Any other zip.
    Zip,
    /// A bare pickle, or the older format of `torch.save`, which is several in a row.
    Pickle,
    /// A 7-Zip archive.
    SevenZip,
    /// A RAR archive.
    Rar,
    /// gzip, xz, bzip2, zstd or tar.
    Compressed,
    /// An array of numpy; one of Python objects is a pickle.
    Numpy,
    /// A web page: often a login page saved in place of the file.
    Html,
    /// A Git LFS pointer: the name of the file instead of the file.
    LfsPointer,
    /// No bytes at all.
    Empty,
    /// None of these.
    Unknown,
}

impl Kind {
    /// Judges the first bytes of a file of `length` bytes. A zip with a `data.pkl` is told from other zips later, by its directory.
    pub(crate) fn of_head(head: &[u8], length: u64) -> Self {
        if head.is_empty() {
            return Self::Empty;
        }
        if looks_like_safetensors(head, length) {
            return Self::Safetensors;
        }
        let magics: [(&[u8], Self); 12] = [
            (numpy::MAGIC, Self::Numpy),
            (b"GGUF", Self::Gguf),
            (b"PK\x03\x04", Self::Zip),
            (b"PK\x05\x06", Self::Zip),
            (b"7z\xbc\xaf\x27\x1c", Self::SevenZip),
            (b"Rar!\x1a\x07", Self::Rar),
            (b"\x1f\x8b", Self::Compressed),
            (b"\xfd7zXZ\0", Self::Compressed),
            (b"BZh", Self::Compressed),
            (b"\x28\xb5\x2f\xfd", Self::Compressed),
            (b"version https://git-lfs", Self::LfsPointer),
            (b"version https://hawser", Self::LfsPointer),
        ];
        if let Some((_, kind)) = magics.iter().find(|(magic, _)| head.starts_with(magic)) {
            return *kind;
        }
        if head.get(257..262) == Some(b"ustar") || tar::is_header(head) {
            return Self::Compressed;
        }
        match head {
            [0x80, 0..=5, ..] => Self::Pickle,
            _ if looks_like_a_page(head) => Self::Html,
            _ => Self::Unknown,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Safetensors => "a safetensors file",
            Self::Gguf => "a GGUF file",
            Self::TorchZip => "a torch archive (pickle)",
            Self::Zip => "a zip archive",
            Self::Pickle => "a pickle",
            Self::SevenZip => "a 7-Zip archive",
            Self::Rar => "a RAR archive",
            Self::Compressed => "a compressed archive",
            Self::Numpy => "a numpy array",
            Self::Html => "a web page",
            Self::LfsPointer => "a Git LFS pointer",
            Self::Empty => "nothing",
            Self::Unknown => "something unknown",
        })
    }
}

/// The length of a header that fits, then the brace that opens it; the reference reader takes white space in front of that.
fn looks_like_safetensors(head: &[u8], length: u64) -> bool {
    let Some((size, rest)) = head.split_first_chunk::<8>() else { return false };
    let size = u64::from_le_bytes(*size);
    rest.iter().find(|byte| !b" \t\r\n".contains(byte)) == Some(&b'{')
        && size <= HEADER_LIMIT_BYTES
        && size <= length.saturating_sub(8)
}

fn looks_like_a_page(head: &[u8]) -> bool {
    let text = head.trim_ascii_start();
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    [b"<!doctype".as_slice(), b"<html", b"<head", b"<?xml"]
        .iter()
        .any(|opening| text.get(..opening.len()).is_some_and(|start| start.eq_ignore_ascii_case(opening)))
}

/// What the end of a file name promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Promise {
    /// `.safetensors`, `.sft`.
    Safetensors,
    /// `.gguf`.
    Gguf,
    /// `.ckpt`, `.pt`, `.pth`, `.pkl`, `.pickle`: loaded by `torch.load`.
    Pickle,
    /// `.bin`: usually a pickle, but other formats use the name as well.
    Binary,
    /// Nothing: no extension, or one that this crate does not know. A loader may well unpickle it (`.th`, `.joblib`, `.dat`, `.npy`).
    Nothing,
    /// Text, a picture, or a format of weights whose loaders unpickle nothing.
    NoWeights,
}

/// Extensions of files that nobody loads as a pickle.
const NO_WEIGHTS: [&str; 58] = [
    "aria2",
    "avif",
    "bmp",
    "cfg",
    "conf",
    "css",
    "csv",
    "engine",
    "flac",
    "gif",
    "gitattributes",
    "gitignore",
    "gz",
    "h5",
    "htm",
    "html",
    "ini",
    "ipynb",
    "jpeg",
    "jpg",
    "js",
    "json",
    "jsonl",
    "keras",
    "license",
    "lock",
    "log",
    "md",
    "metadata",
    "mov",
    "mp3",
    "mp4",
    "mpk",
    "msgpack",
    "ncnn",
    "onnx",
    "otf",
    "param",
    "pb",
    "pdf",
    "plan",
    "png",
    "py",
    "rst",
    "sha256",
    "svg",
    "tflite",
    "toml",
    "trt",
    "tsv",
    "ttf",
    "txt",
    "wav",
    "webm",
    "webp",
    "xml",
    "yaml",
    "yml",
];

impl Promise {
    /// Reads the extension of a file name or path, in any case.
    pub(crate) fn of_name(file_name: &str) -> Self {
        let extension = file_name.rsplit_once('.').map_or("", |(_, extension)| extension);
        match extension.to_ascii_lowercase().as_str() {
            "safetensors" | "sft" => Self::Safetensors,
            "gguf" => Self::Gguf,
            "ckpt" | "pt" | "pth" | "pkl" | "pickle" => Self::Pickle,
            "bin" => Self::Binary,
            extension if NO_WEIGHTS.contains(&extension) => Self::NoWeights,
            _ => Self::Nothing,
        }
    }

    fn accepted(self) -> &'static str {
        match self {
            Self::Safetensors => "a safetensors file",
            Self::Gguf => "a GGUF file",
            Self::Pickle | Self::Binary | Self::Nothing | Self::NoWeights => "a pickle or a torch archive",
        }
    }
}

/// The name promises one format, the bytes are another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrongFormat {
    /// What the name promises, in words.
    pub expected: &'static str,
    /// What the bytes are.
    pub found: Kind,
}

impl fmt::Display for WrongFormat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "by its name this is {}, but it holds {}", self.expected, self.found)
    }
}

impl WrongFormat {
    /// Compares a promise with what was found; `None` also where the bytes are merely not recognised.
    pub(crate) fn between(promise: Promise, found: Kind) -> Option<Self> {
        let kept = match promise {
            Promise::Safetensors => found == Kind::Safetensors,
            Promise::Gguf => found == Kind::Gguf,
            Promise::Pickle => matches!(found, Kind::Pickle | Kind::TorchZip),
            Promise::Binary => !matches!(found, Kind::Html | Kind::LfsPointer),
            Promise::Nothing | Promise::NoWeights => true,
        };
        let unrecognised = matches!(found, Kind::Unknown | Kind::Empty);
        (!kept && !unrecognised).then(|| Self { expected: promise.accepted(), found })
    }
}
