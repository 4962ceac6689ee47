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
    File(Arc<Mutex<LogFile>>),
    Asked(Arc<Mutex<Told>>),
}

/// What ComfyUI told when it was last asked.
#[derive(Default)]
struct Told {
    entries: Vec<Entry>,
    /// How often an answer was taken in.
    answers: u64,
}

impl ComfyLog {
    pub(crate) fn new(comfy: Comfy, ring: LogRing) -> Self {
        let source = match &comfy.settings.log_file {
            Some(path) => Source::File(Arc::new(Mutex::new(LogFile::new(path.clone())))),
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
                    let (texts, written) = file.read_on();
                    texts.iter().filter_map(|text| line(text, written)).for_each(|line| ring.push(line));
                })
                .await
            }
            Source::Asked(told) => {
                let answers_before = lock(told).answers;
                let entries = self.comfy.client.logs().await?.unwrap_or_default();
                let mut told = lock(told);
                // Two answers that were under way at once: nobody knows which is the older one, and the next one has it all.
                if told.answers == answers_before {
                    told.take(entries).iter().flat_map(lines_of_entry).for_each(|line| self.ring.push(line));
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

fn lines_of_entry(entry: &Entry) -> Vec<LogLine> {
    let at = entry.at.parse::<DateTime>().and_then(|at| TimeZone::system().to_timestamp(at));
    let at = at.unwrap_or(Timestamp::UNIX_EPOCH);
    entry.text.split(['\n', '\r']).filter_map(|text| line(text, at)).collect()
}

/// A line of text as a line of the log; an empty one is none.
fn line(text: &str, at: Timestamp) -> Option<LogLine> {
    let message = text.trim_end();
    (!message.is_empty()).then(|| LogLine {
        at,
        level: level_of(message),
        service: LogService::Comfyui,
        message: message.to_owned(),
        request_id: None,
    })
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
        let level = |text| line(text, Timestamp::UNIX_EPOCH).map(|line| line.level);
        assert_eq!(level("[WARNING] little memory"), Some(LogLevel::Warn));
        assert_eq!(level("RuntimeError: no"), Some(LogLevel::Info));
        assert_eq!(level("Error: no"), Some(LogLevel::Error));
        assert_eq!(level("  \t"), None);
    }
}
