//! What can be wrong with a weight file, one sentence a case.

use crate::kind::Kind;

/// Why a file is not whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// Nothing is in it.
    #[error("the file is empty")]
    Empty,
    /// A page, a pointer or another thing under a weight file's name.
    #[error("the file holds {found} and no weights")]
    NoWeights {
        /// What the bytes are.
        found: Kind,
    },
    /// The bytes run out where the format needs more.
    #[error("the file ends inside its {part}, at byte {at}")]
    EndsInside {
        /// Which part was being read.
        part: &'static str,
        /// The length of the file, as met by the reader.
        at: u64,
    },
    /// A contradiction in a safetensors head.
    #[error(transparent)]
    Safetensors(#[from] SafetensorsDamage),
    /// A contradiction in a GGUF head.
    #[error(transparent)]
    Gguf(#[from] GgufDamage),
    /// A contradiction in a zip.
    #[error(transparent)]
    Zip(#[from] ZipDamage),
}

/// What can be wrong with a safetensors file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SafetensorsDamage {
    /// Over the limit that the reference reader sets as well.
    #[error("the safetensors header claims {claimed} bytes; at most {limit} are accepted")]
    HeaderTooLarge {
        /// What the first eight bytes say.
        claimed: u64,
        /// The limit.
        limit: u64,
    },
    /// The header alone would be longer than the file.
    #[error("the safetensors header claims {claimed} bytes, but only {present} follow")]
    HeaderPastTheEnd {
        /// What the first eight bytes say.
        claimed: u64,
        /// What the file has after them.
        present: u64,
    },
    /// Not JSON, or not the JSON of this format.
    #[error("the safetensors header is not the JSON that the format asks for: {detail}")]
    HeaderJson {
        /// What the parser says.
        detail: String,
    },
    /// More tensors than any model has.
    #[error("the safetensors header lists more than {limit} tensors")]
    TooManyTensors {
        /// The limit.
        limit: usize,
    },
    /// The dimensions multiply to more than a file can hold.
    #[error("the shape of `{name}` multiplies to more than 2^64")]
    ShapeOverflow {
        /// The tensor.
        name: String,
    },
    /// Element size times shape is not the span of the offsets.
    #[error("`{name}` needs {needed} bytes by its shape, but its offsets span {begin}..{end}")]
    SizeMismatch {
        /// The tensor.
        name: String,
        /// Shape times element size.
        needed: u64,
        /// First offset.
        begin: u64,
        /// Second offset.
        end: u64,
    },
    /// Two tensors share bytes.
    #[error("two tensors overlap at byte {at} of the data")]
    Overlap {
        /// Where the second begins.
        at: u64,
    },
    /// Bytes that belong to no tensor.
    #[error("bytes {from}..{to} of the data belong to no tensor")]
    Hole {
        /// End of the tensor before.
        from: u64,
        /// Start of the tensor after, or the end of the file.
        to: u64,
    },
    /// The tail is missing.
    #[error("the tensors need {needed} bytes of data, but the file has {present}: it is cut short")]
    CutShort {
        /// The highest offset.
        needed: u64,
        /// What follows the header.
        present: u64,
    },
}

/// What can be wrong with a GGUF file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GgufDamage {
    /// The first four bytes.
    #[error("the file does not begin with the letters GGUF")]
    NoMagic,
    /// A count or a length that no model has.
    #[error("the GGUF head claims {claimed} {what}; at most {limit} are accepted")]
    TooMany {
        /// What is counted.
        what: &'static str,
        /// The claim.
        claimed: u64,
        /// The limit.
        limit: u64,
    },
    /// A value type outside the format.
    #[error("the GGUF metadata uses value type {found}, which does not exist")]
    UnknownValueType {
        /// The number found.
        found: u32,
    },
    /// The same key or tensor twice.
    #[error("the GGUF head lists `{name}` twice")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// `general.alignment` must be a power of two.
    #[error("the GGUF alignment {found} is not a power of two")]
    Alignment {
        /// The value found.
        found: u64,
    },
    /// Dimensions that do not fit the type's blocks, or overflow.
    #[error("the shape of `{name}` does not fit its type")]
    Shape {
        /// The tensor.
        name: String,
    },
    /// A tensor does not begin where the one before ends.
    #[error("a tensor begins at byte {found} of the data, where {expected} is expected")]
    Misplaced {
        /// The end of the tensor before, aligned.
        expected: u64,
        /// The offset listed.
        found: u64,
    },
    /// The tail is missing.
    #[error("the tensors end at byte {needed} of the file, but it has {present}: it is cut short")]
    CutShort {
        /// Where the last tensor ends.
        needed: u64,
        /// The length of the file.
        present: u64,
    },
    /// Bytes after the last tensor.
    #[error("the last tensor ends at byte {expected}, but the file has {present}")]
    Trailing {
        /// Where the file should end.
        expected: u64,
        /// The length of the file.
        present: u64,
    },
}

/// What can be wrong with a zip.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ZipDamage {
    /// A zip is read from its end; without that record it is cut short or overwritten.
    #[error("the zip has no end record: it is cut short")]
    NoEndRecord,
    /// The end record does not fit the file.
    #[error("the end record of the zip points outside the file or counts wrongly")]
    EndRecord,
    /// A directory entry that cannot be read.
    #[error("entry {index} of the zip's directory is damaged")]
    Directory {
        /// Counted from 0.
        index: usize,
    },
    /// The header before a member's data is missing or says something else than the directory.
    #[error("the header of `{name}` in the zip does not match the directory")]
    LocalHeader {
        /// The member.
        name: String,
    },
    /// The same name twice.
    #[error("the zip lists `{name}` twice")]
    Duplicate {
        /// The member.
        name: String,
    },
    /// Members that share bytes, or bytes that belong to no member.
    #[error("byte {at} of the zip belongs to no member or to two")]
    Untiled {
        /// Where the members stop fitting together.
        at: u64,
    },
    /// The stored checksum does not match.
    #[error("the contents of `{name}` do not match the checksum that the zip carries")]
    Checksum {
        /// The member.
        name: String,
    },
}
