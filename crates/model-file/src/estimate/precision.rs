//! The element type that most of a model's bytes have.

use std::fmt;

use crate::header::Header;

/// How the numbers of a model are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Precision {
    /// 64 bits a number.
    Float64,
    /// 32 bits a number.
    Float32,
    /// 16 bits a number, either way of dividing them.
    Float16,
    /// 8 bits a number.
    Float8,
    /// Packed: 8 bits and fewer, in blocks (GGUF, NVFP4, int8 …).
    Quantised,
}

impl Precision {
    /// The type that holds most of the bytes which a head declares; `None` for a head without tensors or of unknown types.
    pub(crate) fn of_header(header: &Header) -> Option<Self> {
        let (dtype, _) = header.dtypes.iter().max_by_key(|(_, bytes)| **bytes)?;
        Some(match dtype.as_str() {
            "F64" | "I64" | "C64" => Self::Float64,
            "F32" | "I32" | "U32" => Self::Float32,
            "F16" | "BF16" | "I16" | "U16" => Self::Float16,
            "unknown" => return None,
            name if name.starts_with("F8_") => Self::Float8,
            _ => Self::Quantised,
        })
    }

    /// What a file name says of its numbers (`flux1-dev-fp8`, `Wan2.2_Q8_0.gguf`); `None` where it says nothing.
    #[must_use]
    pub fn of_file_name(file_name: &str) -> Option<Self> {
        let name = file_name.to_ascii_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| name.contains(word));
        if name.ends_with(".gguf") || says(&["nvfp4", "mxfp4", "fp4", "int8", "int4", "nf4", "svdq"]) {
            Some(Self::Quantised)
        } else if says(&["fp8", "f8_e", "e4m3", "e5m2"]) {
            Some(Self::Float8)
        } else if says(&["fp16", "bf16", "f16"]) {
            Some(Self::Float16)
        } else if says(&["fp32", "f32"]) {
            Some(Self::Float32)
        } else {
            None
        }
    }

    /// The share of the file that is in memory once ComfyUI has loaded it: it works with 16 bits at most.
    pub(super) fn share_kept_in_memory(self) -> f64 {
        match self {
            Self::Float64 => 0.25,
            Self::Float32 => 0.5,
            Self::Float16 | Self::Float8 | Self::Quantised => 1.0,
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Float64 => "64-bit",
            Self::Float32 => "32-bit",
            Self::Float16 => "16-bit",
            Self::Float8 => "8-bit",
            Self::Quantised => "quantised",
        })
    }
}
