//! Which characters a person cannot see, or that change how the text around them is shown.

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// Whether a character is no visible text: control characters, which a terminal obeys, and format characters, which reverse or
/// hide what stands around them (U+202E, U+200B), with the separators of lines and paragraphs.
pub fn is_unprintable(character: char) -> bool {
    matches!(
        character.general_category(),
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
    )
}

/// Most characters of a client's text in a log line or an error.
pub const LONGEST_ECHO: usize = 200;

/// The text, cut where it is longer than what a log line or an error repeats of a client's words.
pub fn cut(text: &str) -> std::borrow::Cow<'_, str> {
    match text.char_indices().nth(LONGEST_ECHO) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}
