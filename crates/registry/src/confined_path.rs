//! A path that cannot leave the models folder. `ConfinedPath::parse` is the only way to make one.
//!
//! Judges text alone: links on the disk are for whoever opens files. Must not touch the file system.

use std::fmt;

use percent_encoding::percent_decode_str;

/// Relative path below the models folder, with `/` between its components; joined to a root it stays below it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConfinedPath(String);

/// The text is no path below the models folder.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the path {shown} is refused: it {refusal}; accepted is a relative path below the models folder, such as checkpoints/model.safetensors"
)]
pub struct PathRefused {
    /// What was given: escaped, and cut after 80 characters.
    shown: String,
    /// Why it is refused.
    refusal: PathRefusal,
}

impl PathRefused {
    /// Why the path is refused.
    #[must_use]
    pub fn refusal(&self) -> PathRefusal {
        self.refusal
    }
}

/// Why a path is refused; its text goes on from "the path".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathRefusal {
    /// Nothing was given.
    #[error("is empty")]
    Empty,
    /// The whole path has more bytes than a path may have.
    #[error("is longer than {max} bytes", max = ConfinedPath::MAX_LENGTH)]
    TooLong,
    /// A component has more bytes than file systems take.
    #[error("has a part longer than {max} bytes", max = ConfinedPath::MAX_COMPONENT_LENGTH)]
    LongComponent,
    /// It starts at a root: `/`.
    #[error("is absolute")]
    Absolute,
    /// It starts with `~`, which shells read as a home folder.
    #[error("starts with '~', the sign of a home folder")]
    HomeFolder,
    /// Two separators in a row, or one at the end.
    #[error("has an empty part between or after '/'")]
    EmptyComponent,
    /// A component is `.` or `..`.
    #[error("has a part '.' or '..'")]
    DotComponent,
    /// It has `\`, which Windows and some servers read as a separator.
    #[error("has a backslash")]
    Backslash,
    /// It has `:`, which names a drive or a hidden stream on Windows.
    #[error("has a colon, the sign of a drive or a stream")]
    Colon,
    /// It has NUL, a line break or another control character.
    #[error("has a control character")]
    ControlCharacter,
    /// It has characters that do not show or that turn the direction of the text.
    #[error("has an invisible or direction-changing character")]
    InvisibleCharacter,
    /// It has a character that looks like `/`, `\`, `:` or `.`, or becomes one when normalised.
    #[error("has a character that passes for a separator, a colon or a dot")]
    LookAlike,
    /// It hides a separator, a dot component or a control character behind percent signs.
    #[error("hides something behind percent-encoding")]
    Encoded,
    /// A component ends with a dot or a space, which Windows drops.
    #[error("has a part that ends with a dot or a space")]
    TrailingDotOrSpace,
    /// A component is a device on Windows, such as `CON` or `nul.txt`.
    #[error("has a part that is a device name on Windows")]
    ReservedName,
    /// A component ends with `.part` or `.part.journal`, the names of unfinished downloads.
    #[error("has a part that ends with '.part' or '.part.journal', as unfinished downloads do")]
    UnfinishedDownload,
}

impl ConfinedPath {
    /// Most bytes that a path may have.
    pub const MAX_LENGTH: usize = 1024;
    /// Most bytes between two separators; what Linux file systems take.
    pub const MAX_COMPONENT_LENGTH: usize = 255;

    /// The path that `text` spells, kept as it is: nothing is cleaned, trimmed or normalised.
    ///
    /// # Errors
    /// `PathRefused` with the reason, for everything that could lead out of the models folder here, on another
    /// system, or after one more decoding.
    pub fn parse(text: &str) -> Result<Self, PathRefused> {
        match refusal(text) {
            None => Ok(Self(text.to_owned())),
            Some(refusal) => {
                let start: String = text.chars().take(80).collect();
                let cut = if start.len() < text.len() { "…" } else { "" };
                Err(PathRefused { shown: format!("{start:?}{cut}"), refusal })
            }
        }
    }

    /// The path as text, with `/` between its components.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// First component, which is the kind of model for ComfyUI; `None` for a file right in the models folder.
    #[must_use]
    pub fn folder(&self) -> Option<&str> {
        self.0.split_once('/').map(|(folder, _)| folder)
    }

    /// Last component.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.0.rsplit_once('/').map_or(self.0.as_str(), |(_, name)| name)
    }
}

impl fmt::Display for ConfinedPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl AsRef<str> for ConfinedPath {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

fn refusal(text: &str) -> Option<PathRefusal> {
    if text.is_empty() {
        return Some(PathRefusal::Empty);
    }
    if text.len() > ConfinedPath::MAX_LENGTH {
        return Some(PathRefusal::TooLong);
    }
    plain_refusal(text).or_else(|| encoded_refusal(text))
}

fn plain_refusal(text: &str) -> Option<PathRefusal> {
    if let Some(refusal) = text.chars().find_map(character_refusal) {
        return Some(refusal);
    }
    if text.starts_with('/') {
        return Some(PathRefusal::Absolute);
    }
    if text.starts_with('~') {
        return Some(PathRefusal::HomeFolder);
    }
    text.split('/').find_map(component_refusal)
}

fn character_refusal(character: char) -> Option<PathRefusal> {
    match character {
        '\\' => Some(PathRefusal::Backslash),
        ':' => Some(PathRefusal::Colon),
        // Slashes, backslashes, colons and dots of other scripts and widths; several become the plain one by NFKC.
        '\u{2044}' | '\u{2215}' | '\u{2216}' | '\u{2571}' | '\u{2572}' | '\u{29F5}' | '\u{29F8}' | '\u{29F9}'
        | '\u{FE68}' | '\u{FF0F}' | '\u{FF3C}' | '\u{FF1A}' | '\u{2236}' | '\u{A789}' | '\u{2024}' | '\u{2025}'
        | '\u{2026}' | '\u{3002}' | '\u{FE12}' | '\u{FE19}' | '\u{FE30}' | '\u{FE52}' | '\u{FF0E}' | '\u{FF61}' => {
            Some(PathRefusal::LookAlike)
        }
        // Soft hyphen, zero-width and bidirectional controls, line separators, byte order mark, tags.
        '\u{00AD}'
        | '\u{034F}'
        | '\u{061C}'
        | '\u{115F}'
        | '\u{1160}'
        | '\u{180E}'
        | '\u{200B}'..='\u{200F}'
        | '\u{2028}'..='\u{202E}'
        | '\u{2060}'..='\u{206F}'
        | '\u{3164}'
        | '\u{FEFF}'
        | '\u{FFA0}'
        | '\u{FFF9}'..='\u{FFFB}'
        | '\u{E0000}'..='\u{E007F}' => Some(PathRefusal::InvisibleCharacter),
        character if character.is_control() => Some(PathRefusal::ControlCharacter),
        _ => None,
    }
}

fn component_refusal(component: &str) -> Option<PathRefusal> {
    let lower = component.to_ascii_lowercase();
    if component.is_empty() {
        Some(PathRefusal::EmptyComponent)
    } else if component.len() > ConfinedPath::MAX_COMPONENT_LENGTH {
        Some(PathRefusal::LongComponent)
    } else if component == "." || component == ".." {
        Some(PathRefusal::DotComponent)
    } else if component.ends_with('.') || component.ends_with(char::is_whitespace) {
        Some(PathRefusal::TrailingDotOrSpace)
    } else if is_windows_device(&lower) {
        Some(PathRefusal::ReservedName)
    } else if lower.ends_with(".part") || lower.ends_with(".part.journal") {
        Some(PathRefusal::UnfinishedDownload)
    } else {
        None
    }
}

/// Whether Windows opens a device under this lower-case name; it looks at what stands before the first dot.
fn is_windows_device(lower: &str) -> bool {
    let stem = lower.split('.').next().unwrap_or(lower).trim_end();
    if matches!(stem, "con" | "prn" | "aux" | "nul" | "conin$" | "conout$" | "clock$") {
        return true;
    }
    let number = stem.strip_prefix("com").or_else(|| stem.strip_prefix("lpt")).unwrap_or("");
    matches!(number, "0" | "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "¹" | "²" | "³")
}

/// A percent sign is an honest character; what decodes, once or several times, into another path is not.
fn encoded_refusal(text: &str) -> Option<PathRefusal> {
    let separators = text.matches('/').count();
    let mut text = text.to_owned();
    while text.contains('%') {
        if has_percent_u(&text) {
            return Some(PathRefusal::Encoded);
        }
        let Ok(decoded) = percent_decode_str(&text).decode_utf8() else {
            return Some(PathRefusal::Encoded);
        };
        if decoded == text {
            return None;
        }
        if decoded.matches('/').count() != separators || plain_refusal(&decoded).is_some() {
            return Some(PathRefusal::Encoded);
        }
        text = decoded.into_owned();
    }
    None
}

/// Whether it has `%u` and four hex digits, which some servers decode to a character.
fn has_percent_u(text: &str) -> bool {
    text.as_bytes()
        .windows(6)
        .any(|six| six[0] == b'%' && six[1].eq_ignore_ascii_case(&b'u') && six[2..].iter().all(u8::is_ascii_hexdigit))
}
