//! The log on disk: one file a day, the oldest removed. A link in the place of a file is not followed.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
};

use service::{Clock, own_file};

/// How many files of a day each are kept.
const DAYS: usize = 7;
const PREFIX: &str = "dashboard.log.";

/// The file of the present day.
pub(crate) struct DailyFile<C> {
    folder: PathBuf,
    clock: C,
    name: String,
    file: File,
}

impl<C: Clock> DailyFile<C> {
    /// Opens the file of today in `folder`.
    pub(crate) fn open(folder: &Path, clock: C) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let name = name_of_today(&clock);
        let file = open(folder, &name)?;
        Ok(Self { folder: folder.to_owned(), clock, name, file })
    }

    /// Bytes that the file has.
    pub(crate) fn written(&self) -> u64 {
        self.file.metadata().map_or(0, |facts| facts.len())
    }
}

impl<C: Clock> Write for DailyFile<C> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let today = name_of_today(&self.clock);
        if today != self.name {
            self.file = open(&self.folder, &today)?;
            self.name = today;
        }
        self.file.write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn name_of_today(clock: &impl Clock) -> String {
    format!("{PREFIX}{}", clock.now().strftime("%Y-%m-%d"))
}

/// Opens the file of a day and removes those that are too old. One that cannot be removed is no reason to log nothing.
fn open(folder: &Path, name: &str) -> io::Result<File> {
    let file = own_file::open(&folder.join(name), OpenOptions::new().append(true).create(true))?;
    let entries = fs::read_dir(folder)?.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut logs: Vec<String> = entries.filter(|name| name.starts_with(PREFIX)).collect();
    logs.sort_unstable_by(|one, other| other.cmp(one));
    for old in logs.iter().skip(DAYS) {
        let _ = fs::remove_file(folder.join(old));
    }
    Ok(file)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
mod tests {
    use service::ManualClock;

    use super::*;

    const DAY_MS: i64 = 86_400_000;

    #[test]
    fn each_day_has_a_file_and_seven_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(0);
        let mut log = DailyFile::open(folder.path(), clock.clone()).unwrap();
        for day in 1..=10 {
            log.write_all(format!("day {day}\n").as_bytes()).unwrap();
            clock.advance(DAY_MS);
        }
        let mut names: Vec<String> = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(
            (names.len(), names[0].as_str(), names[6].as_str()),
            (7, "dashboard.log.1970-01-04", "dashboard.log.1970-01-10")
        );
        assert_eq!(fs::read_to_string(folder.path().join(&names[6])).unwrap(), "day 10\n");
    }

    #[test]
    fn link_in_place_of_the_log_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("target");
        fs::write(&target, "theirs").unwrap();
        std::os::unix::fs::symlink(&target, folder.path().join("dashboard.log.1970-01-01")).unwrap();
        let refused = DailyFile::open(folder.path(), ManualClock::at(0)).err().unwrap().to_string();
        assert!(refused.contains("a symbolic link"), "{refused}");
        assert_eq!(fs::read_to_string(&target).unwrap(), "theirs");
    }
}
