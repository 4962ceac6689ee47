//! What a validation found, in words.

/// What is the matter with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingCode {
    /// A preset asks for it and it is not there.
    Missing,
    /// Its SHA-256 is not the one that is known.
    ChecksumMismatch,
    /// Its own structure does not account for its bytes.
    Damaged,
    /// It could not be read.
    Unreadable,
    /// Loading it would run code.
    UnsafePickle,
    /// It cannot be said whether loading it would run code.
    UnknownPickle,
    /// It is of another format than its name says.
    WrongFormat,
    /// Its structure does not account for its bytes, but they are the expected ones.
    OddStructure,
}

impl FindingCode {
    const ALL: [Self; 8] = [
        Self::Missing,
        Self::ChecksumMismatch,
        Self::Damaged,
        Self::Unreadable,
        Self::UnsafePickle,
        Self::UnknownPickle,
        Self::WrongFormat,
        Self::OddStructure,
    ];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::ChecksumMismatch => "checksum_mismatch",
            Self::Damaged => "damaged",
            Self::Unreadable => "unreadable",
            Self::UnsafePickle => "unsafe",
            Self::UnknownPickle => "unknown",
            Self::WrongFormat => "wrong_format",
            Self::OddStructure => "odd_structure",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == word)
    }

    /// An error makes a file unfit for use; the others are worth knowing.
    pub fn is_error(self) -> bool {
        !matches!(self, Self::UnknownPickle | Self::WrongFormat | Self::OddStructure)
    }
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Below the models folder.
    pub path: String,
    /// What is the matter.
    pub code: FindingCode,
    /// The same as a sentence.
    pub message: String,
    /// Damaged byte ranges, end excluded, where block checksums are kept.
    pub damaged: Vec<(u64, u64)>,
}

impl Finding {
    pub(super) fn new(path: &str, code: FindingCode, message: String) -> Self {
        Self { path: path.to_owned(), code, message, damaged: Vec::new() }
    }

    pub(super) fn unreadable(path: &str, cause: &std::io::Error) -> Self {
        Self::new(path, FindingCode::Unreadable, format!("The file could not be read: {cause}"))
    }

    /// What is said of a structure that is odd, of a file whose SHA-256 is the expected one.
    pub(super) fn if_expected(self) -> Self {
        match self.code {
            FindingCode::Damaged => {
                let message = format!(
                    "Its SHA-256 is the expected one, so these are the publisher's own bytes, though {}",
                    self.message
                );
                Self { code: FindingCode::OddStructure, message, ..self }
            }
            _ => self,
        }
    }

    pub(super) fn missing(path: &str) -> Self {
        Self::new(path, FindingCode::Missing, "The file is not there".to_owned())
    }

    pub(super) fn checksum_mismatch(path: &str, wanted: &str, found: &str, damaged: Vec<(u64, u64)>) -> Self {
        let blocks = match damaged.len() {
            0 => String::new(),
            1 => "; 1 block is damaged".to_owned(),
            many => format!("; {many} blocks are damaged"),
        };
        let message = format!("File checksum mismatch: its SHA-256 is {found}, expected is {wanted}{blocks}");
        Self { damaged, ..Self::new(path, FindingCode::ChecksumMismatch, message) }
    }
}

/// What a validation found in all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ValidationReport {
    /// How many files were looked at.
    pub validated: u64,
    /// What makes files unfit for use.
    pub errors: Vec<Finding>,
    /// What is worth knowing.
    pub warnings: Vec<Finding>,
    /// Files that were not read, for one who may not have them read.
    pub unchecked: Vec<String>,
}

impl ValidationReport {
    pub(super) fn new(validated: u64, findings: Vec<Finding>) -> Self {
        let (errors, warnings) = findings.into_iter().partition(|finding| finding.code.is_error());
        Self { validated, errors, warnings, unchecked: Vec::new() }
    }
}
