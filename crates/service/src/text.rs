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

/// Characters of the end that [`shorten`] keeps: what a parser expected stands there.
const TAIL_CHARS: usize = 60;
const OMISSION: &str = " … ";

/// The text, or its beginning and end where it is longer than what an error repeats of a client's words.
pub fn shorten(text: &str) -> std::borrow::Cow<'_, str> {
    if text.char_indices().nth(LONGEST_ECHO).is_none() {
        return text.into();
    }
    let head_chars = LONGEST_ECHO - TAIL_CHARS - OMISSION.chars().count();
    let head = text.char_indices().nth(head_chars).map_or(text.len(), |(at, _)| at);
    let tail = text.char_indices().rev().nth(TAIL_CHARS - 1).map_or(0, |(at, _)| at);
    format!("{}{OMISSION}{}", &text[..head], &text[tail..]).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_keeps_its_beginning_and_its_end() {
        let exact = "é".repeat(LONGEST_ECHO);
        assert_eq!(shorten(&exact), exact);
        let long = format!("invalid type: string \"{}\", expected u32", "é".repeat(900_000));
        let short = shorten(&long);
        assert_eq!(short.chars().count(), LONGEST_ECHO);
        assert!(short.starts_with("invalid type: string \"é") && short.ends_with("é\", expected u32"), "{short}");
    }
}
