//! ComfyUI's own log, read on into the memory that answers from: from its file where one is named, else what it tells when it
//! is asked.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use comfy_client::LogLine as Entry;
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

use super::{Comfy, log_file::LogFile};
use crate::{
    Error,
    logs::{LogLevel, LogLine, LogRing, LogService},
    system::ServiceState,
    tasks::blocking,
};

/// The log of ComfyUI. Cheap to clone.
#[derive(Clone)]
pub(crate) struct ComfyLog {
    comfy: Comfy,
    source: Source,
    ring: LogRing,
}

#[derive(Clone)]
enum Source {
    File(Arc<Mutex<(LogFile, Reading)>>),
    Asked(Arc<Mutex<Told>>),
}

/// What ComfyUI told when it was last asked.
#[derive(Default)]
struct Told {
    entries: Vec<Entry>,
    /// How often an answer was taken in.
    answers: u64,
    reading: Reading,
}

impl ComfyLog {
    pub(crate) fn new(comfy: Comfy, ring: LogRing) -> Self {
        let source = match &comfy.settings.log_file {
            Some(path) => Source::File(Arc::new(Mutex::new((LogFile::new(path.clone()), Reading::default())))),
            None => Source::Asked(Arc::default()),
        };
        Self { comfy, source, ring }
    }

    /// Whether it can be read at once: from its file, or because ComfyUI answers.
    pub(crate) fn is_at_hand(&self) -> bool {
        matches!(self.source, Source::File(_)) || self.comfy.last_seen().state == ServiceState::Running
    }

    /// Takes in what came since the last time. Lines of a file carry the time at which it was last written when they were
    /// read, since they name none.
    pub(crate) async fn read_on(&self) -> Result<(), Error> {
        match &self.source {
            Source::File(file) => {
                let (file, ring) = (Arc::clone(file), self.ring.clone());
                blocking(move || {
                    let mut file = lock(&file);
                    let (file, reading) = &mut *file;
                    let (texts, written) = file.read_on();
                    texts.iter().filter_map(|text| reading.line(text, written)).for_each(|line| ring.push(line));
                })
                .await
            }
            Source::Asked(told) => {
                let answers_before = lock(told).answers;
                let entries = self.comfy.client.logs().await?.unwrap_or_default();
                let mut told = lock(told);
                // Two answers that were under way at once: nobody knows which is the older one, and the next one has it all.
                if told.answers == answers_before {
                    for entry in told.take(entries) {
                        lines_of_entry(&entry, &mut told.reading).into_iter().for_each(|line| self.ring.push(line));
                    }
                }
                Ok(())
            }
        }
    }
}

impl Told {
    /// Takes an answer in; what is new stands behind what was told before. ComfyUI keeps only its last lines, and replaces the
    /// last one while it shows progress.
    fn take(&mut self, entries: Vec<Entry>) -> Vec<Entry> {
        let known = entries.iter().rposition(|entry| self.entries.contains(entry));
        let new = entries[known.map_or(0, |at| at + 1)..].to_vec();
        self.entries = entries;
        self.answers += 1;
        new
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn lines_of_entry(entry: &Entry, reading: &mut Reading) -> Vec<LogLine> {
    let at = entry.at.parse::<DateTime>().and_then(|at| TimeZone::system().to_timestamp(at));
    let at = at.unwrap_or(Timestamp::UNIX_EPOCH);
    entry.text.split(['\n', '\r']).filter_map(|text| reading.line(text, at)).collect()
}

/// What the lines before say of the level of the next one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Reading {
    /// A traceback has begun and not ended.
    in_traceback: bool,
}

impl Reading {
    /// A line of text as a line of the log; an empty one is none.
    fn line(&mut self, text: &str, at: Timestamp) -> Option<LogLine> {
        let plain = without_escapes(text);
        let message = plain.trim_end();
        (!message.is_empty()).then(|| LogLine {
            at,
            level: self.level_of(message),
            service: LogService::Comfyui,
            message: message.to_owned(),
            request_id: None,
        })
    }

    /// A traceback is an error from its head to the line that names the exception: the first that is not indented.
    fn level_of(&mut self, line: &str) -> LogLevel {
        let text = line.strip_prefix("[ERROR]").map_or(line, |rest| rest.strip_prefix(' ').unwrap_or(rest));
        if text.starts_with("Traceback (most recent call last)") || text.starts_with("!!! Exception") {
            self.in_traceback = text.starts_with("Traceback");
            return LogLevel::Error;
        }
        if !self.in_traceback {
            return level_of(line);
        }
        self.in_traceback = text.starts_with(char::is_whitespace);
        LogLevel::Error
    }
}

/// Without the colours and the other escape sequences of terminals (ECMA-48): `ESC [ … letter`, `ESC ] … BEL` and `ESC` with one
/// more character.
fn without_escapes(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(letter) = rest.next() {
        if letter != '\u{1b}' {
            kept.push(letter);
            continue;
        }
        match rest.next() {
            Some('[') => drop(rest.by_ref().find(|letter| ('\u{40}'..='\u{7e}').contains(letter))),
            Some(']') => drop(rest.by_ref().find(|letter| matches!(letter, '\u{7}' | '\u{1b}'))),
            _ => {}
        }
    }
    kept
}

/// ComfyUI prints no level of its own; custom nodes and Python's own logging often do.
fn level_of(line: &str) -> LogLevel {
    let start: String = line.chars().take(120).collect();
    let named = start.split(|letter: char| !letter.is_ascii_alphabetic()).find_map(|word| match word {
        "ERROR" | "CRITICAL" | "Error" | "Traceback" => Some(LogLevel::Error),
        "WARNING" | "WARN" | "Warning" => Some(LogLevel::Warn),
        "DEBUG" => Some(LogLevel::Debug),
        _ => None,
    });
    named.unwrap_or(LogLevel::Info)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(texts: &[&str]) -> Vec<Entry> {
        texts
            .iter()
            .map(|text| Entry { at: "2026-11-23T21:15:32.082023".to_owned(), text: (*text).to_owned() })
            .collect()
    }

    #[test]
    fn what_was_told_before_is_not_told_again_though_the_first_lines_go_and_the_last_is_replaced() {
        let mut told = Told::default();
        assert_eq!(told.take(entries(&["a\n", "b\n", "\r10%"])), entries(&["a\n", "b\n", "\r10%"]));
        assert_eq!(told.take(entries(&["a\n", "b\n", "\r10%"])), []);
        assert_eq!(told.take(entries(&["b\n", "\r90%", "c\n"])), entries(&["\r90%", "c\n"]));
        assert_eq!(told.take(entries(&["started anew\n"])), entries(&["started anew\n"]));
    }

    #[test]
    fn a_level_is_known_by_its_word_near_the_start_of_a_line() {
        let level = |text| Reading::default().line(text, Timestamp::UNIX_EPOCH).map(|line| line.level);
        assert_eq!(level("[WARNING] little memory"), Some(LogLevel::Warn));
        assert_eq!(level("RuntimeError: no"), Some(LogLevel::Info));
        assert_eq!(level("Error: no"), Some(LogLevel::Error));
        assert_eq!(level("  \t"), None);
        assert_eq!(level("\u{1b}[33m\u{1b}[0m"), None);
    }

    /// As ComfyUI of August 2026 prints it.
    #[test]
    fn traceback_lines_have_the_level_of_their_head_and_no_colors() {
        let text = "\u{1b}[32m[INFO]\u{1b}[0m got prompt\n\u{1b}[31m[ERROR]\u{1b}[0m !!! Exception during processing !!! no\n\
                    \u{1b}[31m[ERROR]\u{1b}[0m Traceback (most recent call last):\n  File \"execution.py\", line 1, in execute\n    \
                    return f()\nRuntimeError: no\n\nPrompt executed in 0.10 seconds\n";
        let entry = Entry { at: "2026-11-23T21:15:32.082023".to_owned(), text: text.to_owned() };
        let lines = lines_of_entry(&entry, &mut Reading::default());
        let found: Vec<(LogLevel, &str)> = lines.iter().map(|line| (line.level, line.message.as_str())).collect();
        assert_eq!(found[0], (LogLevel::Info, "[INFO] got prompt"));
        assert!(found[1..6].iter().all(|(level, _)| *level == LogLevel::Error), "{found:?}");
        assert_eq!(found[5].1, "RuntimeError: no");
        assert_eq!(found[6], (LogLevel::Info, "Prompt executed in 0.10 seconds"));
    }
}
