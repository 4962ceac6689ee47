//! A log file that another program writes, read on from where it was read before: through rotation, truncation and lines that
//! are only half written. Every call blocks.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::{FileExt, MetadataExt},
    path::PathBuf,
};

use jiff::Timestamp;

/// Most that is read at once: of more, the end counts.
const MOST_BYTES: u64 = 1 << 20;
/// A line that does not end after so many bytes is ended.
const LONGEST_LINE: usize = 64 * 1024;
/// How many bytes before the place that was reached are remembered, to tell the file from one that was written over it.
const REMEMBERED: usize = 256;

/// A log file.
pub(super) struct LogFile {
    path: PathBuf,
    open: Option<Open>,
    /// It was said that it cannot be read.
    is_complained_of: bool,
}

/// The file as it was found at the path.
struct Open {
    file: File,
    inode: u64,
    /// How far it was read.
    reached: u64,
    /// The last bytes before that.
    last_bytes: Vec<u8>,
    /// The beginning of a line whose end is not written yet.
    unfinished: Vec<u8>,
}

impl LogFile {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, open: None, is_complained_of: false }
    }

    /// The lines that were ended since the last time, and when the file was last written. One that cannot be read has none;
    /// the cause is in our own log, once.
    pub(super) fn read_on(&mut self) -> (Vec<String>, Timestamp) {
        let mut lines = Vec::new();
        let outcome = self.read_into(&mut lines);
        if let Err(cause) = &outcome
            && !self.is_complained_of
        {
            tracing::warn!(path = %self.path.display(), error = %cause, "the log of ComfyUI could not be read");
        }
        self.is_complained_of = outcome.is_err();
        let written = self.open.as_ref().and_then(|open| open.file.metadata().ok()?.modified().ok());
        let written = written.and_then(|at| Timestamp::try_from(at).ok());
        (lines, written.unwrap_or(Timestamp::UNIX_EPOCH))
    }

    fn read_into(&mut self, lines: &mut Vec<String>) -> io::Result<()> {
        // A pipe would make whoever opens it wait.
        let there = std::fs::metadata(&self.path).and_then(|there| match there.is_file() {
            true => Ok(there.ino()),
            false => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file")),
        });
        if let Some(open) = &mut self.open {
            // After a rotation the old file has its last lines still to give; until there is a new one it stays.
            open.read_into(lines)?;
            if there.as_ref().is_ok_and(|inode| *inode != open.inode) {
                open.end_line(lines);
                self.open = None;
            }
        }
        if self.open.is_none() {
            there?;
            self.open.insert(Open::at(&self.path)?).read_into(lines)?;
        }
        Ok(())
    }
}

impl Open {
    fn at(path: &std::path::Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let inode = file.metadata()?.ino();
        Ok(Self { file, inode, reached: 0, last_bytes: Vec::new(), unfinished: Vec::new() })
    }

    fn read_into(&mut self, lines: &mut Vec<String>) -> io::Result<()> {
        let length = self.file.metadata()?.len();
        if self.is_written_over(length)? {
            self.end_line(lines);
            (self.reached, self.last_bytes) = (0, Vec::new());
        }
        let skipped = length.saturating_sub(MOST_BYTES).saturating_sub(self.reached);
        self.reached += skipped;
        self.file.seek(SeekFrom::Start(self.reached))?;
        let mut bytes = Vec::new();
        self.reached += (&self.file).take(MOST_BYTES).read_to_end(&mut bytes)? as u64;
        self.remember(&bytes);
        if skipped > 0 {
            // What comes first now is a part of a line.
            self.unfinished.clear();
            bytes.drain(..bytes.iter().position(|byte| is_end(*byte)).unwrap_or(bytes.len()));
        }
        self.take(&bytes, lines);
        Ok(())
    }

    /// Whether the file was emptied since, perhaps written anew: it is shorter, or has other bytes before the place.
    fn is_written_over(&self, length: u64) -> io::Result<bool> {
        if length < self.reached {
            return Ok(true);
        }
        let mut there = vec![0; self.last_bytes.len()];
        self.file.read_exact_at(&mut there, self.reached - self.last_bytes.len() as u64)?;
        Ok(there != self.last_bytes)
    }

    fn remember(&mut self, bytes: &[u8]) {
        self.last_bytes.extend(&bytes[bytes.len().saturating_sub(REMEMBERED)..]);
        self.last_bytes.drain(..self.last_bytes.len().saturating_sub(REMEMBERED));
    }

    fn take(&mut self, bytes: &[u8], lines: &mut Vec<String>) {
        for piece in bytes.split_inclusive(|byte| is_end(*byte)) {
            self.unfinished.extend(piece);
            if piece.last().is_some_and(|byte| is_end(*byte)) || self.unfinished.len() >= LONGEST_LINE {
                self.end_line(lines);
            }
        }
    }

    fn end_line(&mut self, lines: &mut Vec<String>) {
        let line = std::mem::take(&mut self.unfinished);
        if !line.is_empty() {
            lines.push(String::from_utf8_lossy(&line).into_owned());
        }
    }
}

/// Progress bars end their lines with a carriage return.
fn is_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

    use std::{fs, io::Write, path::Path};

    use super::*;

    fn append(path: &Path, text: &str) {
        fs::File::options().create(true).append(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
    }

    fn read(log: &mut LogFile) -> Vec<String> {
        let lines = log.read_on().0.into_iter().map(|line| line.trim_end().to_owned());
        lines.filter(|line| !line.is_empty()).collect()
    }

    #[test]
    fn the_end_of_a_long_log_begins_with_a_whole_line_and_a_line_counts_when_it_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("comfyui.log");
        let line = "x".repeat(99);
        append(&path, &format!("{line}\n").repeat(12_000));
        append(&path, "the last\r\nhalf a ");
        let mut log = LogFile::new(path.clone());
        let lines = read(&mut log);
        assert!(lines.len() > 10_000 && lines[..lines.len() - 1].iter().all(|read| *read == line));
        assert_eq!(lines.last().unwrap(), "the last");
        append(&path, "line\n10%\r20%\r");
        assert_eq!(read(&mut log), ["half a line", "10%", "20%"]);
        assert_eq!(read(&mut log), [""; 0]);
    }

    #[test]
    fn a_rotated_log_gives_its_last_lines_and_then_those_of_the_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("comfyui.log");
        append(&path, "one\n");
        let mut log = LogFile::new(path.clone());
        assert_eq!(read(&mut log), ["one"]);
        let old = folder.path().join("comfyui.log.1");
        fs::rename(&path, &old).unwrap();
        append(&old, "two\n");
        assert_eq!(read(&mut log), ["two"], "there is no new one yet");
        append(&old, "three");
        append(&path, "four\n");
        assert_eq!(read(&mut log), ["three", "four"]);
    }

    #[test]
    fn a_log_that_is_emptied_and_written_anew_is_read_from_its_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("comfyui.log");
        append(&path, "one\ntwo\n");
        let mut log = LogFile::new(path.clone());
        assert_eq!(read(&mut log), ["one", "two"]);
        fs::write(&path, "new\n").unwrap();
        assert_eq!(read(&mut log), ["new"]);
        fs::write(&path, "longer than it was before\n").unwrap();
        assert_eq!(read(&mut log), ["longer than it was before"]);
    }

    #[test]
    fn a_log_that_is_not_there_or_is_no_file_has_no_lines_until_there_is_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("comfyui.log");
        assert_eq!(read(&mut LogFile::new(folder.path().to_owned())), [""; 0]);
        let mut log = LogFile::new(path.clone());
        assert_eq!(read(&mut log), [""; 0]);
        append(&path, "one\n");
        assert_eq!(read(&mut log), ["one"]);
    }
}
