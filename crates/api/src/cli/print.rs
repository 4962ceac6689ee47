//! What commands say to a person: one printer. It writes what came from elsewhere so that a terminal shows it and obeys none of
//! it, and an output that cannot be written is an error instead of a panic.

use std::fmt::Display;
use std::io::{self, Write};

use service::text;

use super::CliError;

/// Prints a line to stdout. A reader that has seen enough (`| head`) is no failure.
pub fn line(text: impl Display) -> Result<(), CliError> {
    raw(&format!("{}\n", escaped(&text.to_string())))
}

/// Prints a text of our own to stdout as it is.
pub fn raw(text: &str) -> Result<(), CliError> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(cause) if cause.kind() != io::ErrorKind::BrokenPipe => Err(CliError::Output(cause)),
        _ => Ok(()),
    }
}

/// Prints a line to stderr. Where that cannot be written there is nowhere to say so.
pub fn complain(text: impl Display) {
    let _ = writeln!(io::stderr(), "{}", escaped(&text.to_string()));
}

/// The text with its control and format characters written as `\u{1b}`.
pub(crate) fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if text::is_unprintable(character) {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn what_a_terminal_would_obey_is_shown() {
        assert_eq!(escaped("\u{1b}]0;pwned\u{7}\u{1b}[31mred\r"), "\\u{1b}]0;pwned\\u{7}\\u{1b}[31mred\\u{d}");
        assert_eq!(escaped("a\u{202e}b\u{200b}c\u{2066}d\u{9b}e"), "a\\u{202e}b\\u{200b}c\\u{2066}d\\u{9b}e");
        assert_eq!(escaped("Ключ é 🔑 \\ 字"), "Ключ é 🔑 \\ 字");
    }
}
