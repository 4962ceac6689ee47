//! ComfyUI's own log: the end of its file where one is named, else what it tells when it is asked.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::Path,
};

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};

use super::Comfy;
use crate::{
    Error,
    logs::{LogFilter, LogLevel, LogLine, LogService},
    tasks::blocking,
};

/// How much of the end of a log file is read.
const TAIL_BYTES: u64 = 1 << 20;

impl Comfy {
    /// The last `count` lines that are wanted, oldest first. Lines of a file carry the time at which the file was last
    /// written, since they name none.
    pub async fn log_tail(&self, count: usize, filter: &LogFilter) -> Result<Vec<LogLine>, Error> {
        let lines = match self.settings.log_file.clone() {
            Some(path) => blocking(move || lines_of_file(&path)).await?,
            None => self.client.logs().await?.unwrap_or_default().iter().flat_map(lines_of_entry).collect(),
        };
        let mut wanted: Vec<LogLine> = lines.into_iter().rev().filter(|line| filter.takes(line)).take(count).collect();
        wanted.reverse();
        Ok(wanted)
    }
}

fn lines_of_entry(entry: &comfy_client::LogLine) -> Vec<LogLine> {
    let at = entry.at.parse::<DateTime>().and_then(|at| TimeZone::system().to_timestamp(at));
    let at = at.unwrap_or(Timestamp::UNIX_EPOCH);
    lines_of_text(&entry.text, at)
}

/// A log that cannot be read has no lines; the cause is in our own log.
fn lines_of_file(path: &Path) -> Vec<LogLine> {
    match end_of(path) {
        Ok((text, written)) => lines_of_text(&text, written),
        Err(cause) => {
            tracing::warn!(path = %path.display(), error = %cause, "the log of ComfyUI could not be read");
            Vec::new()
        }
    }
}

fn end_of(path: &Path) -> std::io::Result<(String, Timestamp)> {
    let mut file = File::open(path)?;
    let metadata = file.metadata()?;
    let written = Timestamp::try_from(metadata.modified()?).unwrap_or(Timestamp::UNIX_EPOCH);
    let cut = metadata.len() > TAIL_BYTES;
    file.seek(SeekFrom::Start(metadata.len().saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    // The first line of a cut text is a part of one.
    let whole = if cut { text.split_once('\n').map_or(String::new(), |(_, rest)| rest.to_owned()) } else { text };
    Ok((whole, written))
}

fn lines_of_text(text: &str, at: Timestamp) -> Vec<LogLine> {
    let line = |text: &str| LogLine {
        at,
        level: level_of(text),
        service: LogService::Comfyui,
        message: text.trim_end().to_owned(),
        request_id: None,
    };
    text.split(['\n', '\r']).filter(|text| !text.trim().is_empty()).map(line).collect()
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
    #![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

    use super::*;

    #[test]
    fn the_end_of_a_long_log_begins_with_a_whole_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("comfyui.log");
        let line = "x".repeat(99);
        let text: String = std::iter::repeat_n(format!("{line}\n"), 12_000).collect();
        std::fs::write(&path, text + "[WARNING] the last\n").unwrap();
        let lines = lines_of_file(&path);
        assert!(lines.iter().rev().skip(1).all(|read| read.message == line));
        let last = lines.last().unwrap();
        assert_eq!((last.message.as_str(), last.level), ("[WARNING] the last", LogLevel::Warn));
    }

    #[test]
    fn a_log_that_is_not_there_has_no_lines() {
        assert!(lines_of_file(Path::new("/nowhere/comfyui.log")).is_empty());
    }
}
